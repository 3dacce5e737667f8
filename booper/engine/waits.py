"""Why due jobs are not sent at once: what holds them back now, and what has done so until lately.

The table keeps the reason of an attempt that begins late; this is where it comes from. Nothing here
decides which job may go.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from booper.engine.breakers import Breakers
from booper.engine.pauses import Pauses
from booper.model.breaker import Breaker
from booper.model.origin import names_of
from booper.model.waiting import KEPT_AFTER, Reason, Wait
from booper.store.values import ALL_TARGETS, Due, DueJob

MAX_ENDED: Final = 10_000
"""Pauses and breakers that are remembered after their end; above that the oldest is forgotten."""


class _Ended(msgspec.Struct, frozen=True, gc=False):
    """The reason that held jobs back, and its end."""

    wait: Wait
    until: datetime


class Waits:
    """The reasons for which due jobs wait, and have waited."""

    def __init__(self, pauses: Pauses, breakers: Breakers) -> None:
        self._pauses = pauses
        self._breakers = breakers
        self._ended: dict[str, _Ended] = {}
        self._looking: _Ended | None = None

    def pause_ended(self, target: str, now: datetime) -> None:
        """Note that pauses end, before they do: one, or with `ALL_TARGETS` every one."""
        for paused, since in self._pauses.items():
            if target in (paused, ALL_TARGETS):
                self._end(Wait(Reason.PAUSE, since, paused), now)

    def breaker_ended(self, before: Breaker, now: datetime) -> None:
        """Note that an origin is no longer limited to probes, if it was."""
        if before.opened_at is not None:
            self._end(Wait(Reason.BREAKER, before.opened_at, before.origin), now)

    def looking_since(self, now: datetime) -> None:
        """Note that nothing looked for due jobs until now: after a start, a sleep, a fault."""
        self._looking = _Ended(Wait(Reason.STOPPED, now), now)

    def woke(self, expected_at: datetime, now: datetime) -> None:
        """Note when a wait has ended; one that ended late, slept through times that were due."""
        if now - expected_at > KEPT_AFTER:
            self.looking_since(now)

    def of_taken(
        self, taken: Sequence[DueJob], now: datetime, *, alone: bool
    ) -> Mapping[int, Wait]:
        """Return what the late ones of jobs to be claimed have waited for, by their numbers."""
        late = now - KEPT_AFTER
        return {
            seen.due.id: Wait(Reason.ALONE, seen.due.at) if alone else self.of(seen.due, now)
            for seen in taken
            if seen.due.at < late
        }

    def of(self, due: Due, now: datetime) -> Wait:
        """Return what a due job waits for, or has waited for last."""
        if (pause := self._pauses.of(due.origin)) is not None:
            return _from(Wait(Reason.PAUSE, pause.paused_at, pause.target), due.at)
        breaker = self._breakers.find(due.origin)
        if breaker is not None and breaker.opened_at is not None:
            return _from(Wait(Reason.BREAKER, breaker.opened_at, due.origin), due.at)
        last = self._last_ended(due)
        if last is None:
            return Wait(Reason.SLOT, due.at, due.origin)
        if now - last.until <= KEPT_AFTER:
            return _from(last.wait, due.at)
        return Wait(Reason.SLOT, last.until, due.origin)

    def _last_ended(self, due: Due) -> _Ended | None:
        """Return what has ended last of all that held a job back."""
        looking = self._looking
        if looking is not None and looking.until <= due.at:
            looking = None
        if not self._ended:
            return looking
        names = (ALL_TARGETS, *names_of(due.origin), _breaker_name(due.origin))
        # Of two that ended together, the one that was meant: a pause is often ended after a sleep.
        known = [*map(self._ended.get, names), looking]
        held = [one for one in known if one is not None and one.until > due.at]
        return max(held, key=lambda one: one.until, default=None)

    def _end(self, wait: Wait, now: datetime) -> None:
        name = wait.target if wait.reason is Reason.PAUSE else _breaker_name(wait.target)
        self._ended.pop(name, None)
        self._ended[name] = _Ended(wait, now)
        if len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]


def _from(wait: Wait, due_at: datetime) -> Wait:
    """Return a wait as a job had it that was not due before."""
    since = due_at if wait.reason is Reason.STOPPED else max(wait.since, due_at)
    return replace(wait, since=since)


def _breaker_name(origin: str) -> str:
    """Return the name of what is known of an origin's breaker: a pause may have the same target."""
    return f"breaker of {origin}"
