"""One request to an operation, as its handler sees it."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import Receive
from starlette.types import Scope as ASGIScope

from booper.api.access import Principal
from booper.api.services import Services
from booper.errors import Unauthenticated
from booper.model.audit import Actor
from booper.model.schedule import Conflict
from booper.store.values import Creation

NO_QUERY: Final = QueryParams()


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request whose sender is known and whose body has yet to be read.

    `headers` are by lower-case name; of one that is repeated the first counts. `path` are the
    parameters of its path, `query` those behind it.
    """

    scope: ASGIScope
    receive: Receive
    headers: Mapping[bytes, bytes]
    path: Mapping[str, str]
    query: QueryParams
    principal: Principal
    services: Services

    @property
    def user_id(self) -> UUID:
        """Return the user this call acts for. Raises: Unauthenticated."""
        if self.principal.user_id is None:
            raise Unauthenticated("this needs the API key of a user")
        return self.principal.user_id

    def url(self, path: str) -> str:
        """Return where a path of the API is: at the public URL, else as it is mounted here."""
        return f"{self.services.public_url or self.scope.get('root_path', '')}{path}"

    @property
    def actor(self) -> Actor:
        """Return who asks, for the audit."""
        return Actor(self.principal.key_id)

    def signed(self, creation: Creation) -> Creation:
        """Return a create with who asks for it, if it may change what is there already."""
        may_change = creation.on_conflict is Conflict.REPLACE
        return replace(creation, by=self.actor) if may_change else creation

    @property
    def request(self) -> Request:
        """Return the whole request, for what a call leaves out."""
        return Request(self.scope, self.receive)
