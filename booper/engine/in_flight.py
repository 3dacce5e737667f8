"""Attempts in flight, and how a stop ends them."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from booper.model.job import Job

# How long a stop waits for results to be written.
RECORDING_GRACE = timedelta(seconds=1)


class InFlight:
    """The attempts in flight, a task each.

    Attributes:
        jobs: the job of each task that has not ended.
        sending: tasks that have no outcome yet; a stop may cut them off.
    """

    def __init__(self) -> None:
        self.jobs: dict[asyncio.Task[None], Job] = {}
        self.sending: set[asyncio.Task[None]] = set()

    def cut(self) -> int:
        """Cancel the attempts that have no outcome yet; return how many there are."""
        for task in self.sending:
            task.cancel()
        return len(self.sending)

    async def stop(self, grace: timedelta) -> list[Job]:
        """Wait `grace` of real time for attempts, cancel the rest, and return the jobs cut off."""
        await _wait(self.jobs, grace)
        left = {task: job for task, job in self.jobs.items() if task in self.sending}
        for task in left:
            task.cancel()
        # An attempt that has its outcome is only being recorded; cutting that off would send the
        # request again. The limit is for a store that cannot write.
        await _wait(self.jobs, RECORDING_GRACE)
        for task in self.jobs:
            task.cancel()
        return [job for task, job in left.items() if task.cancelled()]


async def _wait(tasks: Iterable[asyncio.Task[None]], at_most: timedelta) -> None:
    pending = set(tasks)
    if pending:
        await asyncio.wait(pending, timeout=at_most.total_seconds())
