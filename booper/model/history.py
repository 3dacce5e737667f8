"""What a store knows of the past of a job or a schedule: values only."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from booper.model.audit import Change
from booper.model.job import Job, State
from booper.model.schedule import Gap, Schedule
from booper.model.waiting import KeptWait


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A log entry without what was sent and received.

    `requested_at` is when the request left, if one did. `status` is the response's; `error` and
    `message` say why there is none; `gap` is what was skipped.
    """

    event: str
    at: datetime
    requested_at: datetime | None = None
    status: int | None = None
    error: str | None = None
    message: str | None = None
    gap: Gap | None = None


class JobHistory(msgspec.Struct, frozen=True):
    """A job, its newest log entries in order of time, what it waited for, and who changed it."""

    job: Job
    facts: Sequence[Fact] = ()
    waits: Sequence[KeptWait] = ()
    changes: Sequence[Change] = ()


class PastRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a schedule without what it sends; `ended_at` is when it finished, however it did."""

    job_id: int
    state: State
    attempt: int
    planned_at: datetime
    scheduled_at: datetime
    attempted_at: datetime | None
    ended_at: datetime | None


class ScheduleHistory(msgspec.Struct, frozen=True):
    """A schedule, some of its runs, and who changed it."""

    schedule: Schedule
    runs: Sequence[JobHistory] = ()
    changes: Sequence[Change] = ()
