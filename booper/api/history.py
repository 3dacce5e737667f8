"""Timelines of jobs and schedules, runs of schedules, and `/api/audit`: what happened, and why."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.filters import read_choice, read_choices, read_uuid
from booper.api.jobs import reference
from booper.api.memory import ITEM_BYTES
from booper.api.operations import Data, DescribedResponse, Documentation, Operation, Parameter
from booper.api.paging import MAX_LIMIT, read_page, write_cursor
from booper.api.parameters import CURSOR, JOB_ID, MOMENT, paging
from booper.api.paths import uuid_of
from booper.api.responses import JSONResponse
from booper.api.schedules import SCHEDULE_ID
from booper.api.schemas import UUID as UUID_SCHEMA
from booper.api.schemas import choice, listed, whole
from booper.errors import FieldError, InvalidRequest
from booper.model.audit import Action, ChangeFilter, Kind
from booper.model.moment import parse_moment
from booper.store.values import PAGE_BYTES
from booper.wire.audit import AuditEntry, audit_entry
from booper.wire.schedule import RunResource, run_resource
from booper.wire.timeline import TimelineEvent, of_job, of_schedule

ORDER_FIELDS = ("at", "id")
DEFAULT_RUNS = 50

_READERS: Final[Mapping[str, Callable[[list[str]], Any]]] = {
    "kind": partial(read_choices, Kind),
    "action": lambda texts: read_choice(Action, texts[-1]),
    "key_id": lambda texts: read_uuid(texts[-1]),
}


class AuditPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of the audit; `next_cursor` leads to the page behind it, if there is one."""

    data: list[AuditEntry]
    next_cursor: str | None = None


async def job_timeline(call: Call) -> Response:
    """Return what happened to a job and why, in order of time."""
    services, now, at = call.services, call.services.clock.now(), _at(call)
    history = await services.store.history.job(call.user_id, reference(call))
    wait = services.scheduler.wait_of(history.job, now)
    return JSONResponse({"data": of_job(history, wait, now, at)})


async def schedule_timeline(call: Call) -> Response:
    """Return what happened to a schedule and its runs and why, in order of time."""
    services, now, at = call.services, call.services.clock.now(), _at(call)
    schedule_id = uuid_of(call.path["schedule_id"], "schedule")
    history = await services.store.history.schedule(call.user_id, schedule_id, at)
    jobs = [run.job for run in history.runs]
    waits = {job.id: wait for job in jobs if (wait := services.scheduler.wait_of(job, now))}
    return JSONResponse({"data": of_schedule(history, waits, now)})


async def schedule_runs(call: Call) -> Response:
    """List the newest runs of a schedule but those that wait for their time, the newest first."""
    schedule_id = uuid_of(call.path["schedule_id"], "schedule")
    text = call.query.get("limit", str(DEFAULT_RUNS))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= limit <= MAX_LIMIT:
        detail = f"expected 1 to {MAX_LIMIT}, got {text[:40]!r}"
        raise InvalidRequest([FieldError("/limit", detail)])
    history, now = call.services.store.history, call.services.clock.now()
    runs = await history.runs(call.user_id, schedule_id, now, limit)
    return JSONResponse({"data": [run_resource(run) for run in runs]})


async def audit(call: Call) -> Response:
    """List who changed what, newest first by default; creates of jobs are not in it."""
    page, values = read_page(call.query, ORDER_FIELDS, _READERS)
    wanted = ChangeFilter(values["kind"] or (), values["action"], values["key_id"])
    part = await call.services.store.history.changes(page, wanted)
    return JSONResponse(AuditPage([audit_entry(one) for one in part], write_cursor(page, part)))


def _at(call: Call) -> datetime | None:
    """Read the time that a timeline is asked for, None for the present. Raises: InvalidRequest."""
    text = call.query.get("at")
    if text is None:
        return None
    try:
        return parse_moment(text, call.services.clock.now())
    except ValueError as error:
        raise InvalidRequest([FieldError("/at", str(error))]) from error


