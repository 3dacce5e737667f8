"""What a PostgreSQL database tells of itself: its size, and how long it is read."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from booper.store.base import Store
from booper.store.postgres.connections import Connector, reading
from tests.conftest import START
from tests.support.postgres import postgres, rows_in, url_in
from tests.support.stores import MINUTE, key

pytestmark = pytest.mark.anyio

SIZE = "SELECT pg_database_size(current_database()) AS size"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store."""
    async with postgres(tmp_path) as opened:
        yield opened


async def test_the_size_is_that_of_the_database(store: Store, tmp_path: Path) -> None:
    """The log is the server's; what is free, in the files and on the disk, nobody tells."""
    for number in range(20):
        await store.keys.create(key(str(number)), START + number * MINUTE)
    [row] = rows_in(tmp_path, SIZE)
    assert await store.vitals.sizes() == {"file": row["size"], "log": 0, "free": 0}
    assert (await store.pruning.space()).size == row["size"]
    assert await store.vitals.disk_free() is None


async def test_a_read_that_does_not_end_grows_old(store: Store, tmp_path: Path) -> None:
    """Until it ends: then there is none."""
    release, began = threading.Event(), threading.Event()

    def read(_: object) -> None:
        began.set()
        release.wait()

    async with reading(Connector(url_in(tmp_path)), 1) as readers:
        assert readers.running_seconds() == 0
        running = asyncio.create_task(readers.run(read))
        await asyncio.to_thread(began.wait)
        first = readers.running_seconds()
        assert 0 < first < readers.running_seconds()
        release.set()
        await running
        assert readers.running_seconds() == 0
