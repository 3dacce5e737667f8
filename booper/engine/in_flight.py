"""Attempts in flight, and how a stop ends them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta

from booper.model.job import Job

Task = asyncio.Task[None]

# How long a stop waits for results to be written.
RECORDING_GRACE = timedelta(seconds=1)


class InFlight:
    """The attempts in flight, a task each.

    `sent` is called once for each job whose attempt has its outcome or will have none, `ended` with
    each task once it has ended.

    Attributes:
        jobs: the job of each task that has not ended.
        sending: tasks that have no outcome yet; a stop may cut them off.
    """

    def __init__(self, sent: Callable[[Job], None], ended: Callable[[Job, Task], None]) -> None:
        self.jobs: dict[Task, Job] = {}
        self.sending: set[Task] = set()
        self._sent = sent
        self._ended = ended

    def begin(self, job: Job, attempt: Coroutine[object, object, None]) -> None:
        """Make an attempt of a job."""
        task = asyncio.create_task(attempt, name=f"job {job.id}")
        self.jobs[task] = job
        self.sending.add(task)
        task.add_done_callback(self._finished)

    def has_outcome(self, task: Task) -> None:
        """Keep an attempt from being cut off from here on."""
        if task in self.sending:
            self.sending.discard(task)
            self._sent(self.jobs[task])

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

    def _finished(self, task: Task) -> None:
        self.has_outcome(task)  # one that was cut off before its first step could not say so
        self._ended(self.jobs.pop(task), task)


async def _wait(tasks: Iterable[Task], at_most: timedelta) -> None:
    pending = set(tasks)
    if pending:
        await asyncio.wait(pending, timeout=at_most.total_seconds())
