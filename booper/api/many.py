"""Work on many jobs: batch, cancel and retry by filter, pause and resume (contract §10)."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from booper.api.bodies import JSON, media_type, read_body
from booper.api.filters import FilterBody, body_filter
from booper.api.intake import Rules, read_creation
from booper.api.jobs import JOB, rules_of
from booper.api.paging import flag
from booper.api.parameters import BOOLEAN
from booper.api.problems import Problem, problem_of
from booper.api.routing import (
    Access,
    Answer,
    Call,
    Data,
    Documentation,
    Operation,
    Parameter,
    Posted,
    respond,
)
from booper.api.schemas import Schema
from booper.api.shapes import read_struct
from booper.errors import (
    BatchRefused,
    BooperError,
    Conflict,
    FieldError,
    InvalidRequest,
    UnsupportedMediaType,
)
from booper.model.redaction import Redaction
from booper.model.resource import JobResource, job_resource, new_job_resource
from booper.store.base import ALL_HOSTS, Created, Creation

T = TypeVar("T", bound=msgspec.Struct)

MOST_IN_BATCH = 1_000
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many creates at once."""

    jobs: list[msgspec.Raw]


class BatchAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one create of many: its status, and its data or its problem."""

    status: int
    data: JobResource | None = None
    error: Problem | None = None


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


async def create(call: Call) -> Response:
    """Accept many jobs in one transaction, each with its own answer."""
    services = call.services
    is_atomic = flag(call.request, "atomic")
    batch = await _read(call, Batch, services.max_batch_bytes)
    if not 0 < len(batch.jobs) <= MOST_IN_BATCH:
        detail = f"expected 1 to {MOST_IN_BATCH} jobs, got {len(batch.jobs)}"
        raise InvalidRequest([FieldError("/jobs", detail)])
    now, rules = services.clock.now(), rules_of(services)
    read = [_creation(bytes(raw), call, rules, now) for raw in batch.jobs]
    if is_atomic:
        _refuse_any(read)
    good = [item for item in read if isinstance(item, Creation)]
    try:
        made = iter(await services.store.jobs.create_many(good, now, atomic=is_atomic))
    except BatchRefused as refused:
        _refuse_any(refused.answers)
        raise
    results = [next(made) if isinstance(item, Creation) else item for item in read]
    services.scheduler.arm(*(item.job for item in results if isinstance(item, Created)))
    redaction = call.services.redaction
    return respond({"data": [_answer(item, redaction, now) for item in results]}, 201)


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


_REFUSED = {
    "type": "about:blank",
    "title": "Invalid request",
    "status": 422,
    "detail": "/url: this field is required",
    "errors": [{"pointer": "/url", "detail": "this field is required"}],
}
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

_BATCH = Documentation(
    tag="jobs",
    parameters=(Parameter("atomic", "All or none", BOOLEAN, False),),
    posted=Posted(Batch, {"two": {"jobs": [{"url": "https://example.com/"}, {}]}}),
    answers={
        201: Answer(
            "An answer to each, in order",
            (Data(BatchAnswer, is_list=True),),
            {"data": [{"status": 201, "data": JOB}, {"status": 422, "error": _REFUSED}]},
        )
    },
    errors=(Conflict,),
)
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
    Operation("POST", "/api/jobs/batch", Access.WRITE, create, _BATCH),
    Operation("POST", "/api/jobs/cancel", Access.WRITE, cancel, _MANY),
    Operation("POST", "/api/jobs/retry", Access.WRITE, retry, _MANY),
    Operation("POST", "/api/pause", Access.ADMIN, pause, _PAUSE),
    Operation("POST", "/api/resume", Access.ADMIN, resume, _PAUSE),
)


def _creation(body: bytes, call: Call, rules: Rules, now: datetime) -> Creation | BooperError:
    try:
        return read_creation(body, JSON, call.user_id, rules, now)
    except BooperError as error:
        return error


def _refuse_any(read: Sequence[object]) -> None:
    """Refuse a batch that is to be all or nothing, pointing at what is wrong in each item."""
    errors = [
        FieldError(f"/jobs/{index}{error.pointer}", error.detail)
        for index, item in enumerate(read)
        if isinstance(item, BooperError)
        for error in (
            item.errors if isinstance(item, InvalidRequest) else [FieldError("", str(item))]
        )
    ]
    if errors:
        raise InvalidRequest(errors)


def _answer(item: Created | BooperError, redaction: Redaction, now: datetime) -> BatchAnswer:
    if isinstance(item, BooperError):
        return BatchAnswer(item.status, error=problem_of(item))
    if item.is_duplicate:
        return BatchAnswer(200, job_resource(item.job, now, redaction, has_conflict=True))
    return BatchAnswer(201, new_job_resource(item.job, now))


async def _many(call: Call) -> ManyBody:
    return await _read(call, ManyBody)


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


async def _read(call: Call, kind: type[T], max_bytes: int | None = None) -> T:
    limit = max_bytes or call.services.max_body_bytes
    return parse_struct(call, await read_body(call.request, limit), kind)


def parse_struct(call: Call, body: bytes, kind: type[T]) -> T:
    """Read a JSON body as a struct; these operations take no forms."""
    if media_type(call.request) != JSON:
        raise UnsupportedMediaType(f"expected {JSON}")
    return read_struct(body, kind)
