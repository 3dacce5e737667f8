"""What the nodes of one database tell each other of origins, and the limits that they share."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from booper.model.breaker import Breaker
from booper.model.job import Job
from booper.model.message import Message
from booper.model.schedule import Schedule
from booper.store.values import Due, Pause


class Shared(msgspec.Struct, frozen=True):
    """What holds for all nodes: which origins are only probed, and what is paused."""

    breakers: Sequence[Breaker]
    pauses: Sequence[Pause]


class Mark(msgspec.Struct, frozen=True):
    """How far changes are known: the last log entry, job and audited change."""

    log: int
    jobs: int
    audit: int


class Changed(msgspec.Struct, frozen=True):
    """What has changed up to a mark: jobs, which may be brief, and schedules, as they are now.

    Where there `are_more`, others have changed that are not listed.
    """

    mark: Mark
    written: Sequence[Job | Schedule] = ()
    are_more: bool = False


class Rate(msgspec.Struct, frozen=True):
    """How often a key may make requests: `burst` at once, and `per_second` on average."""

    per_second: float
    burst: int


class Granted(msgspec.Struct, frozen=True):
    """How many requests of a key may be made, and in how many seconds one more may, 0 for now."""

    count: int
    wait_seconds: float


class Notice(msgspec.Struct, frozen=True):
    """What another node tells: jobs that are due and that it has not begun, and messages.

    Where there `are_more`, others are due as well, or may be.
    """

    due: tuple[Due, ...] = ()
    are_more: bool = False
    are_messages: bool = False


Listener = Callable[[Notice], None]
"""A function that gets what other nodes tell, on the event loop."""


class Published(msgspec.Struct, frozen=True):
    """Messages up to a mark, each with the user whose channel it is for, in order.

    Where there `are_more`, others follow that can be read at once.
    """

    mark: int
    messages: Sequence[tuple[UUID, Message]] = ()
    are_more: bool = False


class Messages(Protocol):
    """Messages of channels, on their way to the feeds of all nodes."""

    async def publish(self, user_id: UUID, message: Message) -> None:
        """Write a message for the feeds of all nodes."""

    async def published(self, mark: int | None) -> Published:
        """Return messages that any node has published since a mark; of None the mark of now alone.

        All have them in the same order, and those that were published one after the other in that.
        """

    async def forget(self) -> None:
        """Delete messages that each node has read by now, if it can read."""


class Followed(Protocol):
    """What any node commits, for whoever follows it."""

    async def changed(self, mark: Mark | None) -> Changed:
        """Return what any node has committed since a mark; of None the mark of now alone.

        An attempt's begin is told with its end.
        """


class Sharing(Followed, Protocol):
    """What nodes tell each other."""

    @property
    def messages(self) -> Messages: ...

    def listen(self, listener: Listener) -> None:
        """Call the one `listener` at once with what other nodes tell, where that is possible.

        Some of it may be lost: whoever needs to know all looks at the tables now and then.
        """

    async def exchange(
        self, opened: Sequence[Breaker], closed: Sequence[str], now: datetime
    ) -> Shared:
        """Write which breakers this node has opened, or changed, and closed; return what holds.

        Of two nodes that write of one origin the last one counts. One that nobody has wanted to
        probe for days is forgotten.
        """

    async def count_requests(
        self, wanted: Mapping[UUID, int], rate: Rate
    ) -> Mapping[UUID, Granted]:
        """Count so many requests of each of these keys; return what all nodes leave of the rate.

        What is not granted costs the key nothing.

        Raises:
            StoreUnavailable: they were not counted, as far as is known.
        """


class Slots(Protocol):
    """How many more attempts may begin, in one claim, that begins none beside it."""

    def take(self, due: Due) -> bool:
        """Take a slot for an attempt of a due job; return whether there was one."""
