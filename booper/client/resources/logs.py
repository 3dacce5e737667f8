"""The operations on the log."""

from uuid import UUID

from booper.client.calls import MAX_ON_A_PAGE, Call, Page, data, page, place, query, reading
from booper.client.models import LogEntry
from booper.client.sending import Iteration, Operation, Resource, S


class Logs(Resource[S]):
    """`/api/logs`: what was sent, what came back, what was left out."""

    @Operation
    def get(self, log_id: UUID | str) -> Call[LogEntry]:
        """Return an entry. Raises: NotFound."""
        return reading(place("logs", log_id), data(LogEntry))

    @Operation
    def list(
        self,
        *,
        job_id: int | None = None,
        event: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | None = None,
        cursor: str | None = None,
    ) -> Call[Page[LogEntry]]:
        """Return a page of entries, 10 unless `limit` says more (at most 100), newest first."""
        parameters = query(
            job_id=job_id,
            event=event,
            limit=limit,
            offset=offset,
            order_by=order_by,
            cursor=cursor,
        )
        return reading("/api/logs", page(LogEntry), parameters)

    @Iteration
    def iterate(
        self, *, job_id: int | None = None, event: str | None = None
    ) -> Call[Page[LogEntry]]:
        """Iterate over all entries, page by page."""
        parameters = query(job_id=job_id, event=event, limit=MAX_ON_A_PAGE)
        return reading("/api/logs", page(LogEntry), parameters)
