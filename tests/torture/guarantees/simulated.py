"""Seeds of everything at once: nothing accepted is lost, nothing unasked sent, every time told.

States move along the table alone. A failing seed is named; its trace, the same each time, is
printed by `python -m tests.torture.guarantees.simulated SEED [STEPS [STORE]]`.
"""

import asyncio
import gc
import json
import logging
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from booper.clock import EPOCH
from tests.support.configs import Kind
from tests.torture.line import Line, Size, line
from tests.torture.simulated_database import SimulatedDatabase, SQLiteDatabase
from tests.torture.simulated_postgres import PostgresDatabase
from tests.torture.simulation import World
from tests.torture.stuck import DEADLINE_SECONDS, Stuck, alarm
from tests.torture.witness import ARROWS, Arrow

FINAL = {"completed", "discarded", "cancelled"}

# A crash is the process's here, not the machine's: nothing need reach a disk.
MEMORY = Path("/dev/shm")
ROOM = 2 << 30

FEW: Final = range(2, 5)
"""Seeds in which little is sent."""

PATIENCE: Final = {Kind.SQLITE: 1, Kind.POSTGRES: 5, Kind.PGBOUNCER: 5}
"""By how much longer than with SQLite a seed takes."""


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to tell of a seed; `trace` is a digest."""

    seed: int
    faults: Sequence[str]
    sent: int
    walked: Counter[Arrow]
    trace: str


def measure(size: Size) -> Line:
    """Live through 1,000 seeds of 1,000 steps (in short 3 of 150), the first of them twice."""
    seeds, again, steps = size.pick((range(1_000), 20, 1_000), (range(3), 1, 150))
    return _measure("simulated", Kind.SQLITE, seeds, again, steps)


def measure_postgres(size: Size) -> Line:
    """Do so with one node over PostgreSQL: 1,000 seeds of 100 steps (in short 3 of 60)."""
    seeds, again, steps = size.pick((range(1_000), 20, 100), (FEW, 1, 60))
    return _measure("simulated_postgres", Kind.POSTGRES, seeds, again, steps)


def measure_pgbouncer(size: Size) -> Line:
    """Do so through a pool of five connections to PostgreSQL."""
    seeds, again, steps = size.pick((range(1_000), 20, 100), (FEW, 1, 60))
    return _measure("simulated_pgbouncer", Kind.PGBOUNCER, seeds, again, steps)


def _measure(name: str, kind: Kind, seeds: Sequence[int], again: int, steps: int) -> Line:
    """Live through seeds, the first of them twice.

    Each process hashes in a way of its own, so the second time differs in all that may.
    """
    # Started afresh, not forked: nothing of this process, above all no thread, is to matter.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_begin) as pool:
        tell_of = partial(tell, steps=steps, kind=kind)
        told = list(pool.map(tell_of, [*seeds, *seeds[:again]]))
    first, second = told[: len(seeds)], told[len(seeds) :]
    faults = [f"seed {one.seed}: {fault}" for one in first for fault in one.faults]
    for one, other in zip(first, second, strict=False):  # the first of them alone
        if one.trace != other.trace:
            faults.append(f"seed {one.seed} replays to another trace")
    walked = sum((one.walked for one in first), Counter[Arrow]())
    figure = (
        f"{len(seeds)} seeds of {steps} steps, {sum(one.sent for one in first)} requests, each "
        f"accounted for; {walked.total()} moves along {len(walked)} of {len(ARROWS)} arrows"
    )
    return line(name, figure, faults)


def _begin() -> None:
    logging.disable()  # what booper says of faults that are made on purpose
    gc.disable()  # a seed's rubbish goes when it has been told: a tenth of its time
    gc.freeze()  # and is looked for in what the seed has made alone: a twentieth


def tell(seed: int, steps: int, kind: Kind = Kind.SQLITE) -> Told:
    """Live through a seed, in whatever process this is."""
    gc.collect()
    world, faults = lived(seed, steps, kind=kind)
    digest = sha256("\n".join(world.trace).encode()).hexdigest()
    return Told(seed, faults, len(world.sent), world.witness.walked, digest)


def lived(
    seed: int, steps: int, sabotage: str = "", kind: Kind = Kind.SQLITE
) -> tuple[World, list[str]]:
    """Live through a seed; return the world it leaves and what is wrong with it.

    `sabotage` is SQL that breaks the database, to show that it is found out.
    """
    with _database(kind, sabotage) as database:
        world = World(seed, database)
        try:
            with alarm(PATIENCE[kind] * DEADLINE_SECONDS):
                asyncio.run(world.live(steps))
        except (Exception, Stuck) as error:  # whatever ends a world is a fault of its seed
            return world, [*world.faults, f"{type(error).__name__}: {error}"]
        return world, [*world.faults, *_jobs(world, database), *_planned_times(database)]


@contextmanager
def _database(kind: Kind, sabotage: str) -> Iterator[SimulatedDatabase]:
    with TemporaryDirectory(dir=_folder()) as name:
        if kind is Kind.SQLITE:
            yield SQLiteDatabase(Path(name), sabotage)
            return
        is_pooled = kind is Kind.PGBOUNCER
        with closing(PostgresDatabase(Path(name), sabotage, is_pooled=is_pooled)) as database:
            yield database


def _folder() -> Path | None:
    """Return where databases cost least, None for the usual place of what is temporary."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if has_room else None


def _jobs(world: World, database: SimulatedDatabase) -> list[str]:
    """Compare what was accepted, kept and sent."""
    found = database.rows("SELECT id, state, args, schedule_id FROM jobs")
    urls = {number: json.loads(args)["url"] for number, _, args, _ in found}
    paths = {number: f"/{url.rpartition('/')[2]}" for number, url in urls.items()}
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


def _planned_times(database: SimulatedDatabase) -> list[str]:
    """Check that each planned time before the next run was run, cancelled or skipped, once."""
    faults = []
    for schedule, anchor, args, next_at in database.rows(
        "SELECT id, anchor, args, next_at FROM schedules ORDER BY id"
    ):
        every = int(json.loads(args)["repeat_every"]) * 1_000_000
        told = Counter(_told(database, schedule, every))
        expected = range(anchor, next_at, every)
        wrong = [at for at in {*told, *expected} if told[at] != (at in expected)]
        faults += [f"{EPOCH + timedelta(microseconds=at)} told {told[at]} times" for at in wrong]
    return faults


def _told(database: SimulatedDatabase, schedule: object, every: int) -> list[int]:
    """Return the planned times of which a schedule's runs and gaps tell, in microseconds."""
    runs = database.rows(
        "SELECT schedule_id, planned_at FROM jobs WHERE kind = 'run' AND attempt > 0"
    )
    told = [at for of, at in runs if of == schedule]
    gaps = database.rows(
        "SELECT schedule_id, payload FROM logs JOIN jobs ON jobs.id = job_id "
        "WHERE event = 'schedule.skipped'"
    )
    for gap in (json.loads(payload) for of, payload in gaps if of == schedule):
        told += range(_stored(gap["first"]), _stored(gap["last"]) + 1, every)
    return told


def _stored(at: str) -> int:
    return (datetime.fromisoformat(at) - EPOCH) // timedelta(microseconds=1)


def main(seed: str, steps: str = "1000", kind: str = Kind.SQLITE.value) -> None:
    """Print the trace of a seed, and what is wrong with it."""
    _begin()
    world, faults = lived(int(seed), int(steps), kind=Kind(kind))
    print(*world.trace, *faults, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
