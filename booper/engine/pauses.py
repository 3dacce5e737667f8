"""What is paused, and since when: an origin, all origins of a host, or everything."""

from datetime import datetime

from booper.model.origin import names_of
from booper.store.values import ALL_TARGETS, Pause


class Pauses(dict[str, datetime]):
    """Paused targets, and since when each is. It is a dict, so that `if pauses` costs no call."""

    __slots__ = ()

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

    def list(self) -> list[Pause]:
        """Return what is paused."""
        return [Pause(target, at) for target, at in self.items()]

    def end(self, target: str) -> None:
        """End the pause of a target; with `ALL_TARGETS`, every pause."""
        if target == ALL_TARGETS:
            self.clear()
        self.pop(target, None)
