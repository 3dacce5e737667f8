"""The operations on API keys."""

from typing import Literal
from uuid import UUID

from booper.client.calls import (
    MAX_ON_A_PAGE,
    Call,
    Page,
    data,
    page,
    place,
    posting,
    query,
    reading,
)
from booper.client.encoding import encode
from booper.client.models import Key, NewKey
from booper.client.sending import Iteration, Operation, Resource, S


class Keys(Resource[S]):
    """`/api/keys`, for a key that administers."""

    @Operation
    def create(
        self,
        name: str,
        *,
        user: str | None = None,
        scope: Literal["read", "write", "admin"] = "write",
    ) -> Call[NewKey]:
        """Create a key, for the first user unless another is named; it is shown this once."""
        return posting(
            "/api/keys", encode({"name": name, "user": user, "scope": scope}), data(NewKey)
        )

    @Operation
    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | None = None,
        cursor: str | None = None,
    ) -> Call[Page[Key]]:
        """Return a page of keys, 10 unless `limit` says more (at most 100), newest first.

        Revoked ones are among them.
        """
        parameters = query(limit=limit, offset=offset, order_by=order_by, cursor=cursor)
        return reading("/api/keys", page(Key), parameters)

    @Iteration
    def iterate(self) -> Call[Page[Key]]:
        """Iterate over all keys, page by page."""
        return reading("/api/keys", page(Key), query(limit=MAX_ON_A_PAGE))

    @Operation
    def revoke(self, key_id: UUID | str) -> Call[Key]:
        """Revoke a key; it is refused from the next request on."""
        return Call(method="DELETE", path=place("keys", key_id), read=data(Key))
