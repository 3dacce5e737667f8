"""Origins that fail again and again: they are probed, one request at a time, until they respond.

What waits for such an origin stays where it is and loses no attempt. A path that has not been
probed lately is probed soon, so that one failing path of a gateway hides no healthy one. Kept in
memory alone: after a restart an origin has to fail anew before its breaker opens.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from msgspec.structs import replace

from booper.model.breaker import FIRST_REST, Breaker, rests
from booper.model.job import Failed, Outcome, Refused, Responded

log = logging.getLogger("booper")

# Failures in a row after which an origin is only probed.
MAX_FAILURES = 20

# Origins that are remembered, 300 bytes each; above that the one that failed first is forgotten.
MAX_ORIGINS = 10_000

# Paths of an origin remembered as failing; above that the one probed longest ago is forgotten.
MAX_PATHS = 32

# The target, or what stands before it, says that it cannot be asked now (RFC 9110, RFC 6585).
_FAILING = frozenset({429, 502, 503, 504})

# An attempt that fails for a reason of ours says nothing about the origin.
_OURS = frozenset({"internal", "request"})


class Breakers:
    """The failing origins, and how far they have failed.

    Where they are shared with other nodes, those that are open, or have been, are noted as they
    change, for `take_changed`.
    """

    def __init__(self, *, are_shared: bool = False) -> None:
        self._by_origin: dict[str, Breaker] = {}
        self._are_shared = are_shared
        self._changed: set[str] = set()

    def record(self, origin: str, path: int, outcome: Outcome, now: datetime) -> None:
        """Record the outcome of a request: nearly every response shows that the origin works."""
        match outcome:
            case Responded(response=response) if response.status in _FAILING:
                self._failed(origin, path, now)
            case Responded():
                self.close(origin)
            case Failed(error=error) if error not in _OURS:
                self._failed(origin, path, now)
            case Failed() | Refused():
                pass

    def close(self, origin: str) -> bool:
        """Send to an origin as if it had never failed; return whether its breaker was open."""
        breaker = self._by_origin.pop(origin, None)
        was_open = breaker is not None and breaker.opened_at is not None
        if was_open:
            log.info("%s is no longer limited to probes", origin)
            self._note(origin)
        return was_open

    @property
    def have_changed(self) -> bool:
        """Return whether `take_changed` has something to return."""
        return bool(self._changed)

    def take_changed(self) -> tuple[Sequence[Breaker], Sequence[str]]:
        """Return the breakers that were opened or have changed, and the origins of closed ones.

        They are those since the last call.
        """
        changed, self._changed = sorted(self._changed), set()
        known = [self._by_origin.get(origin) for origin in changed]
        opened = [breaker for breaker in known if breaker is not None and breaker.opened_at]
        still = {breaker.origin for breaker in opened}
        return opened, [origin for origin in changed if origin not in still]

    def give_back(self, opened: Sequence[Breaker], closed: Sequence[str]) -> None:
        """Note once more what `take_changed` has returned: nobody has been told."""
        self._changed.update(closed, (breaker.origin for breaker in opened))

    def adopt(self, breakers: Sequence[Breaker]) -> list[str]:
        """Take over which breakers are open for all nodes; return the origins that have changed.

        What has changed here, and was not told yet, stays as it is.
        """
        known = {each.origin: each for each in breakers}
        here = {origin for origin, each in self._by_origin.items() if each.opened_at is not None}
        differing = [
            origin
            for origin in sorted({*known, *here} - self._changed)
            if self._by_origin.get(origin) != known.get(origin)
        ]
        for origin in differing:
            if origin in known:
                self._by_origin[origin] = known[origin]
            else:
                del self._by_origin[origin]
        return [*differing, *self._forget_surplus()]

    def _note(self, origin: str) -> None:
        if self._are_shared:
            self._changed.add(origin)

    def find(self, origin: str) -> Breaker | None:
        """Return what is known of an origin, None if it has not failed."""
        return self._by_origin.get(origin)

    def is_open(self, origin: str) -> bool:
        """Return whether an origin is only probed."""
        if not self._by_origin:
            return False
        breaker = self._by_origin.get(origin)
        return breaker is not None and breaker.opened_at is not None

    def probe_at(self, origin: str, *, has_new_path: bool) -> datetime | None:
        """Return when an open breaker lets a probe through, None if it is closed."""
        breaker = self._by_origin.get(origin)
        return None if breaker is None else breaker.lets_through_at(is_new_path=has_new_path)

    def paths(self, origin: str) -> Sequence[int]:
        """Return the paths of an origin that failed, the one that did so longest ago first."""
        breaker = self._by_origin.get(origin)
        return breaker.paths if breaker is not None else ()

    def open(self) -> list[Breaker]:
        """Return the open breakers, the one that was opened first first."""
        opened = [each for each in self._by_origin.values() if each.opened_at is not None]
        return sorted(opened, key=lambda breaker: (breaker.opened_at, breaker.origin))

    def _failed(self, origin: str, path: int, now: datetime) -> None:
        before = self._by_origin.get(origin) or Breaker(origin, 0)
        paths = (*(known for known in before.paths if known != path), path)[-MAX_PATHS:]
        after = self._by_origin[origin] = _after_failure(replace(before, paths=paths), now)
        if after.opened_at is not None:
            self._note(origin)
        self._forget_surplus()

    def _forget_surplus(self) -> list[str]:
        """Forget the origins that failed first where there are too many; return them.

        Other nodes are told of those that are open.
        """
        surplus = list(islice(self._by_origin, max(len(self._by_origin) - MAX_ORIGINS, 0)))
        for origin in surplus:
            if self._by_origin.pop(origin).opened_at is not None:
                self._note(origin)
        return surplus


def _after_failure(before: Breaker, now: datetime) -> Breaker:
    failed = replace(before, failures=before.failures + 1)
    soon = now + FIRST_REST
    if before.probe_at is None or before.opened_at is None:
        if failed.failures < MAX_FAILURES:
            return failed
        log.warning("%s has failed %d times in a row and is probed", failed.origin, failed.failures)
        return replace(failed, opened_at=now, probe_at=soon, new_path_at=soon)
    if rests(before.probe_at, now):
        # Of a new path, or sent before the breaker opened: no probe of what failed before.
        return replace(failed, new_path_at=soon)
    rest = before.next_rest
    return replace(failed, probe_at=now + rest, new_path_at=soon, rest=rest)
