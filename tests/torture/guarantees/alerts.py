"""What goes wrong is told once within a minute, its end once, and what is well is not told of.

Each fault is made in a booper of its own, which is restarted meanwhile where that mends nothing.
Then a booper that is well lives for 30 days with restarts and backups, and retries now and then.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from booper.travel import Travel
from tests.torture.alert_faults import DAY, FAULTS, GOOD, MINUTE, Fault
from tests.torture.alert_world import Told, World
from tests.torture.line import Line, Size, line

MEMORY: Final = Path("/dev/shm")

# One of so many requests fails once, and is sent again before the next run.
FAILS_EACH: Final = 97
STEP: Final = timedelta(seconds=30)
SETTLED: Final = 2 * MINUTE


def measure(size: Size) -> Line:
    """Make 20 faults and live through 30 healthy days; in short each third fault, and a day."""
    chosen = FAULTS[:: size.pick(1, 3)]
    days = size.pick(30, 1)
    faults = [fault for each in chosen for fault in asyncio.run(_in_folder(each))]
    runs, told = asyncio.run(healthy(days))
    faults += [f"told in healthy days: {each}" for each in told]
    figure = (
        f"{len(chosen)} faults, each told once within a minute, its end once; "
        f"{days} healthy days with {runs} requests and {days} restarts: {len(told)} alerts"
    )
    return line("alerts", figure, faults)


async def _in_folder(fault: Fault) -> list[str]:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        return [
            f"{fault.inject.__name__}, {fault.kind}: {each}"
            for each in await tried(fault, Path(name))
        ]


async def tried(fault: Fault, folder: Path, sabotage: str = "") -> list[str]:
    """Make a fault and mend it; return what is wrong with what was told of it.

    `sabotage` is SQL that breaks booper's database behind its back.
    """
    world = World(folder, dict(fault.alerts), sabotage, **fault.others)
    await world.start()
    try:
        await world.pass_time(MINUTE)
        wrong = [f"told before: {each}" for each in world.hosts.told]
        async with fault.inject(world) as subject:
            opened = ("alert.opened", str(fault.kind), subject)
            await world.pass_time(MINUTE, is_over=lambda: bool(world.hosts.told))
            wrong += _compared("at first", world.hosts.told, [opened])
            if fault.is_kept:
                await world.restart()
            await world.pass_time(SETTLED)
            wrong += _compared("after that", world.hosts.told, [opened])
        closed = ("alert.closed", *opened[1:])
        await world.pass_time(
            fault.longest_end, MINUTE / 2, is_over=lambda: len(world.hosts.told) > 1
        )
        await world.restart()
        await world.pass_time(SETTLED)
        return [*wrong, *_compared("in the end", world.hosts.told, [opened, closed])]
    finally:
        await world.stop()


def _compared(when: str, told: Sequence[Told], expected: Sequence[Told]) -> list[str]:
    return [] if list(told) == list(expected) else [f"{when} told {list(told)}"]


async def healthy(days: float, fails_each: int = FAILS_EACH) -> tuple[int, Sequence[Told]]:
    """Live through days in which all goes well; return how much was sent, and what was told."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        world = World(Path(name), {"disk_free_bytes": 1}, backup={"every": [1, "day"], "keep": 2})
        requests = count(1)
        world.hosts.responds["good.test"] = lambda: httpx.Response(
            500 if next(requests) % fails_each == 0 else 200
        )
        await world.start()
        try:
            await _create(world)
            for _ in range(max(int(days), 1)):
                await _live(world, DAY * min(days, 1))
                await world.restart()
            await world.pass_time(MINUTE)
        finally:
            await world.stop()
        return world.hosts.sent, world.hosts.told


async def _create(world: World) -> None:
    """Create schedules of all kinds, over the nights in which clocks change as well."""
    shared = {"url": GOOD, "backoff": [5], "max_attempts": 5}
    await world.api.create_schedule(repeat_every=[1, "minute"], **shared)
    await world.api.create_schedule(repeat_every=[7, "minutes"], overlap="queue", **shared)
    await world.api.create_schedule(cron="*/15 * * * *", timezone="Europe/Berlin", **shared)
    await world.api.create_schedule(cron="30 2 * * *", timezone="America/New_York", **shared)
    await world.api.create_schedule(cron="0 9 * * MON-FRI", jitter=60, **shared)


async def _live(world: World, duration: timedelta) -> None:
    """Let time pass; everything that is due on the way happens at its time."""
    travel = Travel(world.booper, world.clock)
    end = world.clock.now() + duration
    for number in count():
        if world.clock.now() >= end:
            return
        if number % 120 == 0:  # each hour
            await world.api.create_id(url=GOOD, schedule_in=[20, "minutes"], tags=["hourly"])
        await travel.by(STEP)
