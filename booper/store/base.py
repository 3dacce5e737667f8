"""What booper needs of a database: one small protocol per noun.

Every method is atomic, durable when it returns, and named for its intent. Nothing here shows what
kind of database it is, and nothing outside `store/` may assume that it is the only process.
A method that cannot write raises `StoreUnavailable` (or `StoreFull`) and has changed nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from booper.model.event import LogEntry, NewEntry
from booper.model.job import Job, NewJob, State
from booper.model.key import ApiKey, NewKey

JobRef = int | UUID
"""How a job is named: its integer id or its UUID (contract §2)."""


class Due(NamedTuple):
    """A waiting job as the timers know it; sorts by time, then by id."""

    at: datetime
    id: int
    host: str


@dataclass(frozen=True, slots=True)
class Created:
    """A create's answer: the new job, or the one that holds its idempotency key."""

    job: Job
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: `order_by` is a field of the contract's §2, newest first if falling."""

    limit: int
    offset: int
    order_by: str
    descending: bool


class Jobs(Protocol):
    """The jobs table."""

    async def create(self, new: NewJob, now: datetime) -> Created:
        """Store a job, unless an unfinished one of this user holds its idempotency key."""
        ...

    async def get(self, user_id: UUID, ref: JobRef) -> Job:
        """Return a user's job. Raises: NotFound."""
        ...

    async def list(
        self, user_id: UUID, page: Page, state: State | None, now: datetime
    ) -> Sequence[Job]:
        """Return a user's jobs, those in `state` (as seen at `now`) or all."""
        ...

    async def cancel(self, user_id: UUID, ref: JobRef, now: datetime) -> Job:
        """Cancel a user's job and return it; a finished one unchanged. Raises: NotFound."""
        ...

    async def due(self, after: Due | None, limit: int) -> Sequence[Due]:
        """Return the next waiting jobs in order of time; only those behind `after`, if given."""
        ...

    async def claim(self, due: Sequence[Due], now: datetime) -> Sequence[Job]:
        """Begin an attempt of each of these jobs that still waits for just that time.

        Returns those begun. `now` is when the attempts begin; whether a time has come was asked
        when it left the timers, so that a clock stepped back meanwhile loses nothing.
        """
        ...

    async def settle(self, claimed: Job, settled: Job, entries: Sequence[NewEntry]) -> Job:
        """Replace a claimed job by what its attempt made of it, together with its log entries.

        If the job has left that attempt meanwhile (it was cancelled), only the entries are
        written. Returns the job as it then stands.
        """
        ...

    async def release(self, claimed: Sequence[Job]) -> None:
        """Give back claimed jobs whose attempts a stop ended, not counting them."""
        ...

    async def rescue(self, now: datetime) -> int:
        """Make every executing job due again, its attempt counted; return how many there were.

        Only for the start: it says that no attempt is running anywhere.
        """
        ...


class Logs(Protocol):
    """The log of what was sent and received."""

    async def get(self, user_id: UUID, entry_id: UUID) -> LogEntry:
        """Return a user's log entry. Raises: NotFound."""
        ...

    async def list(
        self, user_id: UUID, page: Page, job_id: int | None, event: str | None
    ) -> Sequence[LogEntry]:
        """Return a user's log entries, of one job or all, of one event or all."""
        ...


class Keys(Protocol):
    """API keys and the users they belong to. Keys are known by their SHA-256 alone."""

    async def create(self, new: NewKey, now: datetime) -> ApiKey:
        """Store a key; a user of that name is made where there is none (None: the first user)."""
        ...

    async def list(self) -> Sequence[ApiKey]:
        """Return all keys, revoked ones too, in order of creation."""
        ...

    async def revoke(self, key_id: UUID, now: datetime) -> ApiKey:
        """Revoke a key and return it; a revoked one unchanged. Raises: NotFound."""
        ...

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256 digest, revoked or not, or None."""
        ...


class Store(Protocol):
    """The whole database."""

    @property
    def jobs(self) -> Jobs: ...

    @property
    def logs(self) -> Logs: ...

    @property
    def keys(self) -> Keys: ...

    async def check_writable(self, now: datetime) -> None:
        """Write something durable. Raises: StoreUnavailable."""
        ...
