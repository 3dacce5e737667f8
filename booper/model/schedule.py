"""A schedule: what repeats, and by which rules (contract §6)."""

from datetime import UTC, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from booper.clock import EPOCH
from booper.model.args import Args, decode_args
from booper.model.duration import parse_duration
from booper.model.moment import Moment, parse_moment
from booper.model.recurrence import Cron, Interval, Recurrence
from booper.model.timezones import zone

if TYPE_CHECKING:
    from datetime import datetime
else:  # imported while a test tool has replaced it, `datetime` would be a class msgspec cannot read
    datetime = type(EPOCH)


class Overlap(StrEnum):
    """The policy for a run that is due while its predecessor is not finished."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"


class Misfire(StrEnum):
    """The policy for runs whose time passed while booper could not send."""

    LATEST = "latest"
    SKIP = "skip"
    ALL = "all"


class Conflict(StrEnum):
    """The policy for a create whose idempotency key is taken."""

    IGNORE = "ignore"
    REPLACE = "replace"
    REJECT = "reject"


class Gap(msgspec.Struct, frozen=True):
    """Planned times that were not run, from `first` to `last`, both included, and why."""

    reason: str
    first: datetime
    last: datetime
    count: int


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Something that repeats.

    `anchor` is where its grid begins. `next_at` is the planned time of the run that waits (the
    one that was cancelled, while disabled), None when there is none left. `runs` counts the planned
    runs begun. `state` and `previous` are the JSON texts of `$state` and `$previous`.
    """

    id: UUID
    user_id: UUID
    idempotency_key: str | None
    name: str | None
    description: str | None
    origin: str
    args: str
    anchor: datetime
    next_at: datetime | None
    runs: int
    state: str = "{}"
    previous: str = "{}"
    inserted_at: datetime
    disabled_at: datetime | None = None
    ended_at: datetime | None = None


class NewSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that was asked for; `first_at` is when its next run is planned, if any is."""

    user_id: UUID
    args: str
    origin: str
    anchor: datetime
    first_at: datetime | None
    max_attempts: int
    idempotency_key: str | None = None
    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """The rules by which a schedule repeats; times that `recurrence` gives, within bounds."""

    recurrence: Recurrence
    starts_at: datetime
    ends_at: datetime | None
    max_runs: int | None
    jitter: timedelta
    overlap: Overlap
    misfire: Misfire

    @classmethod
    def of(cls, args: Args, anchor: datetime) -> "Plan":
        """Read the rules of a schedule whose grid begins at `anchor`.

        Raises:
            ValueError: a rule is wrong; the API has checked each before it came here.
        """
        starts_at = _moment(args.starts_at, args)
        return cls(
            recurrence_of(args, anchor),
            max(starts_at, anchor) if starts_at else anchor,
            _moment(args.ends_at, args),
            args.max_runs,
            parse_duration(args.jitter) if args.jitter is not None else timedelta(0),
            Overlap(args.overlap or Overlap.SKIP),
            Misfire(args.misfire or Misfire.LATEST),
        )

    @classmethod
    def of_schedule(cls, schedule: Schedule) -> "Plan":
        """Read the rules of a stored schedule."""
        return cls.of(decode_args(schedule.args), schedule.anchor)

    def first(self) -> datetime | None:
        """Return the first planned time of all."""
        return self.next_after(self.starts_at - _INSTANT)

    def next_after(self, t: datetime) -> datetime | None:
        """Return the first planned time after `t`, None if there is none."""
        found = self.recurrence.next_after(max(t, self.starts_at - _INSTANT))
        if found is None or (self.ends_at is not None and found > self.ends_at):
            return None
        return found

    def last_until(self, t: datetime) -> datetime | None:
        """Return the last planned time not after `t`, None if there is none."""
        if self.ends_at is not None:
            t = min(t, self.ends_at)
        found = self.recurrence.last_before(t + _INSTANT)
        return None if found is None or found < self.starts_at else found

    def gap(self, reason: str, first: datetime, last: datetime) -> Gap:
        """Describe the planned times from `first` to `last` as not run."""
        return Gap(reason, first, last, self.recurrence.count(first, last))

    def is_used_up(self, runs: int) -> bool:
        """Return whether no further run may be planned once `runs` have begun."""
        return self.max_runs is not None and runs >= self.max_runs


def recurrence_of(args: Args, anchor: datetime) -> Recurrence:
    """Return when a recurring create repeats. Raises: ValueError."""
    if args.cron is not None:
        return _cron(args.cron, args.timezone or "UTC")
    assert args.repeat_every is not None
    return Interval(parse_duration(args.repeat_every), anchor)


def zone_of(timezone: str | None) -> tzinfo:
    """Return the zone in which times without one are meant. Raises: InvalidTimezone."""
    if timezone is None:
        return UTC
    return zone(timezone)


TIMING = (
    "schedule_in",
    "scheduled_at",
    "repeat_every",
    "cron",
    "timezone",
    "starts_at",
    "ends_at",
)
"""The fields that decide a schedule's planned times."""


def has_same_timing(one: Args, other: Args) -> bool:
    """Return whether two schedules have the same planned times."""
    return all(getattr(one, name) == getattr(other, name) for name in TIMING)


_INSTANT = timedelta(microseconds=1)

# Building one takes 0.1 ms, and each run needs one.
_cron = lru_cache(maxsize=1024)(Cron.parse)


def _moment(value: Moment | None, args: Args) -> datetime | None:
    return None if value is None else parse_moment(value, None, zone_of(args.timezone))
