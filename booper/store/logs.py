"""What booper needs of the log in a database (`booper.store.base`)."""

from typing import Protocol
from uuid import UUID

from booper.model.event import LogEntry
from booper.store.values import Page, Part


class Logs(Protocol):
    """The log of what was sent and received."""

    async def get(self, user_id: UUID, entry_id: UUID) -> LogEntry:
        """Return a user's log entry. Raises: NotFound."""

    async def list(
        self, user_id: UUID, page: Page, job_id: int | None, event: str | None
    ) -> Part[LogEntry]:
        """Return a user's log entries, of one job or all of their own, of one event or all."""
