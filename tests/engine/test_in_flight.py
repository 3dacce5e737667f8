"""Attempts in flight: each frees its slot once, whatever ends it and however early."""

import asyncio

import pytest

from booper.clock import breathe
from booper.engine.in_flight import InFlight
from booper.model.job import Job
from tests.conftest import START
from tests.support.jobs import executing

pytestmark = pytest.mark.anyio

JOB = executing(START)


class Seen:
    """What the attempts in flight have told."""

    def __init__(self) -> None:
        self.in_flight = InFlight(self.sent, self.ended)
        self.told = list[tuple[str, int]]()

    def sent(self, job: Job) -> None:
        """Note a slot that is free."""
        self.told.append(("sent", job.id))

    def ended(self, job: Job, task: asyncio.Task[None]) -> None:
        """Note a task that has ended, and whether it was cut off."""
        self.told.append(("cut off" if task.cancelled() else "ended", job.id))


async def settled() -> None:
    """Return when everything that can go on has gone on."""
    for _ in range(5):
        await breathe()


async def test_an_attempt_with_an_outcome_frees_its_slot_before_it_ends() -> None:
    """While its result is written it holds no slot, and nothing cuts it off."""
    seen, is_written = Seen(), asyncio.Event()

    async def attempt() -> None:
        task = asyncio.current_task()
        assert task is not None
        seen.in_flight.has_outcome(task)
        await is_written.wait()

    seen.in_flight.begin(JOB, attempt())
    await settled()
    assert seen.in_flight.cut() == 0
    assert seen.told == [("sent", JOB.id)]
    is_written.set()
    await settled()
    assert seen.told == [("sent", JOB.id), ("ended", JOB.id)]
    assert not seen.in_flight.jobs


@pytest.mark.parametrize("turns", [0, 1])
async def test_an_attempt_that_is_cut_off_frees_its_slot(turns: int) -> None:
    """It does so once, also where it was cut off before its first step."""
    seen = Seen()

    async def attempt() -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await asyncio.Event().wait()
        finally:
            seen.in_flight.has_outcome(task)

    seen.in_flight.begin(JOB, attempt())
    for _ in range(turns):
        await breathe()
    assert seen.in_flight.cut() == 1
    await settled()
    assert seen.told == [("sent", JOB.id), ("cut off", JOB.id)]
    assert seen.in_flight.cut() == 0