_EVENTS = [
    {
        "at": "2030-01-01T09:00:00.000000Z",
        "event": "waited",
        "text": "waited 4 s for a free slot to https://example.com; attempt 1 began at "
        "2030-01-01 09:00:04Z",
        "job_id": 29180,
        "reason": "slot",
    },
    {
        "at": "2030-01-01T09:00:04.000000Z",
        "event": "attempted",
        "text": "attempt 1 was sent to https://example.com",
        "job_id": 29180,
        "reason": None,
    },
]
_ENTRY = {
    "id": 7,
    "at": "2030-01-01T09:00:00.000000Z",
    "key_id": "5b0e3f0a-32a5-4c1f-9d57-0f6b1c5de8f1",
    "key_name": "deploy",
    "action": "schedule.disable",
    "kind": "schedule",
    "object": "9f1c2a34-6a0e-4f0b-8a55-3d3f4a0c7f11",
    "user_id": "bd2aa099-6eb7-4dbb-9178-32141def1355",
    "jobs": 1,
    "detail": {},
}
_TIMELINE = {
    200: DescribedResponse(
        "What happened, in order of time", (Data(TimelineEvent, is_list=True),), {"data": _EVENTS}
    )
}
_OF_JOB = Documentation(
    tag="jobs",
    parameters=(
        JOB_ID,
        Parameter("at", "Only what had begun at this time", MOMENT, "2030-01-31T09:00:00Z"),
    ),
    responses=_TIMELINE,
)
_OF_SCHEDULE = Documentation(
    tag="schedules",
    parameters=(
        SCHEDULE_ID,
        Parameter(
            "at",
            "The runs around this planned time, instead of the newest 20",
            MOMENT,
            "2030-01-31T09:00:00Z",
        ),
    ),
    responses=_TIMELINE,
)
_RUN = {
    "job_id": 29180,
    "state": "completed",
    "attempt": 1,
    "planned_at": "2030-01-01T09:00:00.000000Z",
    "scheduled_at": "2030-01-01T09:00:00.000000Z",
    "attempted_at": "2030-01-01T09:00:00.004000Z",
    "ended_at": "2030-01-01T09:00:00.092000Z",
    "duration_ms": 88.0,
}
_RUNS = Documentation(
    tag="schedules",
    parameters=(
        SCHEDULE_ID,
        Parameter(
            "limit",
            "How many to list",
            {**whole(1, MAX_LIMIT), "default": DEFAULT_RUNS},
            DEFAULT_RUNS,
        ),
    ),
    responses={
        200: DescribedResponse(
            "Runs, the newest first", (Data(RunResource, is_list=True),), {"data": [_RUN]}
        )
    },
)
_AUDIT = Documentation(
    tag="keys",
    parameters=(
        *paging(ORDER_FIELDS),
        CURSOR,
        Parameter("kind", "What was changed", listed(Kind), "schedule", is_list=True),
        Parameter("action", "How it was changed", choice(Action), "job.cancel"),
        Parameter("key_id", "The key by which it was changed", UUID_SCHEMA),
    ),
    responses={200: DescribedResponse("Changes", (AuditPage,), {"data": [_ENTRY]})},
)

OPERATIONS = (
    Operation("GET", "/api/jobs/{job_id}/timeline", Access.READ, job_timeline, _OF_JOB, ITEM_BYTES),
    Operation(
        "GET",
        "/api/schedules/{schedule_id}/timeline",
        Access.READ,
        schedule_timeline,
        _OF_SCHEDULE,
        PAGE_BYTES,
    ),
    Operation(
        "GET",
        "/api/schedules/{schedule_id}/runs",
        Access.READ,
        schedule_runs,
        _RUNS,
        ITEM_BYTES,
    ),
    Operation("GET", "/api/audit", Access.ADMIN, audit, _AUDIT, PAGE_BYTES),
)
