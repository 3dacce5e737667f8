"""PostgreSQL for the simulation: its statements are made in the loop's own thread.

There is one node at a time. Its lease lasts for a day, longer than a world does, since its seconds
are the machine's: what a dead node has left is taken over at the next start. What several nodes do
at once is tried with real processes, by the checks whose names begin with `nodes_`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import psycopg
from psycopg.errors import DiskFull

from booper.clock import SystemClock
from booper.config import Database
from booper.engine import key_uses, pruner, roll_ups, space
from booper.store.postgres import connections, keys, lease, periods, store, writer
from booper.store.postgres.connections import Connection, Kept
from booper.store.postgres.node_rows import BEGIN, SECONDS
from booper.store.postgres.writer import Writer
from tests.support.pgbouncer import pooled
from tests.support.postgres import drop_database, make_database, url_of
from tests.torture.inline import Standing, spin
from tests.torture.simulated_database import Fails, Look
from tests.torture.witness import Row

# A job that ends leaves one table for another: `moves` has that as a row for each.
WATCH: Final = """
CREATE TABLE moves (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id  bigint NOT NULL,
    old     text,
    new     text,
    before  bigint NOT NULL,
    attempt bigint NOT NULL
);
CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO moves (job_id, old, new, before, attempt) VALUES (
        coalesce(new.id, old.id), old.state, new.state,
        coalesce(old.attempt, 0), coalesce(new.attempt, old.attempt)
    );
    RETURN NULL;
END $$;
"""
WATCH_TABLE: Final = """
CREATE TRIGGER made AFTER INSERT OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION moved();
CREATE TRIGGER moved AFTER UPDATE ON {table} FOR EACH ROW
WHEN ((old.id, old.state, old.attempt) IS DISTINCT FROM (new.id, new.state, new.attempt))
EXECUTE FUNCTION moved();
"""
WATCHED: Final = WATCH + "".join(
    WATCH_TABLE.format(table=table) for table in ("live_jobs", "ended_jobs")
)

LATEST: Final = """
SELECT seq, job_id, old, new, before, attempt FROM moves WHERE seq > %s ORDER BY seq
"""
CONNECTED: Final = """
SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'
"""
DISCONNECT: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"

# The machine was away for longer than a lease.
END_LEASES: Final = "UPDATE nodes SET expires_at = clock_timestamp() - interval '1 second'"

LEASE_SECONDS: Final = 86_400.0
MAX_LOOKS: Final = 10_000


class InThisThread(ThreadPoolExecutor):
    """An executor whose work is done when it is given."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Do work now, and return what came of it."""
        future = Future[Any]()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # it is of whoever awaits the work
            future.set_exception(error)
        return future


class Resting(SystemClock):
    """The machine's clock, by which nothing that pauses goes on."""

    pause = Standing.pause


def _no_time() -> float:
    return 0.0


async def _rest(seconds: float) -> None:
    await spin(1)


BY_TIME: Final[Mapping[ModuleType, Mapping[str, Any]]] = {
    connections: {"ThreadPoolExecutor": InThisThread},
    writer: {"ThreadPoolExecutor": InThisThread},
    periods: {"ThreadPoolExecutor": InThisThread},
    lease: {
        "ThreadPoolExecutor": InThisThread,
        "SystemClock": Resting,
        "SECONDS": LEASE_SECONDS,
        "BEGIN": BEGIN.replace(f"{SECONDS} seconds", f"{LEASE_SECONDS} seconds"),
    },
    keys: {"monotonic": _no_time},
    store: {"monotonic": _no_time},
    roll_ups: {"SystemClock": Standing},
    key_uses: {"SystemClock": Standing},
    space: {"SystemClock": Standing, "rest": _rest},
    pruner: {"rest": _rest},
}


class PostgresDatabase:
    """A database of the private server for each life. `sabotage` is SQL that breaks it."""

    def __init__(self, folder: Path, sabotage: str = "", *, is_pooled: bool = False) -> None:
        self._folder = folder
        self._sabotage = sabotage
        self._is_pooled = is_pooled
        self._name = ""
        self._used = set[Kept]()
        self._opened: Connection | None = None

    def make(self) -> None:
        """Make it, empty."""
        self._name = make_database()
        self._connection.execute(WATCHED + self._sabotage)

    @property
    def settings(self) -> Database:
        """Return the settings by which this life reaches it."""
        url, path = url_of(self._name), str(self._folder / "booper.db")
        if self._is_pooled:
            return Database(path=path, url=pooled(url), pooled=True)
        return Database(path=path, url=url)

    @contextmanager
    def inline(self, fails: Fails, look: Look) -> Iterator[None]:
        """Run it in the loop's own thread until the end of the block."""
        asyncio.get_running_loop().set_default_executor(InThisThread())
        transaction, get = Writer._transaction, Kept.get

        def made(self: Writer, *given: Any) -> Any:
            if fails():
                raise DiskFull("the disk is full")
            outcomes = transaction(self, *given)
            look(moves)
            return outcomes

        def moves(last: int) -> Sequence[Row]:
            return joined(self._connection.execute(LATEST, [last]).fetchall())

        def noted(kept: Kept) -> Connection:
            self._used.add(kept)
            return get(kept)

        replaced: dict[type, dict[str, Any]] = {
            Writer: {"_transaction": made},
            Kept: {"get": noted},
        }
        with standing(replaced):
            yield

    def crash(self) -> Callable[[], None]:
        """Copy what is committed now for the next life."""
        old = self._name
        self._disconnect()
        self._name = make_database(template=old)
        self._connection.execute(END_LEASES)
        return lambda: drop_database(old)

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """Return what a query finds."""
        return self._connection.execute(query.encode()).fetchall()

    def close(self) -> None:
        """Drop it."""
        self._disconnect()
        drop_database(self._name)

    @property
    def _connection(self) -> Connection:
        """Return a connection of the simulation's own."""
        if self._opened is None:
            self._opened = psycopg.connect(url_of(self._name), autocommit=True)
        return self._opened

    def _disconnect(self) -> None:
        """Close all connections: nobody may be connected to what is copied."""
        while self._used:
            self._used.pop().drop()
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        with psycopg.connect(url_of("postgres"), autocommit=True) as server:
            if self._is_pooled:  # the pooler keeps them
                server.execute(DISCONNECT, [self._name])
            for _ in range(MAX_LOOKS):
                if server.execute(CONNECTED, [self._name]).fetchone() == (0,):
                    return
        raise TimeoutError(f"somebody is connected to {self._name}")


def joined(rows: Sequence[Row]) -> Sequence[Row]:
    """Return moves in which a job that left one table for another has moved once."""
    found, left = list[Row](), dict[int, Row]()
    for row in rows:
        seq, job_id, old, new, _, attempt = row
        if new is None:
            left[job_id] = row
        elif old is None and (gone := left.pop(job_id, None)) is not None:
            if gone[2] != new or gone[4] != attempt:
                found.append((seq, job_id, gone[2], new, gone[4], attempt))
        else:
            found.append(row)
    return [*found, *left.values()]


@contextmanager
def standing(replaced: Mapping[Any, Mapping[str, Any]]) -> Iterator[None]:
    """Replace names of classes and modules, so that no time of the machine's matters.

    What is done by that would come at another moment each time.
    """
    names = {**BY_TIME, **replaced}
    kept = {owner: {name: vars(owner)[name] for name in of} for owner, of in names.items()}
    try:
        _set(names)
        yield
    finally:
        _set(kept)


def _set(names: Mapping[Any, Mapping[str, Any]]) -> None:
    for owner, of in names.items():
        for name, it in of.items():
            setattr(owner, name, it)
