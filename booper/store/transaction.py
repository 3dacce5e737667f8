"""What the rules need inside one transaction: find and lock, insert, compare-and-set, append.

A database implements this by its SQL and nothing else; `store.rules` decides by it. Everything is
synchronous and happens in one transaction, which the caller begins and ends. What a method reads
stays as it is until that end: a database with several writers locks it.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec

from booper.model.event import NewEntry
from booper.model.job import Job, Kind, NewJob, State
from booper.model.schedule import Gap, Schedule
from booper.store.records import AuditTable, BucketTable, IncidentTable, WaitTable
from booper.store.sharing import Slots
from booper.store.values import DueJob, JobRef, UserKey

T = TypeVar("T")


class LostRace(Exception):
    """A job or schedule that had moved when a change of it came to be written."""


class Taken(Exception):
    """A write of an idempotency key or a planned time that another job holds."""


class PartUndone(Exception):
    """A part of a transaction that was undone, for the error that is its cause."""


class Draft(Protocol):
    """A new job with its identity, all but its number: prepared outside of the transaction."""

    @property
    def new(self) -> NewJob:
        """Return what was asked for."""


Drafting = Callable[[NewJob, datetime, Random], Draft]
"""Prepare a new job, made at a time."""


class OpenGap(msgspec.Struct, frozen=True):
    """The gap at whose end a schedule stands, and the log entry that grows with it."""

    entry_id: UUID
    gap: Gap


class DueSchedule(msgspec.Struct, frozen=True):
    """A schedule whose run is due.

    `has_gap` is whether a gap is open at its end, `is_blocked` whether a run is executing or
    retryable.
    """

    schedule: Schedule
    has_gap: bool
    is_blocked: bool


class EndedJob(msgspec.Struct, frozen=True, gc=False):
    """A finished job, as far as it decides whether it may be deleted.

    `keep_for` is how long it asked to be kept, `key_until` how long it keeps an idempotency key
    taken; None where it does not. `has_unsent_report` is whether a report of it is not finished.
    """

    id: int
    kind: Kind
    state: State
    schedule_id: UUID | None
    planned_at: datetime
    ended_at: datetime
    keep_for: timedelta | None
    key_until: datetime | None
    has_unsent_report: bool


class JobTable(Protocol):
    """Jobs and their tags."""

    @property
    def draft(self) -> Drafting:
        """Return what prepares a new job; it is pure, and runs on any thread."""

    def insert(self, drafts: Sequence[Draft]) -> list[Job]:
        """Write new jobs and return them, numbered in this order."""

    def find(self, job_id: int) -> Job | None:
        """Return a job by its number, None if there is none."""

    def find_all(self, job_ids: Sequence[int]) -> dict[int, Job]:
        """Return the jobs of these numbers, those there are, by number."""

    def find_ended(self, job_ids: Sequence[int]) -> list[EndedJob]:
        """Return those of these jobs that have finished."""

    def delete(self, job_ids: Sequence[int]) -> int:
        """Delete jobs that have no log, with their tags; return how many rows that were."""

    def find_left(self) -> list[Job]:
        """Return the executing jobs of owners that are gone."""

    def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""

    def move(self, before: Job, after: Job) -> Job:
        """Replace a job that is still as it was. Raises: LostRace, Taken."""

    def move_all(self, pairs: Sequence[tuple[Job, Job]]) -> None:
        """Replace jobs by what each has become. Raises: LostRace or Taken if one cannot be."""

    def retag(self, job: Job, tags: Sequence[str]) -> None:
        """Replace a job's tags."""

    def keep(self, job: Job, key_until: datetime | None, keep_for: timedelta | None) -> None:
        """Keep a job's key taken until a time, even if it has finished, and the job after its end.

        None stands for what holds for all.
        """

    def holding_key(self, user_id: UUID, key: str, now: datetime) -> Job | None:
        """Return the newest job outside of schedules that holds a key, None if none does.

        It is unfinished, or finished but not cancelled and keeps the key beyond `now`.
        """

    def count_waiting(self, user_id: UUID) -> int:
        """Return how many of a user's own jobs wait for their time, as the counters have it."""

    def next_event(self, event: Job) -> Job | None:
        """Return the first scheduled webhook event of the same job behind this one, or None."""

    def has_earlier_event(self, event: Job) -> bool:
        """Return whether an earlier webhook event of the same job has not been sent once.

        It is scheduled, or executing its first attempt.
        """


