"""The connections of a client: the open ones, and the idle ones among them."""

import asyncio

from booper.fence import OPEN, Fence
from booper.http.base import Origin
from booper.http.connection import Connection
from booper.http.errors import SendError


class Pool:
    """The open connections of one client.

    `max_idle_per_origin` and `max_idle` bound the idle ones, `max_idle_seconds` how long one may be
    idle. Nothing is sent over them once `fence` is closed.
    """

    def __init__(
        self,
        max_idle_per_origin: int,
        max_idle: int,
        max_idle_seconds: float,
        fence: Fence = OPEN,
    ) -> None:
        self._fence = fence
        self._connections: set[Connection] = set()
        self._idle = IdleConnections(max_idle_per_origin, max_idle, max_idle_seconds)

    def take(self, origin: Origin) -> Connection | None:
        """Return an idle connection to `origin`, None if there is none."""
        return self._idle.take(origin)

    def make(self, origin: Origin) -> Connection:
        """Return a connection that is not open yet, and that comes back here when it is idle."""

        def keep(connection: Connection) -> None:
            self._idle.put(origin, connection)

        def forget(connection: Connection) -> None:
            self._connections.discard(connection)
            self._idle.remove(origin, connection)

        return Connection(keep, forget, self._fence)

    def add(self, connection: Connection) -> None:
        """Count a connection among the open ones."""
        self._connections.add(connection)

    def clear_idle(self) -> None:
        """Close the idle connections."""
        self._idle.clear()

    def close(self, error: SendError) -> None:
        """Close every connection; what runs on them fails with `error`."""
        for connection in tuple(self._connections):
            connection.fail(error)
        self._idle.expire()


class IdleConnections:
    """The connections that wait for another request, the last used first.

    One timer runs while there are any; none when there are none, so an idle process sleeps.
    """

    def __init__(self, per_origin: int, total: int, seconds: float) -> None:
        self._per_origin = per_origin
        self._total = total
        self._seconds = seconds
        self._by_origin: dict[Origin, list[Connection]] = {}
        self._expires: dict[Connection, float] = {}
        """Loop time at which each expires, in the order in which they were put here."""
        self._timer: asyncio.TimerHandle | None = None

    def put(self, origin: Origin, connection: Connection) -> None:
        """Keep `connection`; above the limit, close the one idle for longest. It expires before its
        server closes it: whether a request sent then was carried out is unknown.
        """
        loop, seconds = connection.loop, self._seconds
        if connection.idle_seconds is not None:
            seconds = min(seconds, connection.idle_seconds)
        waiting = self._by_origin.setdefault(origin, [])
        waiting.append(connection)
        self._expires[connection] = expires = loop.time() + seconds
        if len(waiting) > self._per_origin:
            waiting[0].close()
        elif len(self._expires) > self._total:
            next(iter(self._expires)).close()
        if self._timer is None:
            self._timer = loop.call_at(expires, self.expire)

    def take(self, origin: Origin) -> Connection | None:
        """Return the connection to `origin` that was used last, or None."""
        waiting = self._by_origin.get(origin)
        if not waiting:
            return None
        connection = waiting[-1]
        expires = self._expires[connection]
        if expires > connection.loop.time():
            self.remove(origin, connection)
            return connection
        self.expire()
        return None

    def remove(self, origin: Origin, connection: Connection) -> None:
        """Forget `connection`, if it is here."""
        if self._expires.pop(connection, None) is None:
            return
        waiting = self._by_origin[origin]
        waiting.remove(connection)
        if not waiting:
            del self._by_origin[origin]

    def clear(self) -> None:
        """Close every connection."""
        for connection in tuple(self._expires):
            connection.close()
        self.expire()

    def expire(self) -> None:
        """Close what has expired, and sleep until the next one does."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = loop.time()
        for connection in [c for c, expires in self._expires.items() if expires <= now]:
            connection.close()
        if self._expires:
            self._timer = loop.call_at(min(self._expires.values()), self.expire)
