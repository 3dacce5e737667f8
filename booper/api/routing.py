"""Operations: what the API offers, who may ask for it, and how a request becomes a call.

An operation declares its access; there is no way to add a route that forgets to.
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from booper.clock import Clock
from booper.engine.channels import Channels
from booper.engine.delivery import OWN_HEADER
from booper.engine.guard import Guard
from booper.engine.reports import Reports
from booper.engine.scheduler import Scheduler
from booper.errors import Forbidden, Unauthenticated
from booper.model.key import ApiKey, Scope, digest_of
from booper.model.retry import Backoff
from booper.store.base import Creation, Store


class Access(Enum):
    """Who may call an operation."""

    OPEN = "no key is needed"
    READ = "a key that may read"
    WRITE = "a key that may write"
    OWN_OR_WRITE = "booper's own deliveries, or a key that may write"
    ADMIN = "a key that may administer, or whoever may open the socket beside the database"


_SCOPES = {
    Access.READ: Scope.READ,
    Access.WRITE: Scope.WRITE,
    Access.OWN_OR_WRITE: Scope.WRITE,
    Access.ADMIN: Scope.ADMIN,
}


@dataclass(frozen=True, slots=True)
class Services:
    """What operations work with; `is_administrator` marks the door that only an admin can open.

    `own_secret` tells booper's own deliveries, `forward_url` is where the channel `discord` goes.
    """

    store: Store
    scheduler: Scheduler
    reports: Reports
    channels: Channels
    guard: Guard
    clock: Clock
    max_body_bytes: int
    max_batch_bytes: int
    max_attempts: int
    backoff: Backoff
    user_agent: str
    own_secret: str
    forward_url: str | None = None
    is_administrator: bool = False

    async def forward(self, user_id: UUID, body: Mapping[str, object]) -> None:
        """Send a channel's message on, as durably as any job, if the operator wants that."""
        if self.forward_url is None:
            return
        now = self.clock.now()
        new = self.reports.forward(user_id, self.forward_url, body, now)
        created = await self.store.jobs.create(Creation(new), now)
        self.scheduler.arm(created.job)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an operation, after its caller is known."""

    request: Request
    services: Services
    caller: UUID | None

    @property
    def user_id(self) -> UUID:
        """Return the user this call acts for. Raises: Unauthenticated."""
        if self.caller is None:
            raise Unauthenticated("this needs the API key of a user")
        return self.caller


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    access: Access
    handler: Callable[[Call], Awaitable[Response]]


def routes(operations: Iterable[Operation], services: Services) -> list[Route]:
    """Build one route per path, so that 405 can name every method the path has."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(path, _endpoint(methods, services), methods=list(methods))
        for path, methods in by_path.items()
    ]


def respond(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a value as JSON."""
    body = msgspec.json.encode(content)
    return Response(body, status, headers=headers, media_type="application/json")


def _endpoint(
    methods: dict[str, Operation], services: Services
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        operation = methods["GET" if request.method == "HEAD" else request.method]
        caller = await _identify(request, operation.access, services)
        return await operation.handler(Call(request, services, caller))

    return endpoint


async def _identify(request: Request, access: Access, services: Services) -> UUID | None:
    """Return the user behind a request's key, None where none is needed and none was given.

    Raises:
        Unauthenticated, Forbidden: the key is missing, wrong, or not enough.
    """
    if access is Access.OPEN:
        return None
    header = request.headers.get("authorization")
    if header is None and services.is_administrator and access is Access.ADMIN:
        return None
    if access is Access.OWN_OR_WRITE and (owner := await _own_user(request, services)):
        return owner
    key = await _key(header, services)
    wanted = _SCOPES[access]
    if not services.is_administrator and not key.scope.allows(wanted):
        raise Forbidden(f"this needs a key of scope {wanted}, this one's is {key.scope}")
    return key.user_id


async def _own_user(request: Request, services: Services) -> UUID | None:
    """Return whose job sent this request, if it comes from booper itself."""
    secret, _, job_id = request.headers.get(OWN_HEADER, "").partition(".")
    if not hmac.compare_digest(secret.encode(), services.own_secret.encode()):
        return None
    return await services.store.jobs.owner(int(job_id))


async def _key(header: str | None, services: Services) -> ApiKey:
    if header is None:
        raise Unauthenticated("no API key; send the header `Authorization: Bearer sk_…`")
    scheme, _, key = header.partition(" ")
    if scheme.lower() not in ("bearer", "token") or not key.strip():
        raise Unauthenticated("expected `Authorization: Bearer sk_…`")
    known = await services.store.keys.find(digest_of(key.strip()))
    if known is None or known.revoked_at is not None:
        raise Unauthenticated("this API key is unknown or revoked")
    return known
