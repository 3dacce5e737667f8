"""Operations: what the API offers, who may ask for it, and how a request becomes a call.

An operation declares its access; there is no way to add a route that forgets to.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from booper.api.bodies import Incoming
from booper.api.limits import RateLimit
from booper.api.memory import ResponseMemory, Share
from booper.api.query import check_query
from booper.clock import Clock
from booper.engine.channels import Channels
from booper.engine.delivery import OWN_HEADER
from booper.engine.guard import Check, Guard
from booper.engine.reports import Reports
from booper.engine.scheduler import Scheduler
from booper.errors import BooperError, Forbidden, Unauthenticated
from booper.model.key import ApiKey, Scope, digest_of
from booper.model.redaction import Redaction
from booper.model.retry import Backoff
from booper.store.base import Store
from booper.store.values import Creation

USER_HEADER: Final = "Booper-User"
"""Names, percent-encoded, for whom an administrator acts; it means nothing at the other door."""

# As `Incoming` has them.
_USER: Final = USER_HEADER.lower()
_OWN: Final = OWN_HEADER.lower()


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
    """What operations work with; `key_ttl` is how long an idempotency key stays taken by default.

    `is_administrator` marks the door that only an admin can open.

    `own_secret` tells booper's own deliveries, `forward_url` is where the channel `discord` goes,
    `has_app` says that there is a program around booper to deliver to. `open_channels_key` is the
    key that a message to a channel is posted with if it has none, None where it needs its own.
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
    redaction: Redaction
    user_agent: str
    key_ttl: timedelta
    own_secret: str
    forward_url: str | None = None
    rate_limit: RateLimit | None = None
    is_administrator: bool = False
    has_app: bool = False
    open_channels_key: str | None = None
    memory: ResponseMemory = field(default_factory=ResponseMemory)

    @property
    def check(self) -> Check:
        """Return what judges the URLs of a create.

        Only who may open the administrator's door, as the program around booper does, may name
        that program: for others it would be a way to what it shows to nobody.
        """
        reaches_app = self.has_app and self.is_administrator
        return self.guard.check_own if reaches_app else self.guard.check

    async def forward(self, user_id: UUID, body: Mapping[str, object]) -> None:
        """Send a channel's message on, as durably as any job, if the operator wants that."""
        if self.forward_url is None:
            return
        now = self.clock.now()
        new = self.reports.forward(user_id, self.forward_url, body, now)
        created = await self.store.jobs.create(Creation(new), now)
        self.scheduler.arm(created.job)


class Call(msgspec.Struct, frozen=True, gc=False):
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
class Data:
    """The envelope of most answers (contract §1) as the API document describes it."""

    kind: type
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a path or a query as the API document describes it; `schema` is JSON Schema.

    One whose name stands in the operation's path is the path's, any other the query's. A list may
    be given as `a=1&a=2` or `a[]=1&a[]=2` as well.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    example: Any = None
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """A request's body as the API document describes it.

    `kind` is the type that reads it (or a JSON Schema where any JSON will do), `form` the JSON
    Schema of the same as a form, if it may come as one. The examples are bodies by name, or a
    function of the time at which they are right.
    """

    kind: Any
    examples: Mapping[str, Any] | Callable[[datetime], Mapping[str, Any]]
    form: Mapping[str, Any] | None = None
    form_examples: Mapping[str, Any] = field(default_factory=dict)
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response as the API document describes it.

    `kinds` are the types of its JSON (or `Data` of one, or a JSON Schema), none if it has no body.
    """

    description: str
    kinds: tuple[Any, ...] = ()
    example: Any = None
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Documentation:
    """What the API document says of an operation beyond what follows from the operation itself.

    `errors` are those that neither its access, its parameters nor its body imply. An operation
    takes the parameters of a query that are listed here and no others, unless it `ignores_query`.
    """

    tag: str
    answers: Mapping[int, Answer]
    posted: Posted | None = None
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[type[BooperError], ...] = ()
    is_superseded: bool = False
    ignores_query: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `{name:path}` in it may hold slashes, as Starlette spells that.

    `reserves` is the memory in bytes that it waits for before it builds a response: how much that
    may have, 0 where it is short or as long as the request's body.
    """

    method: str
    path: str
    access: Access
    handler: Callable[[Call], Awaitable[Response]]
    documentation: Documentation
    reserves: int = 0

    @property
    def template(self) -> str:
        """Return the path as the API document spells it, where parameters have names alone."""
        return re.sub(r":\w+}", "}", self.path)

    @property
    def query(self) -> Mapping[str, bool]:
        """Return the parameters of its query, and which of them are lists."""
        return {
            each.name: each.is_list
            for each in self.documentation.parameters
            if f"{{{each.name}" not in self.path
        }

    @property
    def body_fields(self) -> Collection[str]:
        """Return the names of its body's fields, none if any JSON will do."""
        kind = self.documentation.posted.kind if self.documentation.posted else None
        if isinstance(kind, type):
            return [each.name for each in msgspec.structs.fields(kind)]
        return kind.get("properties", ()) if isinstance(kind, Mapping) else ()

    @property
    def summary(self) -> str:
        """Return what it does, in the first line of its handler's docstring."""
        return (self.handler.__doc__ or "").partition("\n")[0].rstrip(".")


