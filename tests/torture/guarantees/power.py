"""Power is lost at any moment: what was acknowledged is there, and the file is whole.

No create that was acknowledged and no result that was settled is lost. A claim may be: its job is
then due as before, and its attempt is made again.

The real store works behind a shim that records its file-system calls in order. The recording is
cut at random points, and the files are made again with what was synced and any part of the rest.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from booper.errors import BooperError
from booper.store.sqlite import open_store
from tests.torture import recorded_store, shim
from tests.torture.disk import Call, Disk, calls
from tests.torture.line import Line, Size, line

RECORDING_SECONDS = 60.0


def measure(size: Size) -> Line:
    """Cut the recording of 400 (in short 60) jobs at 400 (in short 30) points."""
    jobs, cuts = size.pick(400, 60), size.pick(400, 30)
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "store").mkdir()
        recording = folder / "recording"
        arguments = (str(folder / "store"), str(recording), str(jobs))
        shim.run("tests.torture.recorded_store", *arguments, seconds=RECORDING_SECONDS)
        done = [call for call in calls(recording.read_bytes()) if not _is_shared_memory(call)]
        faults = _check_recording(done)
        random = Random(1)
        points = sorted(random.sample(range(len(done)), cuts))
        lost = 0
        for point in points:
            found = _cut(done[:point], folder / "store", random)
            faults += found.faults
            lost += found.lost_claims
    if not lost:
        faults.append("no cut took a claim: either all reach the disk, or none was tried")
    syncs = sum(call.kind == "s" for call in done)
    figure = (
        f"{cuts} cuts in {len(done)} calls ({syncs} syncs) of {jobs} acknowledged jobs; "
        f"{lost} claims lost"
    )
    return line("power", figure, faults)


def _is_shared_memory(call: Call) -> bool:
    return call.path.name.endswith("-shm")


def _check_recording(done: list[Call]) -> list[str]:
    """Check that there was something to lose: a log, checkpoints, the end of a log."""
    seen = {(call.kind, call.path.name) for call in done}
    wanted = {
        *(("w", "booper.db"), ("s", "booper.db"), ("w", "booper.db-wal"), ("s", "booper.db-wal")),
        *(("u", "booper.db-wal"), ("w", recorded_store.ACKNOWLEDGED)),
    }
    return [f"never recorded: {kind} {name}" for kind, name in wanted - seen]


class Left(NamedTuple):
    """What a power loss has left: what is wrong with it, and how many claims are gone."""

    faults: list[str]
    lost_claims: int = 0


def _cut(done: list[Call], folder: Path, random: Random) -> Left:
    """Lose power after these calls; return what is wrong with what is left."""
    disk, acknowledged = Disk(folder), b""
    for call in done:
        if call.path.name == recorded_store.ACKNOWLEDGED:
            acknowledged += call.data
        else:
            disk.play(call)
    with TemporaryDirectory() as name:
        left = Path(name)
        disk.lose_power(left, random)
        try:
            asyncio.run(_open(left / "booper.db"))
            found = _look(left / "booper.db", acknowledged.decode().split())
        except (BooperError, sqlite3.Error) as error:
            found = Left([str(error)])
    return found._replace(faults=[f"after {len(done)} calls: {it}" for it in found.faults])


async def _open(database: Path) -> None:
    async with open_store(database, "full", Random(1)):
        pass


ALLOWED = {
    "+": {"scheduled", "executing", "completed"},
    "~": {"scheduled", "executing", "completed"},
    "!": {"completed"},
}
"""In which states a job may be that was created, claimed or settled."""


def _look(database: Path, acknowledged: list[str]) -> Left:
    """Compare a file that the store has opened with what it had acknowledged."""
    with closing(sqlite3.connect(database)) as connection:
        verdict = connection.execute("PRAGMA integrity_check").fetchall()
        states = dict(connection.execute("SELECT id, state FROM jobs").fetchall())
    faults = [] if verdict == [("ok",)] else [f"integrity: {verdict[0]}"]
    lost = 0
    for word in acknowledged:
        state = states.get(int(word[1:]))
        if state not in ALLOWED[word[0]]:
            faults.append(f"job {word} is {state}")
        lost += word[0] == "~" and state == "scheduled"
    return Left(faults, lost)
