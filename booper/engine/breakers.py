"""Hosts that fail again and again: they are probed, one request at a time, until one answers.

What waits for such a host stays where it is and loses no attempt. Kept in memory alone: after a
restart a host has to fail anew before it is spared.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from booper.model.job import Answered, Failed, Outcome, Refused

log = logging.getLogger("booper")

# Failures in a row after which a host is probed only.
MOST_FAILURES = 20

# The first pause before a probe; each failed one doubles it, up to the longest.
FIRST_REST = timedelta(seconds=1)
LONGEST_REST = timedelta(minutes=1)

# Hosts that are remembered, 200 bytes each; beyond that the one that failed first is forgotten.
MOST_HOSTS = 10_000

# The target, or what stands before it, says that it cannot be asked now (RFC 9110, RFC 6585).
_FAILING = frozenset({429, 502, 503, 504})

# What fails for a reason of ours tells nothing about the host.
_OURS = frozenset({"internal", "request"})


@dataclass(frozen=True, slots=True)
class Breaker:
    """A host that has failed `failures` times in a row; `opened_at` is None until it is spared.

    `probe_at` is when the next probe may go.
    """

    host: str
    failures: int
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    rest: timedelta = FIRST_REST


class Breakers:
    """What is known of failing hosts."""

    def __init__(self) -> None:
        self._by_host: dict[str, Breaker] = {}

    def record(self, host: str, outcome: Outcome, now: datetime) -> None:
        """Note what a request to a host brought: any answer but a few shows that it lives."""
        match outcome:
            case Answered(response=response) if response.status in _FAILING:
                self._failed(host, now)
            case Answered():
                self.close(host)
            case Failed(error=error) if error not in _OURS:
                self._failed(host, now)
            case Failed() | Refused():
                pass

    def close(self, host: str) -> None:
        """Send to a host as if it had never failed."""
        breaker = self._by_host.pop(host, None)
        if breaker is not None and breaker.opened_at is not None:
            log.info("host %s answers again", host)

    def close_all(self) -> None:
        """Forget all failures."""
        self._by_host.clear()

    def limit(self, host: str, per_host: int, now: datetime) -> int:
        """Return how many requests may be on their way to a host."""
        breaker = self._by_host.get(host)
        if breaker is None or breaker.probe_at is None:
            return per_host
        return 0 if _rests(breaker.probe_at, now) else 1

    def probe_at(self, host: str, now: datetime) -> datetime | None:
        """Return when a host may be probed next, None if it may be asked now."""
        breaker = self._by_host.get(host)
        at = breaker.probe_at if breaker is not None else None
        return at if at is not None and _rests(at, now) else None

    def open(self) -> list[Breaker]:
        """Return the hosts that are probed only, the one that was opened first first."""
        opened = [breaker for breaker in self._by_host.values() if breaker.opened_at is not None]
        return sorted(opened, key=lambda breaker: (breaker.opened_at, breaker.host))

    def _failed(self, host: str, now: datetime) -> None:
        before = self._by_host.get(host) or Breaker(host, 0)
        failures = before.failures + 1
        if before.probe_at is None and failures < MOST_FAILURES:
            self._by_host[host] = Breaker(host, failures)
        elif before.opened_at is None:
            log.warning("host %s has failed %d times in a row; it is probed", host, failures)
            self._by_host[host] = Breaker(host, failures, now, now + FIRST_REST)
        elif before.probe_at is not None and _rests(before.probe_at, now):
            # Sent before it was spared: no probe.
            self._by_host[host] = Breaker(
                host, failures, before.opened_at, before.probe_at, before.rest
            )
        else:
            rest = min(2 * before.rest, LONGEST_REST)
            self._by_host[host] = Breaker(host, failures, before.opened_at, now + rest, rest)
        if len(self._by_host) > MOST_HOSTS:
            del self._by_host[next(iter(self._by_host))]


def _rests(probe_at: datetime, now: datetime) -> bool:
    """Say whether the pause still lasts; a clock that was stepped back does not prolong it."""
    return probe_at - LONGEST_REST <= now < probe_at
