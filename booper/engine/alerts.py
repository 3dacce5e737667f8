"""Alerts: an agent looks at what is wrong again and again, and keeps what it makes of it.

`engine.alert_book` keeps them in memory and in the database, so that a restart tells nothing twice;
`engine.alert_sender` sends what is due.

Of several processes that share a database one looks and sends, until it is gone. The others hand it
what has happened to them. While the database is gone they stay silent: each alert is sent once.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.clock import Clock, Signal
from booper.engine.alert_book import MAX_ALERTS, AlertBook
from booper.engine.alert_clock import ClockWatch
from booper.engine.alert_findings import (
    Found,
    Watched,
    failed_findings,
    found_in_parts,
    happened,
    late_findings,
    revoked_key_used,
    stepped,
)
from booper.engine.alert_observer import AlertObserver
from booper.engine.stacks import stacks_of_tasks
from booper.errors import StoreUnavailable
from booper.model.alert import (
    MOMENTARY,
    Alert,
    AlertKind,
    Finding,
    Interests,
    Telling,
    closed,
    is_quiet,
    raised,
    telling_of,
)
from booper.model.identity import uuid7
from booper.store.alerting import Alerting, Facts

log = logging.getLogger("booper.alerts")

LOOK_EVERY: Final = timedelta(seconds=10)

_CLOSINGS: Final[Mapping[AlertKind, str]] = {
    AlertKind.SCHEDULE_FAILED: "a run has completed, or the schedule has no next one",
    AlertKind.SCHEDULE_LATE: "no run waits beyond its time",
    AlertKind.BREAKER_OPEN: "the origin responds, or its breaker was reset",
    AlertKind.DISK_LOW: "there is enough room again",
    AlertKind.STORE_UNWRITABLE: "the database can be written again",
    AlertKind.SIZE_EXCEEDED: "the database is under its size again",
    AlertKind.LOOP_STUCK: "the loop turns again",
    AlertKind.BACKUP_FAILED: "a backup was made",
    AlertKind.BACKUP_LATE: "a backup was made",
}
_NOT_AGAIN: Final = "it has not happened again"


class AlertRules(msgspec.Struct, frozen=True):
    """What makes an alert, as the settings have it; 0 stands for never."""

    interests: Interests = Interests()
    failures: int = 3
    late: timedelta = timedelta(minutes=5)
    disk_free_bytes: int = 0
    repeat: timedelta = timedelta(hours=1)


class Alerts:
    """The alerts of a holder.

    `looked_at` is when its agent last looked, None if it has not; `error` is why alerts cannot be
    sent now, empty if they can.
    """

    def __init__(
        self,
        store: Alerting,
        watched: Watched,
        rules: AlertRules,
        clock: Clock,
        random: Random,
        clock_watch: ClockWatch,
        observer: AlertObserver,
    ) -> None:
        self.rules = rules
        self.looked_at: datetime | None = None
        self.is_due = Signal()
        self.book = AlertBook(store, watched.store_seconds)
        self.error = ""
        self._store = store
        self._watched = watched
        self._clock = clock
        self._random = random
        self._clock_watch = clock_watch
        self._observer = observer
        self._noted: dict[tuple[AlertKind, str], Finding] = {}
        self._behind = 0
        self._late_ids: frozenset[int] = frozenset()
        self._is_leading = False

    @property
    def open(self) -> Sequence[Alert]:
        """Return the alerts that are open, the one that opened first first."""
        return [each for each in self.book if each.is_open]

    def unsent(self, now: datetime) -> int:
        """Return how many alerts there is something to tell of now."""
        repeat = self.rules.repeat
        tellings = [telling_of(each, now, repeat) for each in self.book]
        return len(tellings) - tellings.count(Telling.NOTHING)

    def use(self, rules: AlertRules) -> None:
        """Go by other rules, from the next look on."""
        self.rules = rules

    def note_revoked_key(self, key_id: UUID, name: str) -> None:
        """Note that somebody has sent a revoked key."""
        self._note(revoked_key_used(key_id, name))

    async def run(self) -> None:
        """Look again and again, until cancelled; the loop has its turn first."""
        while True:
            await self._clock.pause(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Look once; where another process looks after alerts, hand over what this one has seen."""
        now = self._clock.now()
        if (step := self._clock_watch.step(now)) is not None:
            self._note(stepped(step))
        if await self.leads():
            await self._look(now)
        else:
            await self._hand_over()
        self.looked_at = now

    async def leads(self) -> bool:
        """Return whether this process looks after alerts, of all that share the database.

        Where the database cannot tell, all go on as they were: one of them says what is wrong.
        """
        try:
            async with asyncio.timeout(self._watched.store_seconds):
                is_leading = await self._store.leads()
        except (StoreUnavailable, TimeoutError) as error:
            log.debug("who looks after alerts is not known: %s", error)
            return self._is_leading
        if is_leading is not self._is_leading:
            self.book.forget()
            self._behind, self._is_leading = 0, is_leading
        return is_leading

    async def _look(self, now: datetime) -> None:
        """Look at everything; open, close and save what follows from it."""
        await self._load(now)
        was_low = self.book.is_open(AlertKind.DISK_LOW, "")
        found = await found_in_parts(
            self._watched, now, self.rules.disk_free_bytes, was_low=was_low
        )
        try:
            facts = await self._facts(now)
        except StoreUnavailable as error:
            log.debug("the database is not looked at: %s", error)
        else:
            found = {**found, **self._found_in(facts, now)}
        self._apply(found, now)
        await self.save()
        self.is_due.set()

    def tell(self, alert: Alert, telling: Telling, now: datetime) -> None:
        """Note that something was sent about an alert as it was."""
        self.book.tell(alert, telling, now)
        self.book.forget_what_is_over(now, self.rules.repeat)

    async def save(self) -> None:
        """Write what has changed, as far as that is possible."""
        await self.book.save(self._behind)

    async def _hand_over(self) -> None:
        """Hand what was seen to whoever looks after alerts, and show what became of it."""
        noted, self._noted = self._noted, {}
        try:
            await self._store.hand_over(list(noted.values()))
        except StoreUnavailable as error:
            log.debug("what was seen is kept for the next time: %s", error)
            for finding in noted.values():
                self._note(finding)
        self.book.forget()
        await self._load(self._clock.now())

    async def _load(self, now: datetime) -> None:
        """Read the alerts of earlier runs, if that was not done."""
        try:
            loaded = await self.book.load()
        except StoreUnavailable as error:
            log.debug("alerts of earlier runs are not known: %s", error)
            return
        origins = [each.key for each in loaded if each.kind is AlertKind.BREAKER_OPEN]
        self._observer.carry(origins, now)

    async def _facts(self, now: datetime) -> Facts:
        rules = self.rules
        before = now - rules.late if rules.late else None
        for finding in await self._store.take_over():
            self._note(finding)
        facts = await self._store.facts(self._behind, before, self._failing(), rules.failures)
        if facts.incidents:
            self._behind = facts.incidents[-1].id
        return facts

    def _found_in(self, facts: Facts, now: datetime) -> Found:
        """Return what is wrong by the database; note what has happened."""
        for finding in happened(facts.incidents, self.rules.interests):
            self._note(finding)
        # Seen twice: the loop may be about to send what the clock or a start has just made due.
        late = [
            run
            for run in facts.late
            if run.job_id in self._late_ids
            or self.book.is_open(AlertKind.SCHEDULE_LATE, str(run.schedule_id))
        ]
        self._late_ids = frozenset(run.job_id for run in facts.late)
        return {
            AlertKind.SCHEDULE_LATE: late_findings(late, now),
            AlertKind.SCHEDULE_FAILED: failed_findings(
                facts.streaks, self.rules.failures, self._failing()
            ),
        }

    def _note(self, finding: Finding) -> None:
        """Note something that has happened, until the next look; several of one key are one."""
        key = (finding.kind, finding.key)
        if (known := self._noted.get(key)) is not None:
            finding = replace(finding, count=known.count + finding.count)
        elif len(self._noted) >= MAX_ALERTS:
            return
        self._noted[key] = finding

    def _apply(self, found: Found, now: datetime) -> None:
        """Open alerts of what is wrong and of what has happened; close those that are over."""
        noted, self._noted = self._noted, {}
        for finding in (*noted.values(), *(each for kind in found.values() for each in kind)):
            if self.rules.interests.has(finding.kind):
                self._raise(finding, now)
        wrong = {(each.kind, each.key) for kind in found.values() for each in kind}
        for alert in self.book:
            if alert.is_open and (why := self._end_of(alert, found, wrong, now)) is not None:
                self.book.put(closed(alert, now, why))
        self.book.forget_what_is_over(now, self.rules.repeat)

    def _raise(self, finding: Finding, now: datetime) -> None:
        if not self.book.has_room_for(finding):
            log.warning("%s %s: there are too many alerts", finding.kind, finding.subject)
            return
        known = self.book.find(finding.kind, finding.key)
        if finding.kind is AlertKind.LOOP_STUCK and not self.book.is_open(finding.kind, ""):
            log.critical("%s; where each task waits:\n%s", finding.detail, stacks_of_tasks())
        self.book.put(raised(known, finding, now, uuid7(now, self._random)))

    def _end_of(
        self,
        alert: Alert,
        found: Found,
        wrong: Collection[tuple[AlertKind, str]],
        now: datetime,
    ) -> str | None:
        """Return why an open alert closes, None if it does not."""
        if alert.kind in MOMENTARY:
            return _NOT_AGAIN if is_quiet(alert, now, self.rules.repeat) else None
        if alert.kind not in found or (alert.kind, alert.key) in wrong:
            return None
        is_breaker = alert.kind is AlertKind.BREAKER_OPEN
        if is_breaker and self._observer.is_unknown(alert.key, now):
            return None
        return _CLOSINGS[alert.kind]

    def _failing(self) -> frozenset[UUID]:
        """Return the schedules with an open alert of failed runs."""
        return frozenset(
            UUID(each.key)
            for each in self.book
            if each.is_open and each.kind is AlertKind.SCHEDULE_FAILED
        )
