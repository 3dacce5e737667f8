"""The real store at work, its calls recorded by the shim: `recorded_store FOLDER RECORDING JOBS`.

What is acknowledged is written to the file `acknowledged`, so that it stands in the recording
between the calls before and after it: `+ID` for a create, `~ID` for a claim, `!ID` for a recorded
result. Of the jobs that are claimed every second one is settled.
"""

import asyncio
import os
import sys
from pathlib import Path
from random import Random

from booper.store.sqlite import connection, open_store
from tests.conftest import START
from tests.support.stores import claim, completed, created, due, key, settle
from tests.torture.shim import Shim

ACKNOWLEDGED = "acknowledged"
# Small, so that a short recording has many checkpoints.
CHECKPOINT_PAGES = 60
TOGETHER = 5


async def work(database: Path, jobs: int, life: int, acknowledged: int) -> None:
    """Create jobs, a few at a time, send every second one, and close the store."""
    async with open_store(database, "full", Random(life)) as store:
        user = (await store.keys.create(key(f"life {life}"), START)).user_id
        for _ in range(jobs // TOGETHER):
            made = await asyncio.gather(*(created(store, user) for _ in range(TOGETHER)))
            os.write(acknowledged, "".join(f"+{job.id}\n" for job in made).encode())
            claimed = await claim(store, [due(job) for job in made[::2]])
            os.write(acknowledged, "".join(f"~{job.id}\n" for job in claimed).encode())
            for job in claimed[::2]:
                await settle(store, job, completed(job))
                os.write(acknowledged, f"!{job.id}\n".encode())


def main(folder: Path, recording: Path, jobs: int) -> None:
    """Record two lives of a store."""
    assert connection.CHECKPOINT_PAGES
    connection.CHECKPOINT_PAGES = CHECKPOINT_PAGES
    with recording.open("wb", buffering=0) as record, (folder / ACKNOWLEDGED).open("wb") as told:
        Shim().watch(folder, record.fileno())
        for life in range(2):
            asyncio.run(work(folder / "booper.db", jobs // 2, life, told.fileno()))
        Shim().watch(Path("/nowhere"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
