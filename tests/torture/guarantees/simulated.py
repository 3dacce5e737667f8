"""Seeds of everything at once: nothing accepted is lost, nothing unasked sent, every time told.

States move along the table alone. A failing seed is named; its trace, the same each time, is
printed by `python -m tests.torture.guarantees.simulated SEED [STEPS]`.
"""

import asyncio
import gc
import json
import logging
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from booper.clock import EPOCH
from tests.torture.line import Line, Size, line
from tests.torture.simulation import World
from tests.torture.stuck import DEADLINE_SECONDS, Stuck, alarm
from tests.torture.witness import ARROWS, Arrow

FINAL = {"completed", "discarded", "cancelled"}

# A crash is the process's here, not the machine's: nothing need reach a disk.
MEMORY = Path("/dev/shm")
ROOM = 2 << 30


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to tell of a seed; `trace` is a digest."""

    seed: int
    faults: Sequence[str]
    sent: int
    walked: Counter[Arrow]
    trace: str


def measure(size: Size) -> Line:
    """Live through 1,000 seeds of 1,000 steps (in short 3 of 150), the first of them twice.

    Each process hashes in a way of its own, so the second time differs in all that may.
    """
    seeds, again, steps = size.pick((1_000, 20, 1_000), (3, 1, 150))
    # Started afresh, not forked: nothing of this process, above all no thread, is to matter.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_begin) as pool:
        told = list(pool.map(partial(tell, steps=steps), [*range(seeds), *range(again)]))
    faults = [f"seed {one.seed}: {fault}" for one in told[:seeds] for fault in one.faults]
    for one in told[seeds:]:
        if one.trace != told[one.seed].trace:
            faults.append(f"seed {one.seed} replays to another trace")
    walked = sum((one.walked for one in told[:seeds]), Counter[Arrow]())
    figure = (
        f"{seeds} seeds of {steps} steps, {sum(one.sent for one in told[:seeds])} requests, each "
        f"accounted for; {walked.total()} moves along {len(walked)} of {len(ARROWS)} arrows"
    )
    return line("simulated", figure, faults)


def _begin() -> None:
    logging.disable()  # what booper says of faults that are made on purpose
    gc.disable()  # a seed's rubbish goes when it has been told: a tenth of its time
    gc.freeze()  # and is looked for in what the seed has made alone: a twentieth


def tell(seed: int, steps: int) -> Told:
    """Live through a seed, in whatever process this is."""
    gc.collect()
    world, faults = lived(seed, steps)
    digest = sha256("\n".join(world.trace).encode()).hexdigest()
    return Told(seed, faults, len(world.sent), world.witness.walked, digest)


def lived(seed: int, steps: int, sabotage: str = "") -> tuple[World, list[str]]:
    """Live through a seed; return the world it leaves and what is wrong with it."""
    with TemporaryDirectory(dir=_folder()) as name:
        world = World(seed, Path(name), sabotage)
        try:
            with alarm(DEADLINE_SECONDS):
                asyncio.run(world.live(steps))
        except (Exception, Stuck) as error:  # whatever ends a world is a fault of its seed
            return world, [*world.faults, f"{type(error).__name__}: {error}"]
        with closing(sqlite3.connect(world.database)) as connection:
            return world, [*world.faults, *_jobs(world, connection), *_planned_times(connection)]


def _folder() -> Path | None:
    """Return where databases cost least, None for the usual place of what is temporary."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if has_room else None


def _jobs(world: World, connection: sqlite3.Connection) -> list[str]:
    """Compare what was accepted, kept and sent."""
    found = connection.execute("SELECT id, state, args ->> 'url', schedule_id FROM jobs").fetchall()
    paths = {number: f"/{url.rpartition('/')[2]}" for number, _, url, _ in found}
    left = {number for number, state, _, schedule in found if state not in FINAL and not schedule}
    completed = {number for number, state, _, _ in found if state == "completed"}
    sent = {number for number, _ in world.sent}
    faults: dict[str, Collection[object]] = {
        "lost": world.accepted.items() - paths.items(),
        "sent and not asked for": set(world.sent) - paths.items(),
        "kept and not accepted": set(paths.values()) - set(world.accepted.values()),
        "never ended": left,
        "completed and never sent": completed - sent,
    }
    return [f"{what}: {list(items)[:3]}" for what, items in faults.items() if items]


def _planned_times(connection: sqlite3.Connection) -> list[str]:
    """Check that each planned time before the next run was run, cancelled or skipped, once."""
    faults = []
    for schedule, anchor, every, next_at in connection.execute(
        "SELECT id, anchor, args ->> 'repeat_every', next_at FROM schedules"
    ).fetchall():
        told = Counter(_told(connection, schedule, int(every) * 1_000_000))
        expected = range(anchor, next_at, int(every) * 1_000_000)
        wrong = [at for at in {*told, *expected} if told[at] != (at in expected)]
        faults += [f"{EPOCH + timedelta(microseconds=at)} told {told[at]} times" for at in wrong]
    return faults


def _told(connection: sqlite3.Connection, schedule: bytes, every: int) -> list[int]:
    """Return the planned times of which a schedule's runs and gaps tell, in microseconds."""
    values = (schedule,)
    told = [
        at
        for (at,) in connection.execute(
            "SELECT planned_at FROM jobs WHERE schedule_id = ? AND kind = 'run' AND attempt", values
        )
    ]
    gaps = connection.execute(
        "SELECT payload FROM logs JOIN jobs ON jobs.id = job_id "
        "WHERE schedule_id = ? AND event = 'schedule.skipped'",
        values,
    )
    for (payload,) in gaps.fetchall():
        gap = json.loads(payload)
        told += range(_stored(gap["first"]), _stored(gap["last"]) + 1, every)
    return told


def _stored(at: str) -> int:
    return (datetime.fromisoformat(at) - EPOCH) // timedelta(microseconds=1)


def main(seed: int, steps: int = 1_000) -> None:
    """Print the trace of a seed, and what is wrong with it."""
    _begin()
    world, faults = lived(seed, steps)
    print(*world.trace, *faults, sep="\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
