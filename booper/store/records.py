"""What the rules append to beside jobs, schedules and the log: numbers, reasons, who did it."""

from collections.abc import Sequence
from typing import Protocol

from booper.model.audit import NewChange
from booper.model.bucket import Happened
from booper.model.waiting import KeptWait
from booper.store.alerting import Incident


class BucketTable(Protocol):
    """Numbers of what happened, by time."""

    def add(self, happened: Sequence[Happened]) -> None:
        """Add what happened, to its user's five minutes and to its origin's hour."""


class WaitTable(Protocol):
    """Why attempts began late."""

    def add(self, kept: Sequence[KeptWait]) -> None:
        """Write why attempts began late."""


class AuditTable(Protocol):
    """Who changed what."""

    def append(self, change: NewChange, job_ids: Sequence[int] = ()) -> int:
        """Write a change and which jobs it has changed; return its number."""

    def extend(self, number: int, job_ids: Sequence[int]) -> None:
        """Add jobs to those that a change has changed."""


class IncidentTable(Protocol):
    """What has happened that an alert may be about."""

    def append(self, incidents: Sequence[Incident]) -> None:
        """Write what has happened, for whoever looks next."""
