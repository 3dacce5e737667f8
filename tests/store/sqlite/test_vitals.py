"""What a SQLite file tells of itself: its sizes, and how long it has been read."""

import asyncio
import threading
from pathlib import Path

import pytest

from booper.store.sqlite.connection import reading
from tests.conftest import START
from tests.support.databases import make_database
from tests.support.stores import created, key, sqlite

pytestmark = pytest.mark.anyio


async def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    """As the system has them."""
    async with sqlite(tmp_path) as store:
        await created(store, (await store.keys.create(key("a key"), START)).user_id)
        sizes = await store.vitals.sizes()
        for part, name in (("file", "booper.db"), ("log", "booper.db-wal")):
            assert sizes[part] == (tmp_path / name).stat().st_size
        assert sizes["free"] == 0
        assert (await store.vitals.disk_free() or 0) > 0


async def test_a_read_that_does_not_end_grows_old(tmp_path: Path) -> None:
    """Until it ends: then there is none."""
    make_database(tmp_path / "booper.db")
    release = threading.Event()
    async with reading(tmp_path / "booper.db") as reader:
        assert reader.running_seconds() == 0
        began = threading.Event()

        def read(_: object) -> None:
            began.set()
            release.wait()

        running = asyncio.create_task(reader.run(read))
        await asyncio.to_thread(began.wait)
        first = reader.running_seconds()
        assert 0 < first < reader.running_seconds()
        release.set()
        await running
        assert reader.running_seconds() == 0
