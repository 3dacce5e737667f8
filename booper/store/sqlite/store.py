"""The SQLite store put together, and its lifetime: lock, connections, one writer."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random

from booper.clock import SystemClock, monotonic
from booper.errors import StoreDamaged, StoreUnavailable
from booper.store.announcing import Announcements
from booper.store.limits import NO_LIMITS, Limits
from booper.store.sqlite.alerting import SQLiteAlerting
from booper.store.sqlite.backup import connect
from booper.store.sqlite.connection import Connection, reading, writing
from booper.store.sqlite.counters import SQLiteCounters
from booper.store.sqlite.files import Files
from booper.store.sqlite.first_key import FirstKeyFile
from booper.store.sqlite.history import SQLiteHistory
from booper.store.sqlite.jobs import SQLiteJobs
from booper.store.sqlite.keys import SQLiteKeys
from booper.store.sqlite.lock import FileLock, ProcessLock
from booper.store.sqlite.logs import SQLiteLogs
from booper.store.sqlite.nodes import SQLiteNodes
from booper.store.sqlite.pauses import SQLitePauses
from booper.store.sqlite.pruning import SQLitePruning
from booper.store.sqlite.queue import SQLiteQueue
from booper.store.sqlite.schedules import SQLiteSchedules
from booper.store.sqlite.schema import UnusableDatabase, migrate, read_version
from booper.store.sqlite.sessions import SQLiteSessions
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.upgrade_copy import copy_before_upgrade
from booper.store.sqlite.vitals import SQLiteVitals
from booper.store.sqlite.writer import Writer
from booper.store.stored import stored

BEAT = """
INSERT INTO pulse (id, beat_at) VALUES (1, :now) ON CONFLICT (id) DO UPDATE SET beat_at = :now
"""

BEGIN_OWNING = "INSERT INTO owners DEFAULT VALUES"
FORGET_OWNERS = "DELETE FROM owners WHERE id <> :owner"

# Anyone may ask whether booper is ready; that must not keep the disk busy.
FRESH_SECONDS = 1.0


class SQLiteStore:
    """The whole database (`booper.store.base.Store`)."""

    sharing = None

    def __init__(
        self,
        writer: Writer,
        announcements: Announcements,
        reader: Connection,
        loop_reader: Connection,
        keys: SQLiteKeys,
        nodes: SQLiteNodes,
        files: Files,
        random: Random,
        limits: Limits,
        path: Path,
    ) -> None:
        self.jobs = SQLiteJobs(writer, reader, random, limits.max_waiting)
        self.schedules = SQLiteSchedules(writer, reader, random, limits.max_waiting)
        self.queue = SQLiteQueue(writer, loop_reader, random)
        self.pauses = SQLitePauses(writer, reader)
        self.logs = SQLiteLogs(reader)
        self.counters = SQLiteCounters(reader)
        self.vitals = SQLiteVitals(path, writer.commits, [reader, loop_reader])
        self.pruning = SQLitePruning(writer, reader)
        self.alerting = SQLiteAlerting(writer, reader)
        self.history = SQLiteHistory(writer, reader)
        self.keys = keys
        self.nodes = nodes
        self.sessions = SQLiteSessions(writer, reader)
        self.subscribe = announcements.subscribe
        self.watch = announcements.watch
        self.limits = limits.of
        self._writer = writer
        self._reader = reader
        self._loop_reader = loop_reader
        self._files = files
        self._fresh_until = 0.0

    async def check_writable(self, now: datetime) -> None:
        """Write something durable, or have done so a moment ago. Raises: StoreUnavailable."""
        self._files.check()
        if damage := self._writer.damage or self._reader.damage or self._loop_reader.damage:
            raise StoreDamaged(f"the database file is damaged: {damage}; see the log")
        if monotonic() < self._fresh_until:
            return
        values = {"now": stored(now)}
        await self._writer.run(lambda connection: connection.execute(BEAT, values).rowcount)
        self._fresh_until = monotonic() + FRESH_SECONDS


@asynccontextmanager
async def open_store(
    path: Path,
    durability: str,
    random: Random,
    limits: Limits = NO_LIMITS,
    before_upgrade: Callable[[Path, int], None] = copy_before_upgrade,
) -> AsyncIterator[SQLiteStore]:
    """Open the database file, made and migrated where needed; the only process to hold it.

    `durability` is what `writing` takes.

    `before_upgrade` is called with the path and the number of the schema that is to be changed.

    Raises:
        StartError: another process holds it, or the file cannot serve.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(ProcessLock(path))
        _create(path)
        stack.enter_context(FileLock(path))
        try:
            await asyncio.to_thread(_check_log, path)
            connection = await stack.enter_async_context(writing(path, durability))
            upgrade = partial(before_upgrade, path)
            journal = "MEMORY" if durability == "none" else "WAL"
            await connection.run(lambda opened: migrate(opened, str(path), upgrade, journal))
            store = await _opened(stack, path, connection, random, limits)
        except (sqlite3.Error, StoreUnavailable) as error:
            raise UnusableDatabase(f"cannot open the database {path}: {error}") from error
        yield store


def begin_owning(connection: SQLiteTransaction) -> int:
    """Draw a new number, under which this process claims jobs, and return it."""
    number = connection.execute(BEGIN_OWNING).lastrowid
    assert number is not None
    connection.execute(FORGET_OWNERS, {"owner": number})
    connection.owner = number
    return number


def _create(path: Path) -> None:
    """Make the file, if it is not there, for its owner alone; SQLite gives its log the same mode.

    Only if it is not there: closing a file gives up this process's locks on it
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled).
    """
    with suppress(OSError):  # SQLite says what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _check_log(path: Path) -> None:
    """Check the schema of a database whose log a killed process has left, without a change.

    A connection that may write moves the log into the file when it is closed. Whatever else is
    wrong, that one finds; this one would leave an empty log where there is none.

    Raises:
        UnusableDatabase: it is another program's, or from a newer booper.
    """
    log = Path(f"{path.resolve()}-wal")
    if log.exists() and log.stat().st_size:
        with suppress(sqlite3.Error), closing(connect(path, "mode=ro")) as opened:
            read_version(opened, str(path))


async def _opened(
    stack: AsyncExitStack, path: Path, connection: Connection, random: Random, limits: Limits
) -> SQLiteStore:
    nodes = SQLiteNodes(await connection.run(begin_owning), SystemClock().now())
    files = Files(path)
    announcements = Announcements()
    writer = Writer(connection, files.check, announcements.committed)
    keys = SQLiteKeys(writer, random, FirstKeyFile(path))
    await connection.run(keys.load)
    is_inline = connection.is_inline
    reader = await stack.enter_async_context(reading(path, is_inline=is_inline))
    # Of its own, so that somebody's long list does not hold up what is due.
    loop_reader = await stack.enter_async_context(reading(path, is_inline=is_inline))
    await stack.enter_async_context(_committing(writer))
    await stack.enter_async_context(_watching(files))
    return SQLiteStore(
        writer, announcements, reader, loop_reader, keys, nodes, files, random, limits, path
    )


@asynccontextmanager
async def _watching(files: Files) -> AsyncIterator[None]:
    task = asyncio.create_task(files.watch(), name="store files")
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def _committing(writer: Writer) -> AsyncIterator[None]:
    """Run the writer; at the end it commits what waits before its connection is closed."""
    task = asyncio.create_task(writer.commit_forever(), name="store writer")
    try:
        yield
    finally:
        writer.close()
        await asyncio.shield(task)
