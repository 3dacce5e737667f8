"""Connections that wait for their clients: when there are too many, one of them makes room."""

from typing import Generic, TypeVar

C = TypeVar("C")


class Waiting(Generic[C]):
    """The connections of a listener without a request under way.

    Connections that have sent a request are kept longer. The first to make room is one on which no
    request has come, then one between two requests, then one whose body is still coming. Of each
    kind it is the one that has waited longest.
    """

    def __init__(self) -> None:
        self._new: dict[C, None] = {}
        self._idle: dict[C, None] = {}
        self._receiving: dict[C, None] = {}
        self._places: dict[C, dict[C, None]] = {}

    def begin(self, connection: C) -> None:
        """Add a connection on which nothing has come yet."""
        self._put(connection, self._new)

    def idle(self, connection: C) -> None:
        """Add one whose requests all have a response."""
        self._put(connection, self._idle)

    def receive(self, connection: C) -> None:
        """Add one whose request's body is still coming."""
        self._put(connection, self._receiving)

    def leave(self, connection: C) -> None:
        """Remove a connection: it has a request, or it has ended."""
        place = self._places.pop(connection, None)
        if place is not None:
            del place[connection]

    def pop(self) -> C | None:
        """Remove and return the connection that is to make room, None if there is none."""
        for waiting in (self._new, self._idle, self._receiving):
            for connection in waiting:
                self.leave(connection)
                return connection
        return None

    def _put(self, connection: C, place: dict[C, None]) -> None:
        """Put a connection last in a place, unless it is there already."""
        if self._places.get(connection) is place:
            return
        self.leave(connection)
        self._places[connection] = place
        place[connection] = None
