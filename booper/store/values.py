"""What the store takes and returns: due jobs, creates, claims, results, and parts of lists.

`Announce` functions are pure: they are called within a change and return the internal jobs that
are written with it, so that a report is never lost nor sent for what did not happen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from booper.model.audit import ADMINISTRATOR, Actor
from booper.model.event import NewEntry
from booper.model.job import OWN_KINDS, Attempt, Job, Kind, NewJob, State
from booper.model.schedule import Conflict, NewSchedule, Schedule

T = TypeVar("T")

PAGE_BYTES: Final = 4 << 20
"""How much a page of a list holds at most; one item that is larger is a page of its own."""

SEARCH_ROWS: Final = 5_000
"""How many jobs are looked at for one page."""

SEARCH_BYTES: Final = 16 << 20
"""How much of what jobs send is read to find those of one page."""

RUNS_READ: Final = 1_000
"""How many runs of a schedule are looked at for the last one that completed."""

MAX_TIME: Final = datetime.max.replace(tzinfo=UTC)
"""Later than any job is due."""

JobRef = int | UUID
"""How a job is named: its integer id or its UUID (contract §2)."""

UserKey = tuple[UUID, str]
"""A user, and one of that user's idempotency keys."""


class Due(NamedTuple):
    """A waiting job as the timers know it; sorts by time, then by id.

    A job whose time or target has changed is another entry; the claim knows which one is true.
    """

    at: datetime
    id: int
    origin: str
    path: int = 0

    @classmethod
    def of(cls, job: Job) -> "Due":
        """Return a waiting job as the timers know it."""
        return cls(job.scheduled_at, job.id, job.origin, job.path)


class Scan(msgspec.Struct, frozen=True, gc=False):
    """A part of the waiting jobs in order of time, and the last that was looked at.

    `until` is None where the table ended: there are no others.
    """

    found: Sequence[Due]
    until: Due | None


class DueJob(msgspec.Struct, frozen=True, gc=False):
    """A job that was found due, and when: what it waits after that is no lateness."""

    due: Due
    at: datetime


class Suspect(msgspec.Struct, frozen=True, gc=False):
    """A due job that was in flight at so many crashes in a row that it may be their cause."""

    seen: DueJob
    crashes: int


class Admit(Enum):
    """Which suspects a claim lets begin: none, one with others on their way, or one alone."""

    NONE = auto()
    IN_COMPANY = auto()
    ALONE = auto()


ALL_TARGETS: Final = "*"
"""The name of a pause of everything."""


class Pause(msgspec.Struct, frozen=True, gc=False):
    """A pause of an origin, `host:port`, a host, or `ALL_TARGETS`, and its beginning."""

    target: str
    paused_at: datetime


class Creation(msgspec.Struct, frozen=True, gc=False):
    """The input of a create: the job, the policy if its key is taken, and its author."""

    new: NewJob | NewSchedule
    on_conflict: Conflict = Conflict.IGNORE
    by: Actor = ADMINISTRATOR


class Created(msgspec.Struct, frozen=True, gc=False):
    """A create's result: the new job (a schedule's first run), or the one that holds the key."""

    job: Job
    is_duplicate: bool


class Claims(msgspec.Struct, frozen=True, gc=False):
    """The result of a claim of due jobs: attempts begun, and jobs to arm.

    `held` are due jobs that wait for their predecessor, whose end arms them. `suspects` may begin
    only in a claim that admits them. For `refused` there is no slot now: other nodes have it, or
    what they know of the origin stands against it.
    """

    begun: Sequence[Attempt]
    armed: Sequence[Job]
    held: Sequence[Job] = ()
    suspects: Sequence[Suspect] = ()
    refused: Sequence[DueJob] = ()