class ScheduleTable(Protocol):
    """Schedules, and the runs that belong to each."""

    def insert(self, schedule: Schedule) -> None:
        """Write a new schedule."""

    def find(self, schedule_id: UUID | None) -> Schedule | None:
        """Return a schedule, None if there is none."""

    def find_due(self, schedule_id: UUID | None) -> DueSchedule | None:
        """Return a schedule with what decides about its due run, None if there is none."""

    def find_with_waiting_run(self, schedule_id: UUID | None) -> tuple[Schedule | None, Job | None]:
        """Return a schedule and the run that waits for its next time, None for what is not."""

    def get(self, user_id: UUID, schedule_id: UUID) -> Schedule:
        """Return a user's schedule. Raises: NotFound."""

    def move(self, before: Schedule, after: Schedule) -> Schedule:
        """Replace a schedule that is still as it was. Raises: LostRace."""

    def delete(self, schedule: Schedule) -> None:
        """Forget a schedule; its jobs stay."""

    def holding_key(self, user_id: UUID, key: str) -> Schedule | None:
        """Return the schedule that holds a key: it has not ended, or has an unfinished run."""

    def waiting_run(self, schedule: Schedule) -> Job | None:
        """Return the run that waits for the schedule's next time."""

    def newest_run(self, schedule: Schedule) -> Job | None:
        """Return the run that was written last."""

    def latest_run(self, schedule: Schedule) -> Job | None:
        """Return the run of the latest planned time."""

    def runs_from(self, schedule: Schedule, count: int) -> int:
        """Return the number of the first of its newest `count` runs, 0 if it has not so many."""

    def is_taken(self, schedule: Schedule, at: datetime, *, but: int = 0) -> bool:
        """Return whether a run (but one) has a planned time."""

    def taken(
        self, schedule_id: UUID, after: datetime, until: datetime | None = None, *, but: int = 0
    ) -> list[datetime]:
        """Return the planned times after a moment, up to another, that a run (but one) has."""

    def cancelled(self, schedule: Schedule, now: datetime, but_error: str) -> set[datetime]:
        """Return later planned times whose runs were cancelled for another reason than an error."""

    def read_gap(self, schedule: Schedule) -> OpenGap | None:
        """Return the gap at whose end a schedule stands."""

    def write_gap(self, schedule: Schedule, before: OpenGap | None, after: OpenGap | None) -> None:
        """Replace a schedule's open gap, if it is still as it was. Raises: LostRace."""


class Log(Protocol):
    """The entries of the log."""

    def append(self, entries: Sequence[NewEntry], random: Random) -> None:
        """Write entries, in this order."""

    def begin(self, entry: NewEntry, random: Random) -> UUID:
        """Write an entry that is to be extended, and return its id."""

    def extend(self, entry_id: UUID, payload: str) -> None:
        """Replace an entry's payload."""

    def drop(self, entry_id: UUID) -> None:
        """Delete an entry."""

    def job_of(self, entry_id: UUID) -> int | None:
        """Return the number of the job that an entry is about, None if there is no entry."""

    def delete(self, job_ids: Sequence[int], limit: int) -> int:
        """Delete the entries of jobs, at most `limit` rows; return how many there were."""

    def gaps(self, schedule: Schedule, since: datetime) -> list[OpenGap]:
        """Return what a schedule did not run, as entries say; all of those that end since then."""

    def trim(self, job_id: int, max_entries: int, max_bytes: int) -> None:
        """Keep the newest entries of a job, up to both limits, and delete the others."""


class Transaction(Protocol):
    """One transaction: its tables, and parts of it that can be undone alone."""

    @property
    def jobs(self) -> JobTable:
        """Return the jobs."""

    @property
    def schedules(self) -> ScheduleTable:
        """Return the schedules."""

    @property
    def log(self) -> Log:
        """Return the log."""

    @property
    def buckets(self) -> BucketTable:
        """Return the buckets."""

    @property
    def waits(self) -> WaitTable:
        """Return the waits."""

    @property
    def audit(self) -> AuditTable:
        """Return the audit."""

    @property
    def incidents(self) -> IncidentTable:
        """Return the incidents."""

    @property
    def owner(self) -> int:
        """Return the number under which this process claims jobs."""

    @property
    def is_damaged(self) -> bool:
        """Return whether some jobs cannot be written, so that each is better written alone."""

    def part(self, work: Callable[[], T], job_id: int | None = None) -> T:
        """Run a part of the transaction; one that raises is undone alone.

        `job_id` is whom it is for: a job whose data are damaged is set aside.

        Raises:
            PartUndone: nothing of this part was written, and the transaction goes on.
        """

    def free_keys(self, keys: Sequence[UserKey], now: datetime) -> Collection[UserKey]:
        """Return keys that are free and there once, if that is found at once for all, else none."""

    def slots(self, now: datetime, due: Collection[DueJob]) -> Slots | None:
        """Return what of this may begin `now`, None where the one process counts that by itself.

        No other claim takes any before the end of the transaction. Whoever asks has locked all
        else before.
        """

    def end_cancelled(self, claimed: Job) -> None:
        """Note that nothing is on its way any more for a claim whose job was cancelled."""

    def alone(self) -> tuple[int, int] | None:
        """Return the number and the attempt of the job that was sent alone, None if none was."""

    def set_alone(self, job: Job) -> None:
        """Note that a job's attempt is made with nothing else on its way."""
