"""What the nodes of one database tell each other of origins, and the slots that they share."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from booper.model.breaker import Breaker
from booper.model.job import Job
from booper.model.schedule import Schedule
from booper.store.values import Pause


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


class Sharing(Protocol):
    """What nodes tell each other."""

    async def changed(self, mark: Mark | None) -> Changed:
        """Return what any node has committed since a mark; of None the mark of now alone.

        An attempt's begin is told with its end.
        """

    async def exchange(self, opened: Sequence[Breaker], closed: Sequence[str]) -> Shared:
        """Write which breakers this node has opened, or changed, and closed; return what holds.

        Of two nodes that write of one origin the last one counts.
        """


class Slots(Protocol):
    """How many more attempts may begin, in one claim, that begins none beside it."""

    def take(self, origin: str) -> bool:
        """Take a slot for an attempt to an origin; return whether there was one."""
