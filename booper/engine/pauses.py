"""What is paused, and since when: an origin, all origins of a host, or everything."""

from collections.abc import Sequence
from datetime import datetime

from booper.model.origin import names_of
from booper.store.pauses import Pauses as PauseStore
from booper.store.values import ALL_TARGETS, Pause


class Pauses(dict[str, datetime]):
    """Paused targets, and since when each is. It is a dict, so that `if pauses` costs no call."""

    __slots__ = ("changes",)

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0
        """How often a pause has begun or ended."""

    @property
    def is_total(self) -> bool:
        """Return whether everything is paused."""
        return ALL_TARGETS in self

    def include(self, origin: str) -> bool:
        """Return whether an origin is paused."""
        return bool(self) and (ALL_TARGETS in self or any(one in self for one in names_of(origin)))

    def of(self, origin: str) -> Pause | None:
        """Return the pause of an origin, the widest one, None if it is not paused."""
        if not self:
            return None
        for target in (ALL_TARGETS, *reversed(names_of(origin))):
            if target in self:
                return Pause(target, self[target])
        return None

    async def read(self, store: PauseStore) -> Sequence[Pause]:
        """Return what the store has paused, as it is while none begins or ends here.

        One that began or ended during the read may be newer than what was read.

        Raises: StoreUnavailable.
        """
        while True:
            known = self.changes
            pauses = await store.list()
            if known == self.changes:
                return pauses

    def list(self) -> list[Pause]:
        """Return what is paused."""
        return [Pause(target, at) for target, at in self.items()]

    def begin(self, target: str, now: datetime) -> None:
        """Pause a target; one that is paused already stays so since then."""
        self.changes += 1
        self.setdefault(target, now)

    def end(self, target: str) -> None:
        """End the pause of a target; with `ALL_TARGETS`, every pause."""
        self.changes += 1
        if target == ALL_TARGETS:
            self.clear()
        self.pop(target, None)
