"""The operations on the audit."""

from uuid import UUID

from booper.client.calls import MAX_ON_A_PAGE, Call, Page, page, query, reading
from booper.client.models import AuditEntry
from booper.client.sending import Iteration, Operation, Resource, S


class Audit(Resource[S]):
    """`/api/audit`: who changed what, for a key that administers."""

    @Operation
    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | None = None,
        cursor: str | None = None,
        kind: str | None = None,
        action: str | None = None,
        key_id: UUID | str | None = None,
    ) -> Call[Page[AuditEntry]]:
        """Return a page of changes, 10 unless `limit` says more (at most 100), newest first.

        Of these kinds, separated by commas, of one action, and by one key, or of any.
        """
        parameters = query(
            limit=limit,
            offset=offset,
            order_by=order_by,
            cursor=cursor,
            kind=kind,
            action=action,
            key_id=key_id,
        )
        return reading("/api/audit", page(AuditEntry), parameters)

    @Iteration
    def iterate(self) -> Call[Page[AuditEntry]]:
        """Iterate over all changes, page by page."""
        return reading("/api/audit", page(AuditEntry), query(limit=MAX_ON_A_PAGE))
