"""SQLite connections on threads of their own: opening them, and running work on them in one hop.

A hop to a connection's thread costs more than most statements, so work goes there whole: a plain
function over the connection, not one statement at a time.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite

from booper.clock import monotonic
from booper.errors import StoreDamaged, StoreFull, StoreUnavailable
from booper.store.sqlite.damage import is_damage, note_damage
from booper.store.sqlite.listing_filters import add_functions
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.values import bind_plainly

T = TypeVar("T")

# 40 MB of log between checkpoints: fewer make random pages be written more often (measured), and
# the log stays under the 64 MB it is promised to.
CHECKPOINT_PAGES = 10_000
CACHE_KIB = 16_384
BUSY_MILLISECONDS = 5_000

# Checkpoints cannot pass a read, so the log grows for as long as it takes. All of booper's own take
# milliseconds.
MAX_READ_SECONDS = 30.0

# How often a read looks at the clock, in steps of SQLite's machine: about a millisecond.
_STEPS = 100_000

_SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL", "none": "OFF"}

_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE"})


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole function on its thread.

    One that is inline runs it in the event loop's own: everything else waits meanwhile, and no
    time goes into hops between threads.
    """

    is_inline = False
    max_seconds: float | None = None
    _began: float | None = None

    async def __aenter__(self) -> "Connection":
        """Open the connection, on a thread of its own."""
        try:
            await super().__aenter__()
            if self.max_seconds is not None:
                await self.set_progress_handler(self._is_over_time, _STEPS)
        except BaseException:
            # Its thread still tells the loop that it has ended; the loop must be there then.
            self._thread.join()
            raise
        return self

    async def run(self, work: Callable[[SQLiteTransaction], T]) -> T:
        """Run `work` where the connection runs and return what it returns.

        Raises:
            StoreUnavailable, StoreFull: SQLite could not do it.
        """
        try:
            if self.is_inline:
                assert isinstance(self._conn, SQLiteTransaction)
                return self._timed(work, self._conn)
            # aiosqlite's own way to its thread, which it leaves untyped and to subclasses.
            result: T = await self._execute(self._timed, work, self._conn)  # type: ignore[no-untyped-call]
        except (sqlite3.Error, MemoryError) as error:
            note_damage(self._conn, error)
            raise unavailable(error) from error
        return result

    def post(self, work: Callable[[SQLiteTransaction], object]) -> None:
        """Run `work` on the thread of the connection; nobody is told when or how it ends.

        Raises:
            ValueError: the connection is closed.
        """
        assert isinstance(self._conn, SQLiteTransaction)
        if self.is_inline:
            self._timed(work, self._conn)
        else:
            self._tx.put_nowait((None, partial(self._timed, work, self._conn)))

    def running_seconds(self) -> float:
        """Return for how long the work that is running now has been, 0 if none is."""
        began = self._began
        return 0.0 if began is None else monotonic() - began

    def _is_over_time(self) -> bool:
        """Return whether the work that is running now has taken too long, which ends it."""
        return self.max_seconds is not None and self.running_seconds() > self.max_seconds

    def _timed(self, work: Callable[[SQLiteTransaction], T], opened: SQLiteTransaction) -> T:
        self._began = monotonic()
        try:
            return work(opened)
        finally:
            self._began = None

    @property
    def damage(self) -> str | None:
        """Return what damage of the file it has met, None if it has met none."""
        damage: str | None = getattr(self._conn, "damage", None)
        return damage


def writing(path: Path, durability: str) -> Connection:
    """Make the one connection that writes and checkpoints.

    `durability` "full" syncs the log at every commit of what must be durable; "normal" at
    checkpoints, so that a power loss can take the last commits
    (https://www.sqlite.org/pragma.html#pragma_synchronous). "none" is for a file that ends with
    its process: nothing waits for the disk, and no thread for another.
    """
    opened = _connection(
        path.absolute().as_uri(),
        f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * 4096}",
        is_full=durability == "full",
    )
    opened.is_inline = durability == "none"
    return opened


def reading(
    path: Path, max_seconds: float = MAX_READ_SECONDS, *, is_inline: bool = False
) -> Connection:
    """Make a connection that reads beside the writing one and can change nothing.

    Work that takes longer than `max_seconds` is ended.
    """
    opened = _connection(path.absolute().as_uri() + "?mode=ro", "PRAGMA query_only = ON")
    opened.is_inline = is_inline
    opened.max_seconds = max_seconds
    return opened


def unavailable(error: sqlite3.Error | MemoryError) -> StoreUnavailable:
    """Return booper's error for an error of SQLite."""
    if getattr(error, "sqlite_errorname", "") in _FULL:
        return StoreFull("the disk is full; free some space and send the request again")
    if is_damage(error):
        return StoreDamaged(f"the database file is damaged: {error}; see the log")
    if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
        return StoreUnavailable("a read of the database took too long and was ended")
    return StoreUnavailable(f"the database cannot be used now: {error or 'no memory is left'}")


def _connection(uri: str, *pragmas: str, is_full: bool = False) -> Connection:
    def connect() -> SQLiteTransaction:
        bind_plainly()
        connection = sqlite3.connect(
            uri,
            uri=True,
            factory=SQLiteTransaction,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            timeout=BUSY_MILLISECONDS / 1000,
        )
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        for pragma in pragmas:
            connection.execute(pragma)
        add_functions(connection)
        connection.is_full = is_full
        connection.checkpoint_pages = CHECKPOINT_PAGES
        return connection

    return Connection(connect, iter_chunk_size=64)
