"""Live feeds: how many there may be at a time, and whose end takes them along.

Each holds a connection open for as long as it likes. What a feed carries is no matter here.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final, Protocol

from booper.errors import StoreUnavailable, Unauthenticated

MAX_FEEDS: Final = 256
"""Feeds in all."""

MAX_FEEDS_OF_KEY: Final = 64
"""Feeds for one API key, so that it cannot use up those of all others."""

MAX_ENDED_OWNERS: Final = 1_000
"""How many owners that are no longer valid are remembered: longer than a request takes to begin."""


CalledOnStop = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Call a function when this process is told to stop, until the end of a block."""


class Endable(Protocol):
    """A feed, as far as it can be ended."""

    def end(self) -> None:
        """End it now, even if something is unread."""


class FeedUnavailable(StoreUnavailable):
    """No further feed can be served now; a later try may succeed."""

    title = "Feed unavailable"


class Feeds:
    """The open feeds of this process, by their owners: an API key, a session of the dashboard.

    `called_on_stop` ends those that are open when this process is told to stop: whoever stops it
    may wait for them before it says so to booper.
    """

    def __init__(
        self,
        max_feeds: int = MAX_FEEDS,
        max_feeds_of_key: int = MAX_FEEDS_OF_KEY,
        called_on_stop: CalledOnStop | None = None,
    ) -> None:
        self._called_on_stop = called_on_stop
        self._while_open = ExitStack()
        self._max_feeds = max_feeds
        self._max_feeds_of_key = max_feeds_of_key
        self._open: dict[Endable, frozenset[Hashable]] = {}
        self._ended_owners = deque[Hashable](maxlen=MAX_ENDED_OWNERS)
        self._is_closed = False

    @contextmanager
    def open(
        self, feed: Endable, key_id: Hashable | None = None, session: Hashable | None = None
    ) -> Iterator[None]:
        """Count a feed until the end of the block, and end it with its key or its session.

        Raises:
            FeedUnavailable: there are too many, or booper is stopping.
            Unauthenticated: the key or the session was ended since the request was checked.
        """
        self._check_room(key_id)
        owners = frozenset({key_id, session} - {None})
        if not owners.isdisjoint(self._ended_owners):
            raise Unauthenticated("this API key is revoked, or its session has ended")
        if self._called_on_stop is not None and not self._open:
            self._while_open.enter_context(self._called_on_stop(self._end_all))
        self._open[feed] = owners
        try:
            yield
        finally:
            del self._open[feed]
            if not self._open:
                self._while_open.close()

    def end_of(self, owner: Hashable) -> None:
        """End the feeds of a key or a session that is no longer valid, also those about to open."""
        self._ended_owners.append(owner)
        for feed, owners in self._open.items():
            if owner in owners:
                feed.end()

    def close(self) -> None:
        """End every feed at once and accept no further one."""
        self._is_closed = True
        self._end_all()

    def _end_all(self) -> None:
        for feed in self._open:
            feed.end()

    def _check_room(self, key_id: Hashable | None) -> None:
        if self._is_closed:
            raise FeedUnavailable("booper is stopping")
        of_key = sum(key_id in owners for owners in self._open.values())
        if key_id is not None and of_key >= self._max_feeds_of_key:
            raise FeedUnavailable(
                f"this key has all {self._max_feeds_of_key} live feeds that a key may have; "
                "close one"
            )
        if len(self._open) >= self._max_feeds:
            raise FeedUnavailable(f"all {self._max_feeds} live feeds are in use; close one")
