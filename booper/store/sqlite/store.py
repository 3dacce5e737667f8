"""The SQLite store put together, and its lifetime: lock, two connections, one writer."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random

from booper.errors import StoreUnavailable
from booper.store.sqlite.connection import reading, writing
from booper.store.sqlite.jobs import SQLiteJobs
from booper.store.sqlite.keys import SQLiteKeys
from booper.store.sqlite.lock import ProcessLock
from booper.store.sqlite.logs import SQLiteLogs
from booper.store.sqlite.schema import UnusableDatabase, migrate
from booper.store.sqlite.values import stored
from booper.store.sqlite.writer import Writer

BEAT = """
INSERT INTO pulse (id, beat_at) VALUES (1, :now) ON CONFLICT (id) DO UPDATE SET beat_at = :now
"""


class SQLiteStore:
    """The whole database (`booper.store.base.Store`)."""

    def __init__(
        self, jobs: SQLiteJobs, logs: SQLiteLogs, keys: SQLiteKeys, writer: Writer
    ) -> None:
        self.jobs = jobs
        self.logs = logs
        self.keys = keys
        self._writer = writer

    async def check_writable(self, now: datetime) -> None:
        """Write something durable. Raises: StoreUnavailable."""
        values = {"now": stored(now)}
        await self._writer.run(lambda connection: connection.execute(BEAT, values).rowcount)


@asynccontextmanager
async def open_store(path: Path, durability: str, random: Random) -> AsyncIterator[SQLiteStore]:
    """Open the database file, made and migrated where needed; the only process to hold it.

    Raises:
        StartError: another process holds it, or the file cannot serve.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(ProcessLock(path))
        try:
            store = await _opened(stack, path, durability, random)
        except (sqlite3.Error, StoreUnavailable) as error:
            raise UnusableDatabase(f"cannot open the database {path}: {error}") from error
        yield store


async def _opened(
    stack: AsyncExitStack, path: Path, durability: str, random: Random
) -> SQLiteStore:
    connection = await stack.enter_async_context(writing(path, durability))
    await connection.run(lambda opened: migrate(opened, str(path)))
    writer = Writer(connection)
    keys = SQLiteKeys(writer, random)
    await connection.run(keys.load)
    reader = await stack.enter_async_context(reading(path))
    await stack.enter_async_context(_committing(writer))
    jobs = SQLiteJobs(writer, reader, random)
    return SQLiteStore(jobs, SQLiteLogs(reader), keys, writer)


@asynccontextmanager
async def _committing(writer: Writer) -> AsyncIterator[None]:
    """Run the writer; at the end it commits what waits before its connection is closed."""
    task = asyncio.create_task(writer.commit_forever(), name="store writer")
    try:
        yield
    finally:
        writer.close()
        await asyncio.shield(task)
