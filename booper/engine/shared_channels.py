"""Channels whose messages come from every node of the database, and go to the feeds of each.

A message goes to no feed before it is in the database, also here: so all feeds have the messages in
one order, and a publisher's in theirs, whichever nodes took them.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from booper.clock import Clock, Signal
from booper.engine.agents import Agent
from booper.engine.channels import Channels
from booper.engine.feeds import Feeds
from booper.errors import StoreUnavailable
from booper.model.message import Message
from booper.store.sharing import Messages

log = logging.getLogger("booper")

LOOK_EVERY: Final = timedelta(milliseconds=500)
"""How often is looked for messages while a feed is open, where nobody tells of them."""

FORGET_EVERY: Final = timedelta(minutes=1)


class SharedChannels(Channels):
    """The feeds of this node; `follow` is the agent that fills them."""

    def __init__(self, messages: Messages, clock: Clock, random: Random, feeds: Feeds) -> None:
        super().__init__(clock, random, feeds)
        self._messages = messages
        self._wake = Signal()
        self._reading = asyncio.Lock()
        self._mark: int | None = None
        self._forget_at = clock.now()

    @property
    def agents(self) -> Mapping[str, Agent]:
        """Return what runs beside the loop, by its name."""
        return {"reader of channels": self.follow}

    async def send(self, user_id: UUID, message: Message) -> None:
        """Send a message to the user's subscribers at all nodes. Raises: StoreUnavailable."""
        await self._messages.publish(user_id, message)
        self.look()

    def look(self) -> None:
        """Look for messages now: there are some."""
        self._wake.set()

    async def catch_up(self) -> None:
        """Give the open feeds what was sent until now; one opened after this has what follows.

        Raises: StoreUnavailable.
        """
        async with self._reading:
            is_more = True
            while is_more:
                published = await self._messages.published(self._mark if self.is_heard else None)
                self._mark, is_more = published.mark, published.are_more
                for user_id, message in published.messages:
                    self.publish(user_id, message)

    async def follow(self) -> None:
        """Give the open feeds what is sent, soon after it is."""
        while True:
            self._wake.clear()
            try:
                if self.is_heard:
                    await self.catch_up()
                await self._forget(self._clock.now())
            except StoreUnavailable as error:
                log.warning("messages of channels are not read: %s", error)
            await self._clock.wait(self._wake, self._clock.now() + LOOK_EVERY)

    async def _forget(self, now: datetime) -> None:
        if now >= self._forget_at:
            self._forget_at = now + FORGET_EVERY
            await self._messages.forget()
