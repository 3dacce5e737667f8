"""`/api/pause`, `/api/resume`, `/api/pauses`: what nothing is sent to for now (contract §10)."""

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import check_json_type, read_body
from booper.api.call import Call
from booper.api.memory import ITEM_BYTES
from booper.api.operations import Data, DescribedBody, DescribedResponse, Documentation, Operation
from booper.api.responses import JSONResponse
from booper.api.schemas import Schema
from booper.api.services import Services
from booper.api.shapes import read_struct
from booper.errors import FieldError, InvalidRequest, TargetRefused
from booper.guard.target import APP_HOST, parse_host, parse_origin
from booper.store.values import ALL_TARGETS, Pause
from booper.wire.job import HeldBy
from booper.wire.timestamps import precise


class TargetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The target to pause, resume or reset: one origin, all origins of a host, or everything."""

    host: str | None = None
    origin: str | None = None


class PauseResource(msgspec.Struct, frozen=True):
    """A pause: its target, and its beginning."""

    target: str
    paused_at: str


async def pause(call: Call) -> Response:
    """Pause one target or all until resumed; jobs keep their states."""
    target, now = await read_target(call), call.services.clock.now()
    await call.services.commands.pause(target, now, call.actor)
    return await _paused(call)


async def resume(call: Call) -> Response:
    """Resume one target or all."""
    target, now = await read_target(call), call.services.clock.now()
    await call.services.commands.resume(target, now, call.actor)
    return await _paused(call)


async def list_all(call: Call) -> Response:
    """List what is paused."""
    found = await call.services.store.pauses.list()
    return JSONResponse({"data": [pause_resource(pause) for pause in found]})


def pause_resource(pause: Pause) -> PauseResource:
    """Return a pause as the API shows it."""
    return PauseResource(pause.target, precise(pause.paused_at))


def holder(origin: str, services: Services) -> HeldBy | None:
    """Return what holds jobs of an origin back, None if nothing does."""
    paused = services.scheduler.pause_of(origin)
    if paused is not None:
        return HeldBy("pause", paused.target, precise(paused.paused_at))
    breaker = services.scheduler.breakers.find(origin)
    if breaker is None or breaker.opened_at is None:
        return None
    return HeldBy("breaker", breaker.origin, precise(breaker.opened_at))


async def read_target(call: Call) -> str:
    """Return what a body names; no body, or one that names nothing, means everything.

    Raises: InvalidRequest.
    """
    raw = await read_body(call, call.services.max_body_bytes)
    if not raw:
        return ALL_TARGETS
    check_json_type(call)
    body = read_struct(raw, TargetBody)
    if body.host is not None and body.origin is not None:
        raise InvalidRequest([FieldError("/origin", "give either host or origin, not both")])
    if body.origin is not None:
        return _origin(body.origin)
    return ALL_TARGETS if body.host is None else _host(body.host)


def _origin(text: str) -> str:
    try:
        return parse_origin(text)
    except TargetRefused as error:
        raise InvalidRequest([FieldError("/origin", _expected_origin(text))]) from error


def _expected_origin(text: str) -> str:
    return (
        "expected a scheme, a host and perhaps a port, without a path, such as "
        f'"https://api.example.com:8443", got {text[:80]!r}'
    )


def _host(text: str) -> str:
    if text in (ALL_TARGETS, APP_HOST):
        return text
    try:
        return parse_host(text)
    except TargetRefused as error:
        detail = (
            'expected a host, or a host and a port, such as "api.example.com:8443"; an origin '
            f'such as "https://api.example.com" goes into the field origin; got {text[:80]!r}'
        )
        raise InvalidRequest([FieldError("/host", detail)]) from error


async def _paused(call: Call) -> Response:
    found = await call.services.store.pauses.list()
    return JSONResponse({"data": {"paused": [one.target for one in found]}})


_PAUSED: Schema = {
    "type": "object",
    "properties": {
        "data": {
            "type": "object",
            "properties": {"paused": {"type": "array", "items": {"type": "string"}}},
            "required": ["paused"],
        }
    },
    "required": ["data"],
}

TARGETS: dict[str, object] = {
    "all origins of a host": {"host": "example.com"},
    "one port of a host": {"host": "example.com:8443"},
    "one origin": {"origin": "https://example.com"},
    "everything": {},
}
"""What a body may name, as examples."""

_PAUSE = Documentation(
    tag="jobs",
    body=DescribedBody(TargetBody, TARGETS, is_required=False),
    responses={
        200: DescribedResponse("What is paused", (_PAUSED,), {"data": {"paused": ["example.com"]}})
    },
)
_LIST = Documentation(
    tag="jobs",
    responses={
        200: DescribedResponse(
            "What is paused",
            (Data(PauseResource, is_list=True),),
            {"data": [{"target": "example.com", "paused_at": "2023-09-01T18:25:49.705161Z"}]},
        )
    },
)

OPERATIONS = (
    Operation("POST", "/api/pause", Access.ADMIN, pause, _PAUSE),
    Operation("GET", "/api/pause", Access.ADMIN, list_all, _LIST, ITEM_BYTES),
    Operation("POST", "/api/resume", Access.ADMIN, resume, _PAUSE),
    Operation("GET", "/api/pauses", Access.ADMIN, list_all, _LIST, ITEM_BYTES),
)
