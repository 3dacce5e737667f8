"""The clock is stepped and the machine suspended: no planned time runs twice, no job is lost.

The steps are tried on the virtual clock, the waking on the system's, with an offset that jumps.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from booper.clock import NAP_SECONDS, SystemClock, VirtualClock
from tests.conftest import START
from tests.support.api import Api
from tests.support.processes import monotonic
from tests.support.target import FakeTarget
from tests.torture.line import Line, Size, line
from tests.torture.virtual import running

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EVERY = 10 * MINUTE

STEPS = {
    "+1 h": HOUR,
    "-1 h": -HOUR,
    "+1 year": 365 * DAY,
    "-1 day": -DAY,
    "8 h of suspend": 8 * HOUR,
}
ONCE = (30 * MINUTE, 3 * HOUR, DAY)
# Of the runs missed in a step, as many may be made up for (contract §6).
CATCH_UP = {"skip": 0, "latest": 1, "all": 100}

# Beside the nap itself: what a busy machine may take from the waking to the arrival.
MARGIN_SECONDS = 0.1


def measure(size: Size) -> Line:
    """Try every step with every policy (in short with one), and wake up 10 times (once)."""
    pairs = list(product(STEPS, CATCH_UP))
    return asyncio.run(_measure(pairs[:: size.pick(1, 4)], size.pick(10, 1)))


async def _measure(pairs: list[tuple[str, str]], wakings: int) -> Line:
    faults: list[str] = []
    for name, misfire in pairs:
        found = await _step(STEPS[name], misfire)
        faults += [f"{name}, misfire {misfire}: {fault}" for fault in found]
    random = Random(1)
    late = max([await _waking(random.uniform(0, NAP_SECONDS)) for _ in range(wakings)])
    if late > NAP_SECONDS + MARGIN_SECONDS:
        faults.append("too late after waking")
    figure = (
        f"{len(pairs)} steps with a policy, each planned time run at most once; "
        f"{wakings} wakings, "
        f"due jobs arrived at most {late:.2f} s after them"
    )
    return line("clock", figure, faults)


async def _step(step: timedelta, misfire: str) -> list[str]:
    """Step the clock between two runs of a schedule; return what went wrong until 3 days later."""
    clock, target = VirtualClock(START), FakeTarget()
    with TemporaryDirectory() as name:
        async with running(Path(name) / "booper.db", clock, target, Random(1)) as (booper, api):
            await _create(api, "/again", repeat_every=[10, "minutes"], misfire=misfire)
            for number, wait in enumerate(ONCE):
                await _create(api, f"/once/{number}", schedule_in=wait.total_seconds())
            await booper.wait_idle()  # the first run is due at once, before any step
            for _ in range(5):
                clock.advance(5 * MINUTE)
                await booper.wait_idle()
            before = clock.now()
            sent = len(target.received)
            clock.advance(step)
            await booper.wait_idle()
            made_up = [at for path, at in _sent(target)[sent:] if path == "/again"]
            end = max(clock.now(), START + DAY) + HOUR
            clock.advance(EVERY / 2)  # half-way between two runs until here
            while clock.now() < end:
                await booper.wait_idle()
                clock.advance(EVERY)
            await booper.wait_idle()
    return _judged(target, made_up, before, clock.now(), step, misfire)


def _judged(
    target: FakeTarget,
    made_up: list[datetime],
    before: datetime,
    end: datetime,
    step: timedelta,
    misfire: str,
) -> list[str]:
    times = Counter(_sent(target))
    missed = max(0, (before + step - START) // EVERY - (before - START) // EVERY)
    # What was planned and neither before the step nor within it must have run, each.
    normal = {START + n * EVERY for n in range((end - START) // EVERY + 1)}
    normal -= {at for at in normal if before < at <= before + step}
    faults = [f"{path} of {at} was sent {n} times" for (path, at), n in times.items() if n > 1]
    faults += [f"{at} was not run" for at in normal if ("/again", at) not in times]
    if len(made_up) > min(missed, CATCH_UP[misfire]):
        faults.append(f"{len(made_up)} runs made up for {missed} missed")
    arrived = {path for path, _ in times}
    faults += [f"/once/{n} is lost" for n in range(len(ONCE)) if f"/once/{n}" not in arrived]
    return faults


def _sent(target: FakeTarget) -> list[tuple[str, datetime]]:
    """Return the paths of all requests with their planned times."""
    return [
        (request.url.path, datetime.fromisoformat(request.headers["booper-scheduled-at"]))
        for request in target.received
    ]


async def _create(api: Api, path: str, **fields: object) -> None:
    response = await api.post("/api/jobs", json={"url": f"https://target.test{path}", **fields})
    response.raise_for_status()


class JumpingClock(SystemClock):
    """The machine's clock, as one that was suspended for a while finds it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the machine's time and what it has slept."""
        return super().now() + self.ahead


async def _waking(phase: float) -> float:
    """Sleep over a job's time, from some moment of a nap on; return how late it then arrives."""
    clock, target = JumpingClock(), FakeTarget()
    with TemporaryDirectory() as name:
        async with running(Path(name) / "booper.db", clock, target, Random(1)) as (_, api):
            await _create(api, "/once", schedule_in=[8, "hours"])
            with suppress(TimeoutError):
                async with asyncio.timeout(phase):
                    await target.arrived.wait()
            clock.ahead = 8 * HOUR
            woken = monotonic()
            await target.arrived.wait()
            return monotonic() - woken