def routes(operations: Iterable[Operation], services: Services) -> list[Route]:
    """Build one route per path, so that 405 can name every method the path has.

    The first path that matches answers, whatever the method: `/api/jobs/batch` is no job.
    """
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [Route(path, Resource(methods, services)) for path, methods in by_path.items()]


class DirectRouter(Router):
    """Starlette's router, which a path without parameters does not have to wait for.

    It tries one pattern after the other; batches and deliveries to booper itself come too often for
    that (a create passes both, see `creates`). Where booper is mounted in another program, paths
    have a prefix, and Starlette takes it off.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        super().__init__(routes, redirect_slashes=False)
        self._direct = {route.path: route.app for route in routes if not route.param_convertors}

    async def app(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Hand a request to the application of its path."""
        is_direct = scope["type"] == "http" and not scope.get("root_path")
        found = self._direct.get(scope["path"]) if is_direct else None
        await (found or super().app)(scope, receive, send)


def respond(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a value as JSON."""
    body = msgspec.json.encode(content)
    return Response(body, status, headers=headers, media_type="application/json")


class Resource:
    """One path: an ASGI application of the operations that its methods are."""

    def __init__(self, methods: Mapping[str, Operation], services: Services) -> None:
        self._methods = methods
        self._services = services

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer a request by the operation of its method. Raises: HTTPException, 405."""
        request = Request(scope, receive, send)
        operation = self._methods.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            allowed = [*self._methods, *(["HEAD"] if "GET" in self._methods else [])]
            raise HTTPException(405, headers={"Allow": ", ".join(allowed)})
        caller = await identify(request, operation.access, self._services)
        if scope["query_string"] and not operation.documentation.ignores_query:
            check_query(request.query_params, operation.query, operation.body_fields)
        with Share(self._services.memory) as share:
            await share.reserve(operation.reserves)
            response = await operation.handler(Call(request, self._services, caller))
            await share.send(response, scope, receive, send)


async def identify(request: Incoming, access: Access, services: Services) -> UUID | None:
    """Return the user behind a request's key, None where none is needed and none was given.

    Raises:
        Unauthenticated, Forbidden: the key is missing, wrong, or not enough.
        TooManyRequests: it was used too often.
    """
    if access is Access.OPEN:
        return None
    header = request.headers.get("authorization")
    if header is None and services.is_administrator:
        if name := request.headers.get(_USER):
            return await services.store.keys.user(unquote(name), services.clock.now())
        if access is Access.ADMIN:
            return None
    if access is Access.OWN_OR_WRITE:
        if owner := await _own_user(request, services):
            return owner
        if header is None and services.open_channels_key and not _is_of_a_page(request):
            header = f"Bearer {services.open_channels_key}"
    key = await key_of(header, services)
    if services.rate_limit is not None:
        services.rate_limit.take(key.id)
    wanted = _SCOPES[access]
    if not services.is_administrator and not key.scope.allows(wanted):
        raise Forbidden(f"this needs a key of scope {wanted}, this one's is {key.scope}")
    return key.user_id


async def _own_user(request: Incoming, services: Services) -> UUID | None:
    """Return whose job sent this request, if it comes from booper itself."""
    secret, _, job_id = request.headers.get(_OWN, "").partition(".")
    if not hmac.compare_digest(secret.encode(), services.own_secret.encode()):
        return None
    return await services.store.jobs.owner(int(job_id))


def _is_of_a_page(request: Incoming) -> bool:
    """Return whether a page of another origin sends this, as any page can without asking."""
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


async def key_of(header: str | None, services: Services) -> ApiKey:
    """Return the key of an `Authorization` header.

    Raises:
        Unauthenticated: it is missing, unknown or revoked.
    """
    if header is None:
        raise Unauthenticated("no API key; send the header `Authorization: Bearer sk_…`")
    scheme, _, key = header.partition(" ")
    if scheme.lower() not in ("bearer", "token") or not key.strip():
        raise Unauthenticated("expected `Authorization: Bearer sk_…`")
    known = await services.store.keys.find(digest_of(key.strip()))
    if known is None or known.revoked_at is not None:
        raise Unauthenticated("this API key is unknown or revoked")
    return known
