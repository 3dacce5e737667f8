"""Operations: what the API offers, who may ask for it, and how a request becomes a call.

An operation declares its access; there is no way to add a route that forgets to.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from booper.clock import Clock
from booper.engine.guard import Guard
from booper.engine.scheduler import Scheduler
from booper.errors import Forbidden, Unauthenticated
from booper.model.key import digest_of
from booper.store.base import Store


class Access(Enum):
    """Who may call an operation."""

    OPEN = "no key is needed"
    READ = "a key that may read"
    WRITE = "a key that may write"
    ADMIN = "an administrator: whoever may open the socket beside the database"


@dataclass(frozen=True, slots=True)
class Services:
    """What operations work with; `is_administrator` marks the door that only an admin can open."""

    store: Store
    scheduler: Scheduler
    guard: Guard
    clock: Clock
    max_body_bytes: int
    max_attempts: int
    is_administrator: bool = False


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
    if header is None and services.is_administrator:
        return None
    user_id = await _user_of(header, services)
    if access is Access.ADMIN and not services.is_administrator:
        raise Forbidden("API keys are managed on booper's own machine: run `booper keys` there")
    return user_id


async def _user_of(header: str | None, services: Services) -> UUID:
    if header is None:
        raise Unauthenticated("no API key; send the header `Authorization: Bearer sk_…`")
    scheme, _, key = header.partition(" ")
    if scheme.lower() not in ("bearer", "token") or not key.strip():
        raise Unauthenticated("expected `Authorization: Bearer sk_…`")
    known = await services.store.keys.find(digest_of(key.strip()))
    if known is None or known.revoked_at is not None:
        raise Unauthenticated("this API key is unknown or revoked")
    return known.user_id
