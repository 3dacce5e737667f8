"""An origin that fails again and again, and how far it has failed."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

FIRST_REST: Final = timedelta(seconds=1)
"""The first pause before a probe; each failed one doubles it."""

MAX_REST: Final = timedelta(minutes=1)
"""The longest pause before a probe."""


class Breaker(msgspec.Struct, frozen=True):
    """An origin that has failed `failures` times in a row; `opened_at` is None until it is open.

    `probe_at` is when the next probe may go; `new_path_at` when one of another path than `paths`
    may, which are those that failed, the one that did so longest ago first.
    """

    origin: str
    failures: int
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    new_path_at: datetime | None = None
    rest: timedelta = FIRST_REST
    paths: tuple[int, ...] = ()

    @property
    def next_rest(self) -> timedelta:
        """Return the pause after one more probe that fails."""
        return min(2 * self.rest, MAX_REST)

    def lets_through_at(self, *, is_new_path: bool) -> datetime | None:
        """Return when a probe of a failing path may go, or of another one; None if it is closed."""
        if self.probe_at is None or self.new_path_at is None:
            return None
        return min(self.new_path_at, self.probe_at) if is_new_path else self.probe_at

    def may_probe(self, path: int, claimed_at: datetime | None, now: datetime) -> bool:
        """Return whether a request of a path may be the probe of all nodes.

        `claimed_at` is when the last one was claimed, by whichever node. What comes of that one
        moves the time of the next. Until this is known the next one waits, but no longer than if
        the last had failed at once: its node may be gone.
        """
        at = self.lets_through_at(is_new_path=path not in self.paths)
        if at is None:
            return True
        if rests(at, now):
            return False
        return claimed_at is None or at > claimed_at or not rests(claimed_at + self.next_rest, now)


def rests(probe_at: datetime, now: datetime) -> bool:
    """Return whether a pause still lasts; a clock that was stepped back does not prolong it."""
    return probe_at - MAX_REST <= now < probe_at