class Ahead(msgspec.Struct, frozen=True, gc=False):
    """Schedules and retries that may have been planned by a clock that was ahead."""

    schedules: Sequence[UUID]
    retries: Sequence[int]


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """All that the end of an attempt writes, together.

    `previous` is the JSON text that a completed run leaves to its schedule, `changes` its `$set`;
    None where there is nothing to leave. `duration` is how long the attempt took, None where
    nothing was sent.
    """

    claimed: Job
    settled: Job
    at: datetime
    entries: Sequence[NewEntry]
    reports: Sequence[NewJob] = ()
    previous: str | None = None
    changes: Mapping[str, Any] | None = None
    duration: timedelta | None = None
    was_held: bool = False


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The job as it stands after its attempt, and the jobs that may go now."""

    job: Job
    armed: Sequence[Job]


Announce = Callable[[Attempt, datetime], Sequence[NewJob]]
"""Return the internal jobs that report, at a time, that an attempt begins."""

AnnounceRescue = Callable[[Attempt, Job, datetime], Sequence[NewJob]]
"""Return the internal jobs that report that an attempt was cut off, and what became of its job."""

AnnounceEnd = Callable[[Job, datetime], Sequence[NewJob]]
"""Return the internal jobs that report that a job has ended without an attempt."""


class Place(msgspec.Struct, frozen=True):
    """A place in a list: behind an item, or at the beginning; and how many to leave out from there.

    The item is known by its value of the list's order (an id or a time) and its id.
    """

    is_behind: bool = False
    value: int = 0
    id: int = 0
    skip: int = 0


class Page(msgspec.Struct, frozen=True):
    """Which part of a list: `order_by` is a field of the contract's §2, newest first if falling.

    It begins at `place`.
    """

    limit: int
    order_by: str
    descending: bool
    place: Place = Place()


class Part(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; `rest` is where the next one begins, None if this is the last.

    A part ends early where it would be too large, or where the search for it has looked at
    `SEARCH_ROWS` or `SEARCH_BYTES`, which `is_partial` tells: what it lacks may be behind it.
    `searched_to` is the time of the last that was looked at then, in the list's order.
    """

    items: Sequence[T]
    rest: Place | None = None
    is_partial: bool = False
    searched_to: datetime | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class JobFilter(msgspec.Struct, frozen=True):
    """Which jobs; every part that is given must hold. `before` and `after` bound `scheduled_at`.

    `reports_of` is the number of the job that they report. `text` stands in a value of what they
    were created with, the headers left out, in any case of its ASCII letters.
    """

    states: frozenset[State] = frozenset()
    kinds: Sequence[Kind] = OWN_KINDS
    tag: str | None = None
    schedule_id: UUID | None = None
    url_prefix: str | None = None
    host: str | None = None
    before: datetime | None = None
    after: datetime | None = None
    reports_of: int | None = None
    text: str | None = None


class BulkResult(msgspec.Struct, frozen=True, gc=False):
    """The result of a change: how many jobs matched, and how many it changed.

    Of a change of one job, `jobs` are that job and the ones to arm. Of many, `through` is the
    highest number of a job that was looked at; a count that `is_partial` stopped before the last.
    """

    matched: int
    changed: int
    jobs: Sequence[Job] = ()
    through: int = 0
    is_partial: bool = False


class Bounds(msgspec.Struct, frozen=True):
    """How far a change of many jobs goes: up to the job `through`, None for the newest one.

    A dry run looks at `max_count` jobs at most, None for all.
    """

    through: int | None = None
    max_count: int | None = None


UNBOUNDED: Final = Bounds()


Subscriber = Callable[[Sequence[Job]], None]
"""A function that gets the waiting jobs of a commit: new, changed, or free to go by now.

It is called on the event loop, before the change that was committed returns.
"""

Watcher = Callable[[Sequence[Job | Schedule]], None]
"""A function that gets the jobs and schedules that a commit has written, as they are then.

It is called as a `Subscriber` is. A schedule that was deleted is among them.
"""


class Pruned(msgspec.Struct, frozen=True, gc=False):
    """How many jobs a change has deleted, and how many rows in all."""

    jobs: int
    rows: int


class ScheduleChange(msgspec.Struct, frozen=True, gc=False):
    """A schedule as a change has left it, and the jobs that the change has made."""

    schedule: Schedule
    armed: Sequence[Job] = ()
