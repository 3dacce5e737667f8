"""What alerts need of a database: what has happened, what is late, and the alerts themselves."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

import msgspec

from booper.model.alert import Alert, AlertKind, Finding

MAX_INCIDENTS: Final = 1_000
"""How many incidents one look takes: the others wait for the next."""

MAX_LATE: Final = 2_000
"""How many of the jobs that wait longest are looked at for late runs."""

MAX_RUNS: Final = 1_000
"""How many of the newest runs of a schedule are looked at for those that failed in a row."""


class IncidentKind(StrEnum):
    """What has happened."""

    DISCARDED = "discarded"
    SKIPPED = "skipped"


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was discarded, or planned times of a schedule that were not run, and why.

    `id` is its number, 0 until it is written. `name` is that of the schedule or the job, `origin`
    the target's, `tags` those of the job.
    """

    id: int = 0
    kind: IncidentKind
    job_id: int
    schedule_id: UUID | None = None
    name: str = ""
    origin: str = ""
    tags: tuple[str, ...] = ()
    reason: str = ""
    count: int = 1


class LateRun(msgspec.Struct, frozen=True):
    """A run of a schedule that waits though its time has come."""

    job_id: int
    schedule_id: UUID
    name: str | None
    scheduled_at: datetime
    origin: str


class Streak(msgspec.Struct, frozen=True):
    """How many of a schedule's newest runs were discarded in a row, as far as that was looked for.

    `is_planned` is whether it has a next run.
    """

    name: str | None
    failed: int
    is_planned: bool


class Facts(msgspec.Struct, frozen=True):
    """What one look finds; `streaks` are by the ids of schedules that there are."""

    incidents: Sequence[Incident]
    late: Sequence[LateRun]
    streaks: Mapping[UUID, Streak]


class Alerting(Protocol):
    """Incidents and alerts.

    Where several processes write, one of them looks after alerts; the others hand it what they see.
    """

    async def leads(self) -> bool:
        """Return whether this process looks after alerts; it begins to if no other does."""

    async def hand_over(self, findings: Sequence[Finding]) -> None:
        """Write what this process has seen, for the one that looks after alerts."""

    async def take_over(self) -> Sequence[Finding]:
        """Return what others have handed over, which they do not do again."""

    async def alerts(self) -> Sequence[Alert]:
        """Return all alerts."""

    async def facts(
        self, behind: int, late_before: datetime | None, schedules: Collection[UUID], failures: int
    ) -> Facts:
        """Return the incidents behind a number, late runs, and streaks of up to `failures` runs.

        Runs are late that were due before `late_before`; None stands for none. Streaks are those of
        `schedules` and of the schedules of discarded runs.
        """

    async def save(
        self, alerts: Sequence[Alert], gone: Sequence[tuple[AlertKind, str]], until: int
    ) -> None:
        """Write alerts; forget others, by kind and key, and all incidents up to a number.

        Raises: StoreUnavailable, also if another process looks after alerts by now.
        """
