"""Connections that end where their server is silent: a statement waits so long and no longer.

The server's own limits are of no use there. One that is frozen does not look at its clock, and a
pooler without a free server keeps back the BEGIN that would set them.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, Final, NamedTuple, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout

from booper.clock import monotonic

RV = TypeVar("RV")


class Patience(NamedTuple):
    """For how many seconds a response is waited for.

    Attributes:
        response: to BEGIN and COMMIT; also how long a change waits until it is taken.
        statement: to any other statement; the server itself ends one earlier.
    """

    response: float = 5.0
    statement: float = 32.0


PATIENCE: Final = Patience()


class Silent(ConnectionTimeout):
    """The server did not respond to a statement in time; the connection is closed."""


class PatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed where a statement has no response after so many `seconds`."""

    seconds: float = inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Wait for each response in the block for so long at most."""
        before, self.seconds = self.seconds, seconds
        try:
            yield
        finally:
            self.seconds = before

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """Wait for what the driver waits for. Raises: Silent, psycopg.Error."""
        return super().wait(self._watched(gen), *args, **kwargs)

    def _watched(self, gen: PQGen[RV]) -> PQGen[RV]:
        """Wait as `gen` does; the driver also goes on without news, some times a second."""
        silent_since, is_shut, ready = None, False, None
        try:
            while True:
                ready = yield gen.send(ready)  # type: ignore[arg-type]  # None begins it
                if ready:
                    silent_since = None
                elif silent_since is None:
                    silent_since = monotonic()
                elif monotonic() - silent_since > self.seconds and not is_shut:
                    is_shut = True
                    shut(self.fileno())
        except StopIteration as end:
            result: RV = end.value
            return result
        except psycopg.OperationalError as error:
            if is_shut:
                raise Silent(f"no response within {self.seconds:g} s") from error
            raise


def shut(descriptor: int) -> None:
    """End a connection for whoever waits for it; a cancelled wait would ask the server first."""
    with socket.socket(fileno=os.dup(descriptor)) as connection, suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
