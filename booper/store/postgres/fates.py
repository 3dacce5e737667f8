"""What became of a transaction whose connection broke during its COMMIT.

The server knows that by the transaction's number (`pg_xact_status`), as long as the number means
that transaction: after a crash, or at a standby that took over, it may be given anew. Either
empties the table `server_life`, which is not logged; a restart of the server does not.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from enum import Enum, auto
from threading import Event
from typing import Final, NamedTuple
from uuid import UUID

import psycopg

from booper.clock import monotonic
from booper.store.postgres.connections import Connection, Connector

log = logging.getLogger("booper.store")

# A number is given at once; a transaction that writes nothing waits for no disk for that.
NUMBER: Final = "SELECT pg_current_xact_id()::text"
LIFE: Final = "SELECT life FROM server_life"
LIVE: Final = """
INSERT INTO server_life (id, life) VALUES (1, gen_random_uuid()) ON CONFLICT DO NOTHING
"""
STATUS: Final = "SELECT pg_xact_status(%s::text::xid8)"

# The server may not know yet that nobody is at the other end.
END: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = %s::text::xid8::xid
"""

PAUSE_SECONDS: Final = 0.05
"""The pause between two questions."""


class Fate(Enum):
    """What became of a transaction."""

    COMMITTED = auto()
    ABORTED = auto()
    UNKNOWN = auto()


class Begun(NamedTuple):
    """A transaction's number, and the life of the server in which its connection was opened."""

    number: str
    life: UUID


class InDoubt(Exception):
    """A transaction was committed, or was not."""


class Fates:
    """Questions to the database, each over a connection of its own. `close` ends them."""

    def __init__(self, connector: Connector, now: Callable[[], float] = monotonic) -> None:
        self._connector = connector
        self._max_seconds = connector.patience.response
        self._now = now
        self._is_closing = Event()
        self._known: tuple[Connection, UUID] | None = None

    def begin(self, connection: Connection, statements: str) -> Begun:
        """Begin a transaction by statements of which `NUMBER` is the last one."""
        if self._known is None or self._known[0] is not connection:
            self._known = connection, _life_of(connection)
        cursor = connection.execute(statements)
        while cursor.nextset():
            pass
        [(number,)] = cursor
        return Begun(number, self._known[1])

    def of(self, begun: Begun) -> Fate:
        """Return what became of a transaction, after a few seconds at most."""
        until = self._now() + self._max_seconds
        while self._now() < until:
            try:
                with (
                    closing(self._connector.open()) as connection,
                    connection.within(until - self._now()),
                ):
                    return self._asked(connection, begun, until)
            except psycopg.OperationalError as error:
                log.debug("what became of a commit is not known yet: %s", error)
            except psycopg.Error:
                break  # it is a standby now, or its numbers are others
            if self._is_closing.wait(PAUSE_SECONDS):
                break
        return Fate.UNKNOWN

    def close(self) -> None:
        """Put at most one more question."""
        self._is_closing.set()

    def _asked(self, connection: Connection, begun: Begun, until: float) -> Fate:
        """Return what became of a transaction. Raises: psycopg.Error."""
        while self._now() < until:
            if connection.execute(LIFE).fetchone() != (begun.life,):
                return Fate.UNKNOWN
            match connection.execute(STATUS, [begun.number]).fetchone():
                case ("committed",):
                    return Fate.COMMITTED
                case ("aborted",):
                    return Fate.ABORTED
                case ("in progress",):
                    connection.execute(END, [begun.number])
                case _:
                    return Fate.UNKNOWN
            self._is_closing.wait(PAUSE_SECONDS)
        return Fate.UNKNOWN


def _life_of(connection: Connection) -> UUID:
    """Return in which life the server is: a crash of it would have ended this connection."""
    connection.execute(LIVE)
    [(life,)] = connection.execute(LIFE)
    return UUID(str(life))
