"""What the rest needs of the past that a database keeps: histories, and the audit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from booper.model.audit import ANY_CHANGE, Change, ChangeFilter, NewChange
from booper.model.history import JobHistory, PastRun, ScheduleHistory
from booper.store.values import JobRef, Page, Part


class History(Protocol):
    """The past of jobs and schedules, and who changed what."""

    async def job(self, user_id: UUID, ref: JobRef) -> JobHistory:
        """Return the history of a user's job. Raises: NotFound."""

    async def schedule(
        self, user_id: UUID, schedule_id: UUID, at: datetime | None
    ) -> ScheduleHistory:
        """Return a user's schedule with its newest runs, or those around a planned time.

        Raises: NotFound.
        """

    async def runs(
        self, user_id: UUID, schedule_id: UUID, now: datetime, limit: int
    ) -> Sequence[PastRun]:
        """Return the newest runs of a user's schedule, the newest first.

        Those that wait for their time are left out. Raises: NotFound.
        """

    async def changes(self, page: Page, wanted: ChangeFilter = ANY_CHANGE) -> Part[Change]:
        """Return who changed what, in the order in which it happened or newest first.

        A search looks at a bounded number of changes, and may leave the rest to the next one.
        """

    async def note(self, change: NewChange) -> None:
        """Note a change of something that no database holds."""
