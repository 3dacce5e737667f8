"""Connections on threads of their own, and the inner parts of aiosqlite that they use."""

import sqlite3
import threading
from pathlib import Path
from random import Random

import aiosqlite
import pytest

from booper.clock import EPOCH
from booper.errors import StoreUnavailable
from booper.store.sqlite import open_store
from booper.store.sqlite.connection import Connection, reading, writing
from tests.support.databases import make_database

pytestmark = pytest.mark.anyio


def connect() -> sqlite3.Connection:
    """Open a database in memory for any thread."""
    return sqlite3.connect(":memory:", check_same_thread=False)


async def test_aiosqlite_still_has_what_a_connection_uses() -> None:
    """`_execute` runs a function on the thread `_thread`, and `_conn` is sqlite3's connection.

    None of it is promised. If this fails with a newer aiosqlite, `connection.py` must change before
    the bound in `pyproject.toml` does.
    """
    connection = aiosqlite.Connection(connect, iter_chunk_size=64)
    async with connection:
        thread: object = await connection._execute(threading.current_thread)  # type: ignore[no-untyped-call]
        assert thread is connection._thread
        assert isinstance(connection._conn, sqlite3.Connection)
    connection._thread.join(timeout=10)
    assert not connection._thread.is_alive()


async def test_a_function_runs_on_the_connections_thread_in_one_hop() -> None:
    """It gets sqlite3's connection, and what it returns comes back."""
    async with Connection(connect, iter_chunk_size=64) as connection:
        number, thread = await connection.run(
            lambda opened: (opened.execute("SELECT 1").fetchone()[0], threading.current_thread())
        )
    assert (number, thread is threading.current_thread()) == (1, False)


ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_a_read_that_takes_too_long_is_ended_and_the_next_one_is_not(tmp_path: Path) -> None:
    """No checkpoint can pass it, so it would keep the log growing for ever."""
    path = tmp_path / "booper.db"
    make_database(path)
    async with reading(path, max_seconds=0.01) as connection:
        with pytest.raises(StoreUnavailable, match="took too long and was ended"):
            await connection.run(lambda opened: opened.execute(ENDLESS).fetchone())
        assert await connection.run(lambda opened: opened.execute("SELECT 1").fetchone()) == (1,)


def names_in(folder: Path) -> list[str]:
    """Return the names of what is in a folder, in order."""
    return sorted(file.name for file in folder.iterdir())


async def test_a_connection_to_a_file_that_is_thrown_away_works_in_the_loops_own_thread(
    tmp_path: Path,
) -> None:
    """It writes no journal to the disk, and its errors are those of any other connection."""
    path = tmp_path / "booper.db"
    async with open_store(path, "none", Random(1)) as store:
        await store.check_writable(EPOCH)
        assert names_in(tmp_path) == ["booper.db", "booper.db.lock"]
    async with writing(path, "none") as connection:
        thread = await connection.run(lambda opened: threading.current_thread())
        assert thread is threading.current_thread()
        with pytest.raises(StoreUnavailable, match="no such table: missing"):
            await connection.run(lambda opened: opened.execute("SELECT * FROM missing"))
