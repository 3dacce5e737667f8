"""An alert: what is wrong, since when, and what its operator has been sent about it by now.

Pure: `engine.alerts` finds what is wrong, `engine.alert_sender` sends. The idea is Alertmanager's:
an alert opens, is repeated while it lasts, and closes; each opening has an id of its own.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

QUIET: Final = timedelta(hours=1)
"""How long something must not happen again until its alert closes, where nothing is repeated."""


class AlertKind(StrEnum):
    """What an alert is about."""

    SCHEDULE_FAILED = "schedule.failed"
    SCHEDULE_SKIPPED = "schedule.skipped"
    SCHEDULE_LATE = "schedule.late"
    JOB_DISCARDED = "job.discarded"
    BREAKER_OPEN = "breaker.open"
    DISK_LOW = "disk.low"
    STORE_UNWRITABLE = "store.unwritable"
    SIZE_EXCEEDED = "size.exceeded"
    LOOP_STUCK = "loop.stuck"
    CLOCK_STEPPED = "clock.stepped"
    BACKUP_FAILED = "backup.failed"
    BACKUP_LATE = "backup.late"
    KEY_REVOKED = "key.revoked"


MOMENTARY: Final = frozenset(
    {
        AlertKind.SCHEDULE_SKIPPED,
        AlertKind.JOB_DISCARDED,
        AlertKind.CLOCK_STEPPED,
        AlertKind.KEY_REVOKED,
    }
)
"""Kinds that happen and are over: their alerts close when it has not happened for a while."""


class Telling(StrEnum):
    """What is sent about an alert; NOTHING is what has been sent of an opening at first."""

    NOTHING = "nothing"
    OPENED = "alert.opened"
    CLOSED = "alert.closed"


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong or has happened, `count` times.

    `key` tells it apart from others of its kind, `subject` is what people call it. `path` is where
    the API has more of it.
    """

    kind: AlertKind
    key: str
    subject: str
    detail: str
    path: str = "/api/status"
    count: int = 1


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that is open, or was within the last `repeat`.

    `count` is how often it has happened since it opened, `last_at` when last. `told` is what was
    sent last of this opening, when `told_count` was the count; `told_at` is when an opening of it
    was last sent, this one or one before.
    """

    id: UUID
    kind: AlertKind
    key: str
    subject: str
    detail: str
    path: str
    since: datetime
    last_at: datetime
    count: int = 1
    closed_at: datetime | None = None
    told: Telling = Telling.NOTHING
    told_at: datetime | None = None
    told_count: int = 0

    @property
    def is_open(self) -> bool:
        """Return whether it has not closed."""
        return self.closed_at is None


class Interests(msgspec.Struct, frozen=True):
    """The kinds of alerts that are wanted, and of jobs with which tags; empty means all."""

    kinds: frozenset[AlertKind] = frozenset()
    tags: frozenset[str] = frozenset()

    def has(self, kind: AlertKind) -> bool:
        """Return whether alerts of a kind are wanted."""
        return not self.kinds or kind in self.kinds

    def tag_of(self, tags: Sequence[str]) -> str | None:
        """Return the first tag of a job that is wanted, None if there is none."""
        return next((tag for tag in tags if not self.tags or tag in self.tags), None)


def parse_interests(events: Sequence[str]) -> Interests:
    """Read kinds such as `breaker.open`, and tags such as `job.discarded:billing`.

    Raises:
        ValueError: a kind is unknown, or is one that has no tags.
    """
    kinds, tags, is_any_tag = set[AlertKind](), set[str](), False
    for event in events:
        name, colon, tag = event.partition(":")
        if name not in set(AlertKind):
            raise ValueError(f"unknown event {name!r:.80}; expected {', '.join(AlertKind)}")
        kind = AlertKind(name)
        if colon and (kind is not AlertKind.JOB_DISCARDED or not tag):
            raise ValueError(
                f'expected a tag only in "{AlertKind.JOB_DISCARDED}:TAG", got {event!r:.80}'
            )
        kinds.add(kind)
        if tag:
            tags.add(tag)
        is_any_tag = is_any_tag or (kind is AlertKind.JOB_DISCARDED and not colon)
    return Interests(frozenset(kinds), frozenset() if is_any_tag else frozenset(tags))


def raised(known: Alert | None, finding: Finding, now: datetime, identity: UUID) -> Alert:
    """Return the alert of a finding; `known` is that of the same kind and key, if there is one."""
    if known is not None and (known.is_open or known.told is Telling.OPENED):
        is_event = finding.kind in MOMENTARY
        return replace(
            known,
            subject=finding.subject,
            detail=finding.detail,
            path=finding.path,
            last_at=now if is_event else known.last_at,
            count=known.count + finding.count if is_event else known.count,
            closed_at=None,
        )
    return Alert(
        id=identity,
        kind=finding.kind,
        key=finding.key,
        subject=finding.subject,
        detail=finding.detail,
        path=finding.path,
        since=now,
        last_at=now,
        count=finding.count,
        told_at=known.told_at if known is not None else None,
    )


def closed(alert: Alert, now: datetime, detail: str) -> Alert:
    """Return an open alert closed, with what has become of it."""
    return replace(alert, closed_at=now, detail=detail)


def is_quiet(alert: Alert, now: datetime, repeat: timedelta) -> bool:
    """Return whether what an open alert tells of has not happened again for long enough."""
    return not _is_recent(alert.last_at, now, repeat or QUIET)


def telling_of(alert: Alert, now: datetime, repeat: timedelta) -> Telling:
    """Return what is to be sent of an alert now.

    An opening is sent at once, but not within `repeat` of an earlier one, and again each `repeat`
    while it lasts: of something that happens, only if it has happened again. An end is sent of what
    was sent.
    """
    if not alert.is_open:
        return Telling.CLOSED if alert.told is Telling.OPENED else Telling.NOTHING
    is_recent = alert.told_at is not None and _is_recent(alert.told_at, now, repeat)
    if alert.told is Telling.NOTHING:
        return Telling.NOTHING if is_recent else Telling.OPENED
    is_news = alert.kind not in MOMENTARY or alert.count > alert.told_count
    return Telling.OPENED if repeat and is_news and not is_recent else Telling.NOTHING


def told(alert: Alert, telling: Telling, sent: Alert, now: datetime) -> Alert:
    """Return an alert about which something was sent, as it was in `sent`.

    Another opening, which began meanwhile, is still to be sent at its time.
    """
    told_at = now if telling is Telling.OPENED else alert.told_at
    if alert.id != sent.id:
        return replace(alert, told_at=told_at)
    return replace(alert, told=telling, told_at=told_at, told_count=sent.count)


def is_over(alert: Alert, now: datetime, repeat: timedelta) -> bool:
    """Return whether an alert can be forgotten: it has closed, and nothing depends on it."""
    if alert.is_open or alert.told is Telling.OPENED:
        return False
    return alert.told_at is None or not _is_recent(alert.told_at, now, repeat)


def _is_recent(at: datetime, now: datetime, span: timedelta) -> bool:
    """Return whether a time is within a span of now; also one that a wrong clock has put ahead."""
    return at - span < now < at + span
