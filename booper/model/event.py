"""Log entries: what happened to a job, and when (contract §7)."""

from datetime import datetime
from uuid import UUID

import msgspec

from booper.model.job import Kind

REQUEST = "worker.http.request"
RESPONSE = "worker.http.response"
ERROR = "worker.http.error"
SKIPPED = "schedule.skipped"
STATE_REJECTED = "schedule.state_rejected"
EVENTS = (REQUEST, RESPONSE, ERROR, SKIPPED, STATE_REJECTED)


class NewEntry(msgspec.Struct, frozen=True):
    """A log entry that has no identity yet; `payload` is JSON text."""

    user_id: UUID
    job_id: int
    kind: Kind
    event: str
    at: datetime
    payload: str


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A stored log entry; `payload` is JSON text."""

    id: UUID
    user_id: UUID
    job_id: int
    event: str
    inserted_at: datetime
    payload: str
