"""Connections to PostgreSQL on threads of their own: opening them again, and running reads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import psycopg
from psycopg.errors import ConnectionTimeout, DiskFull, ReadOnlySqlTransaction

from booper.clock import monotonic
from booper.errors import StoreFull, StoreUnavailable
from booper.store.postgres.silence import PATIENCE, Patience, PatientConnection
from booper.store.postgres.transaction import PostgresTransaction

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS: Final = 5
STATEMENT_MILLISECONDS: Final = 30_000

# A server that is gone without a word is noticed by the system (tcp(7)), not after two hours.
KEEPALIVE: Final[Mapping[str, Any]] = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

OF_THE_STORE: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    ReadOnlySqlTransaction,
    MemoryError,
)
"""Errors of the connection, the server or the memory, not of what was asked for."""

BEGIN_READ: Final = f"""
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {
    STATEMENT_MILLISECONDS
}
"""


class Connector:
    """What opens connections to one database, all alike."""

    def __init__(self, url: str, *, prepares: bool = True, patience: Patience = PATIENCE) -> None:
        self._url = url
        self._prepares = prepares
        self.patience = patience

    def open(self) -> PatientConnection:
        """Return a new connection, in whose transactions nothing begins by itself.

        It waits for responses for as long as it takes.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
        """
        return PatientConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            prepare_threshold=5 if self._prepares else None,
            application_name="booper",
            **KEEPALIVE,
        )


class Kept:
    """A connection that is kept, and opened again when it has broken. For one thread at a time.

    It waits for each response for so many `seconds`, by default for what a statement may take.
    """

    def __init__(self, connector: Connector, seconds: float | None = None) -> None:
        self.patience = connector.patience
        self._seconds = self.patience.statement if seconds is None else seconds
        self._connector = connector
        self._connection: PatientConnection | None = None

    def get(self) -> PatientConnection:
        """Return the open connection. Raises: psycopg.OperationalError."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connector.open()
            self._connection.seconds = self._seconds
        return self._connection

    def drop_broken(self) -> bool:
        """Return whether the connection has broken; the next one is opened anew."""
        if self._connection is None or not self._connection.closed:
            return False
        self._connection = None
        return True

    def drop(self) -> None:
        """Close the connection: what it did may not be known."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Readers:
    """Some connections that read, each on a thread of its own while it does."""

    def __init__(self, connector: Connector, count: int) -> None:
        self._connector = connector
        self._executor = ThreadPoolExecutor(count, "store reader")
        self._idle: SimpleQueue[Kept] = SimpleQueue()
        for _ in range(count):
            self._idle.put(Kept(connector))
        self._count = count
        self._began: dict[int, float] = {}
        self._silence: tuple[float, str] | None = None
        """When the server was last found to be silent, and in which words."""

    async def run(self, work: Callable[[PostgresTransaction], T]) -> T:
        """Run `work` in a read-only transaction and return what it returns.

        All of it sees the database as it was at one moment. A connection that has broken is opened
        again once: a read can be made twice. What waits for its turn while another read finds that
        the server is silent is not tried any more.

        Raises:
            StoreUnavailable: the database could not do it.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._run, work, monotonic())

    def running_seconds(self) -> float:
        """Return how long the oldest read has been running, 0 if none is."""
        began = min(list(self._began.values()), default=None)
        return 0.0 if began is None else monotonic() - began

    def close(self) -> None:
        """End: no read may come after this."""
        self._executor.shutdown()
        for _ in range(self._count):
            self._idle.get().drop()

    def _run(self, work: Callable[[PostgresTransaction], T], asked_at: float) -> T:
        kept = self._idle.get()
        self._began[id(kept)] = monotonic()
        try:
            with told_as_ours():
                return self._tried(kept, work, asked_at)
        finally:
            del self._began[id(kept)]
            self._idle.put(kept)

    def _tried(self, kept: Kept, work: Callable[[PostgresTransaction], T], asked_at: float) -> T:
        if self._silence is not None and asked_at < self._silence[0]:
            raise ConnectionTimeout(self._silence[1])
        try:
            return _read(kept, work)
        except ConnectionTimeout as error:
            kept.drop_broken()
            self._silence = monotonic(), str(error)
            raise
        except psycopg.OperationalError:
            if not kept.drop_broken():
                raise
            return _read(kept, work)


def _read(kept: Kept, work: Callable[[PostgresTransaction], T]) -> T:
    connection = kept.get()
    try:
        with connection.within(kept.patience.response):
            connection.execute(BEGIN_READ)
        result = work(PostgresTransaction(connection, 0, is_writing=False))
        with connection.within(kept.patience.response):
            connection.execute("COMMIT")
    except BaseException:
        if connection.closed:
            raise
        connection.rollback()
        raise
    return result


@contextmanager
def told_as_ours() -> Iterator[None]:
    """Raise what the driver raises as an error of the store."""
    try:
        yield
    except OF_THE_STORE as error:
        raise unavailable(error) from error


def unavailable(error: Exception) -> StoreUnavailable:
    """Return the error of the store for one of the driver's."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, DiskFull):
        return StoreFull(f"the database has no room left: {text}")
    return StoreUnavailable(f"the database: {text}")


@asynccontextmanager
async def reading(connector: Connector, count: int) -> AsyncIterator[Readers]:
    """Yield connections that read, closed at the end of the block."""
    readers = Readers(connector, count)
    try:
        yield readers
    finally:
        await asyncio.to_thread(readers.close)
