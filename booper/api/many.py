"""Work on many jobs: cancel and retry by filter, pause and resume (contract §10)."""

import re
from typing import TypeVar

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from booper.api.bodies import JSON, media_type, read_body
from booper.api.filters import FilterBody, body_filter
from booper.api.routing import (
    Access,
    Answer,
    Call,
    Data,
    Documentation,
    Operation,
    Posted,
    respond,
)
from booper.api.schemas import Schema
from booper.api.shapes import read_struct
from booper.errors import (
    FieldError,
    InvalidRequest,
    UnsupportedMediaType,
)
from booper.store.base import ALL_HOSTS

T = TypeVar("T", bound=msgspec.Struct)

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")


class ManyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which jobs to change, and whether only to count them."""

    filter: FilterBody | None = None
    all: bool | None = None
    dry_run: bool = False


class ManyAnswer(msgspec.Struct, frozen=True):
    """How many jobs matched and could change, and how many did."""

    matched: int
    changed: int


class HostBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which host to pause or resume; without one, all."""

    host: str | None = None


async def cancel(call: Call) -> Response:
    """Cancel every unfinished job that matches."""
    asked, now = await _many(call), call.services.clock.now()
    services = call.services
    changed = await services.store.jobs.cancel_many(
        call.user_id,
        body_filter(_filter(asked), now),
        now,
        services.reports.cancelled,
        lambda jobs: services.scheduler.arm(*jobs),
        dry_run=asked.dry_run,
    )
    return respond({"data": ManyAnswer(changed.matched, changed.changed)})


async def retry(call: Call) -> Response:
    """Send every discarded or cancelled job that matches again."""
    asked, now = await _many(call), call.services.clock.now()
    wanted, scheduler = body_filter(_filter(asked), now), call.services.scheduler
    changed = await call.services.store.jobs.retry_many(
        call.user_id, wanted, now, lambda jobs: scheduler.arm(*jobs), dry_run=asked.dry_run
    )
    return respond({"data": ManyAnswer(changed.matched, changed.changed)})


async def pause(call: Call) -> Response:
    """Send nothing, to one host or to all, until it is resumed; jobs keep their states."""
    host = await _host(call)
    await call.services.store.pauses.add(host, call.services.clock.now())
    call.services.scheduler.pause(host)
    return await _paused(call)


async def resume(call: Call) -> Response:
    """Send again, to one host or to all."""
    host = await _host(call)
    await call.services.store.pauses.remove(host)
    call.services.scheduler.resume(host)
    return await _paused(call)


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

_MANY = Documentation(
    tag="jobs",
    posted=Posted(
        ManyBody,
        {
            "of a tag": {"filter": {"tag": "nightly"}, "dry_run": True},
            "all": {"all": True, "dry_run": True},
        },
    ),
    answers={200: Answer("How many", (Data(ManyAnswer),), {"data": {"matched": 3, "changed": 0}})},
)
_PAUSE = Documentation(
    tag="jobs",
    posted=Posted(HostBody, {"one host": {"host": "example.com"}, "all": {}}, is_required=False),
    answers={200: Answer("What is paused", (_PAUSED,), {"data": {"paused": ["example.com"]}})},
)

OPERATIONS = (
    Operation("POST", "/api/jobs/cancel", Access.WRITE, cancel, _MANY),
    Operation("POST", "/api/jobs/retry", Access.WRITE, retry, _MANY),
    Operation("POST", "/api/pause", Access.ADMIN, pause, _PAUSE),
    Operation("POST", "/api/resume", Access.ADMIN, resume, _PAUSE),
)


async def _many(call: Call) -> ManyBody:
    return await read_json(call, ManyBody)


def _filter(asked: ManyBody) -> FilterBody:
    if asked.filter is None:
        return FilterBody(all=asked.all)
    return asked.filter if asked.all is None else replace(asked.filter, all=asked.all)


async def _host(call: Call) -> str:
    """Return the host that a body names; no body, or one without a host, means all."""
    body = await read_body(call.request, call.services.max_body_bytes)
    host = parse_struct(call, body, HostBody).host if body else None
    if host is None:
        return ALL_HOSTS
    if host != ALL_HOSTS and not _HOST.fullmatch(host):
        detail = f"expected a host name without a scheme or a port, got {host[:80]!r}"
        raise InvalidRequest([FieldError("/host", detail)])
    return host.lower()


async def _paused(call: Call) -> Response:
    hosts = await call.services.store.pauses.list()
    return respond({"data": {"paused": hosts}})


async def read_json(call: Call, kind: type[T], max_bytes: int | None = None) -> T:
    """Read the JSON body of a request as a struct."""
    limit = max_bytes or call.services.max_body_bytes
    return parse_struct(call, await read_body(call.request, limit), kind)


def parse_struct(call: Call, body: bytes, kind: type[T]) -> T:
    """Read a JSON body as a struct; these operations take no forms."""
    if media_type(call.request) != JSON:
        raise UnsupportedMediaType(f"expected {JSON}")
    return read_struct(body, kind)
