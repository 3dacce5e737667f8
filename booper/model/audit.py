"""The audit: who changed what, and when. Creates of jobs are not in it."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who changes something: a key, or without one the administrator of the machine."""

    key_id: UUID | None = None


ADMINISTRATOR: Final = Actor()
"""Who needs no key: whoever can open the database or the socket beside it, and booper itself."""


class Action(StrEnum):
    """The kind of a change."""

    JOB_CANCEL = "job.cancel"
    JOB_RETRY = "job.retry"
    JOB_RUN = "job.run"
    JOB_REPLACE = "job.replace"
    JOBS_CANCEL = "jobs.cancel"
    JOBS_RETRY = "jobs.retry"
    JOBS_RUN = "jobs.run"
    SCHEDULE_CHANGE = "schedule.change"
    SCHEDULE_DISABLE = "schedule.disable"
    SCHEDULE_ENABLE = "schedule.enable"
    SCHEDULE_DELETE = "schedule.delete"
    SCHEDULE_RUN = "schedule.run"
    SCHEDULE_STATE = "schedule.state"
    PAUSE = "pause"
    RESUME = "resume"
    BREAKERS_RESET = "breakers.reset"
    KEY_CREATE = "key.create"
    KEY_REVOKE = "key.revoke"


class Kind(StrEnum):
    """The kind of thing that was changed: one job, many, a schedule, a target or a key."""

    JOB = "job"
    JOBS = "jobs"
    SCHEDULE = "schedule"
    TARGET = "target"
    KEY = "key"


class ChangeFilter(msgspec.Struct, frozen=True):
    """Which changes are wanted: of these kinds (none: of any), of one action, by one key."""

    kinds: Sequence[Kind] = ()
    action: Action | None = None
    key_id: UUID | None = None


ANY_CHANGE: Final = ChangeFilter()


class NewChange(msgspec.Struct, frozen=True):
    """A change to be noted; `user_id` is whose the object is, `detail` is JSON text."""

    by: Actor
    action: Action
    kind: Kind
    object: str
    at: datetime
    user_id: UUID | None = None
    detail: str = "{}"


class Change(msgspec.Struct, frozen=True):
    """A change as it was noted; `key_name` is the name of the key, `jobs` counts changed jobs."""

    id: int
    at: datetime
    key_id: UUID | None
    key_name: str | None
    user_id: UUID | None
    action: Action
    kind: Kind
    object: str
    jobs: int
    detail: str
