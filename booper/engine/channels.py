"""Channels: messages to whoever listens now, in memory and each user's own; nothing is kept.

A subscriber who reads too slowly loses the oldest messages and is told how many, so neither a
stuck reader nor many of them can fill the memory.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final, TypeVar
from uuid import UUID

import msgspec

from booper.clock import Clock
from booper.errors import StoreUnavailable
from booper.model.identity import uuid7

K = TypeVar("K", bound=Hashable)

MAX_FEEDS: Final = 256
"""Subscribers in all: each holds a connection open for as long as it likes."""

MAX_FEEDS_OF_KEY: Final = 64
"""Subscribers for one API key, so that it cannot use up those of all others."""

FEED_ROOM: Final = 64
"""Messages kept for one slow subscriber: a burst, not a history."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message on a channel; `id` is time-ordered, `author` is None if nobody signed it."""

    id: UUID
    channel: str
    content: str
    author: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Dropped:
    """A gap of `count` messages: the reader was too slow, and newer ones took their place."""

    count: int


class FeedUnavailable(StoreUnavailable):
    """No further subscriber can be served now; a later try may succeed."""

    title = "Feed unavailable"


class Feed:
    """The unread messages of one subscriber: iterate it, in one task; it ends when booper stops."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: deque[Message] = deque()
        self._dropped = 0
        self._is_ended = False
        self._changed = asyncio.Event()

    def put(self, message: Message) -> None:
        """Add a message; drop the oldest one if there is no room."""
        if len(self._waiting) == self._room:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(message)
        self._changed.set()

    def end(self) -> None:
        """End the iteration now, even if messages are unread."""
        self._is_ended = True
        self._changed.set()

    def __aiter__(self) -> "Feed":
        """Return the feed: what was read once is gone."""
        return self

    async def __anext__(self) -> Message | Dropped:
        """Wait for the next message; a cancelled wait loses none."""
        await self._changed.wait()
        if self._is_ended:
            raise StopAsyncIteration
        if self._dropped:
            lost, self._dropped = Dropped(self._dropped), 0
            return lost
        message = self._waiting.popleft()
        if not self._waiting:
            self._changed.clear()
        return message


class Channels:
    """The channels of all users, each made by its first subscriber and gone with its last."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        *,
        max_feeds: int = MAX_FEEDS,
        max_feeds_of_key: int = MAX_FEEDS_OF_KEY,
        feed_room: int = FEED_ROOM,
    ) -> None:
        self._clock = clock
        self._random = random
        self._max_feeds = max_feeds
        self._max_feeds_of_key = max_feeds_of_key
        self._feed_room = feed_room
        self._by_key: dict[UUID, set[Feed]] = {}
        self._feeds: dict[tuple[UUID, str], set[Feed]] = {}
        self._is_closed = False

    def message(self, channel: str, content: str, author: str | None = None) -> Message:
        """Return a new message with the current time; it is not sent yet."""
        at = self._clock.now()
        identity = uuid7(at, self._random)
        return Message(id=identity, channel=channel, content=content, author=author, at=at)

    def publish(self, user_id: UUID, message: Message) -> int:
        """Send a message to all of this user's subscribers to its channel; return how many."""
        feeds = self._feeds.get((user_id, message.channel), ())
        for feed in feeds:
            feed.put(message)
        return len(feeds)

    @asynccontextmanager
    async def subscribe(
        self, user_id: UUID, channel: str, key_id: UUID | None = None
    ) -> AsyncIterator[Feed]:
        """Subscribe to one of a user's channels: everything published from now on.

        The feed ends when `key_id`, the key that asked for it, is revoked.

        Raises:
            FeedUnavailable: there are too many subscribers, or booper is stopping.
        """
        self._check_room(key_id)
        feed = Feed(self._feed_room)
        with (
            _kept(feed, self._feeds, (user_id, channel)),
            _kept(feed, self._by_key, key_id) if key_id is not None else nullcontext(),
        ):
            yield feed

    def revoke(self, key_id: UUID) -> None:
        """End the feeds of a key that is no longer valid."""
        for feed in self._by_key.get(key_id, ()):
            feed.end()

    def _check_room(self, key_id: UUID | None) -> None:
        if self._is_closed:
            raise FeedUnavailable("booper is stopping")
        if key_id is not None and len(self._by_key.get(key_id, ())) >= self._max_feeds_of_key:
            raise FeedUnavailable(
                f"this key has all {self._max_feeds_of_key} live feeds that a key may have; "
                "close one"
            )
        if sum(map(len, self._feeds.values())) >= self._max_feeds:
            raise FeedUnavailable(f"all {self._max_feeds} live feeds are in use; close one")

    def close(self) -> None:
        """End every feed at once and accept no further subscriber."""
        self._is_closed = True
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.end()


@contextmanager
def _kept(feed: Feed, feeds: dict[K, set[Feed]], key: K) -> Iterator[None]:
    """Keep a feed in a set under a key until the end of the block."""
    found = feeds.setdefault(key, set())
    found.add(feed)
    try:
        yield
    finally:
        found.discard(feed)
        if not found:
            del feeds[key]
