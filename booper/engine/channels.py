"""Channels: messages to whoever listens now, in memory and each user's own; nothing is kept.

Those that several nodes have together are `booper.engine.shared_channels`.

A subscriber who reads too slowly loses the oldest messages and is told how many, so neither a
stuck reader nor many of them can fill the memory.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

from booper.clock import Clock
from booper.engine.agents import NO_AGENTS, Agent
from booper.engine.feeds import Feeds
from booper.model.identity import uuid7
from booper.model.message import Message

FEED_ROOM: Final = 64
"""Messages kept for one slow subscriber: a burst, not a history."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A gap of `count` messages: the reader was too slow, and newer ones took their place."""

    count: int


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
        self, clock: Clock, random: Random, feeds: Feeds, *, feed_room: int = FEED_ROOM
    ) -> None:
        self._clock = clock
        self._random = random
        self._open = feeds
        self._feed_room = feed_room
        self._feeds: dict[tuple[UUID, str], set[Feed]] = {}

    def message(self, channel: str, content: str, author: str | None = None) -> Message:
        """Return a new message with the current time; it is not sent yet."""
        at = self._clock.now()
        identity = uuid7(at, self._random)
        return Message(id=identity, channel=channel, content=content, author=author, at=at)

    @property
    def agents(self) -> Mapping[str, Agent]:
        """Return what runs beside the loop, by its name."""
        return NO_AGENTS

    @property
    def is_heard(self) -> bool:
        """Return whether there is a subscriber."""
        return bool(self._feeds)

    async def send(self, user_id: UUID, message: Message) -> None:
        """Send a message to all of this user's subscribers to its channel, wherever they are."""
        self.publish(user_id, message)

    def look(self) -> None:
        """Look for messages now: there are some at other nodes."""

    async def catch_up(self) -> None:
        """Return once nothing that was sent before is on its way to a feed."""

    def publish(self, user_id: UUID, message: Message) -> int:
        """Give a message to the user's subscribers to its channel; return how many there are."""
        feeds = self._feeds.get((user_id, message.channel), ())
        for feed in feeds:
            feed.put(message)
        return len(feeds)

    @contextmanager
    def subscribe(self, user_id: UUID, channel: str, key_id: UUID | None = None) -> Iterator[Feed]:
        """Subscribe to one of a user's channels: everything published from now on.

        The feed ends when `key_id`, the key that asked for it, is revoked.

        Raises:
            FeedUnavailable, Unauthenticated: as `Feeds.open`.
        """
        feed, name = Feed(self._feed_room), (user_id, channel)
        with self._open.open(feed, key_id):
            found = self._feeds.setdefault(name, set())
            found.add(feed)
            try:
                yield feed
            finally:
                found.discard(feed)
                if not found:
                    del self._feeds[name]
