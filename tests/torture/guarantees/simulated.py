"""Seeds of everything at once: nothing accepted is lost, nothing unasked sent, every time told.

States move along the table alone. A failing seed is named;
`python -m tests.torture.guarantees.simulated SEED` prints its trace.
"""

import asyncio
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from booper.clock import EPOCH
from tests.torture.line import Line, Size, line
from tests.torture.simulation import World
from tests.torture.witness import ARROWS, Arrow

FINAL = {"completed", "discarded", "cancelled"}


def measure(size: Size) -> Line:
    """Live through 1,000 seeds of 1,000 steps (in short 3 of 150), the first of them twice."""
    seeds, steps = size.pick(1_000, 3), size.pick(1_000, 150)
    faults: list[str] = []
    sent = 0
    walked: Counter[Arrow] = Counter()
    first, _ = lived(0, steps)
    for seed in range(seeds):
        world, found = lived(seed, steps)
        sent += len(world.sent)
        walked += world.witness.walked
        faults += [f"seed {seed}: {fault}" for fault in found]
        if seed == 0 and world.trace != first.trace:
            faults.append("seed 0 replays to another trace")
    figure = (
        f"{seeds} seeds of {steps} steps, {sent} requests, each accounted for; "
        f"{walked.total()} moves along {len(walked)} of {len(ARROWS)} arrows"
    )
    return line("simulated", figure, faults)


def lived(seed: int, steps: int, sabotage: str = "") -> tuple[World, list[str]]:
    """Live through a seed; return the world it leaves and what is wrong with it."""
    with TemporaryDirectory() as name:
        world = World(seed, Path(name), sabotage)
        try:
            asyncio.run(world.live(steps))
        except Exception as error:  # whatever ends a world is a fault of its seed
            return world, [*world.faults, f"{type(error).__name__}: {error}"]
        with closing(sqlite3.connect(world.database)) as connection:
            return world, [*world.faults, *_jobs(world, connection), *_planned_times(connection)]


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
        told = Counter(_told(connection, schedule, timedelta(seconds=int(every))))
        expected = range(anchor, next_at, int(every) * 1_000_000)
        wrong = [at for at in {*told, *expected} if told[at] != (at in expected)]
        faults += [f"{EPOCH + timedelta(microseconds=at)} told {told[at]} times" for at in wrong]
    return faults


def _told(connection: sqlite3.Connection, schedule: bytes, every: timedelta) -> list[int]:
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
        at = datetime.fromisoformat(gap["first"])
        while at <= datetime.fromisoformat(gap["last"]):
            told.append((at - EPOCH) // timedelta(microseconds=1))
            at += every
    return told


if __name__ == "__main__":
    last, wrong = lived(int(sys.argv[1]), 1_000)
    print(*last.trace, *wrong, sep="\n")
