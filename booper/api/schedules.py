"""`/api/schedules`: list, get, change, disable, enable, delete, run now (contract §2, §6)."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import JSON, check_json_type, decode_json, read_body
from booper.api.call import Call
from booper.api.intake import check, new_schedule, read_args, read_due, start_of_interval
from booper.api.jobs import JOB
from booper.api.memory import ITEM_BYTES
from booper.api.operations import (
    Data,
    DescribedBody,
    DescribedResponse,
    Documentation,
    Operation,
    Parameter,
)
from booper.api.paging import (
    MOST_UUID,
    read_page,
    write_cursor,
)
from booper.api.parameters import CURSOR, MOMENT, paging
from booper.api.paths import uuid_of
from booper.api.responses import JSONResponse
from booper.api.schemas import ANYTHING, CREATE, Schema, optional, whole
from booper.api.schemas import UUID as UUID_SCHEMA
from booper.api.shapes import not_an_object, unknown
from booper.api.values import Findings
from booper.api.wire import (
    ScheduleDetail,
    ScheduleResource,
    schedule_detail,
    schedule_resource,
)
from booper.errors import (
    Conflict,
    FieldError,
    InvalidRequest,
)
from booper.model.args import decode_args, encode_args
from booper.model.fields import FIXED_FIELDS
from booper.model.job import Kind, NewJob
from booper.model.moment import parse_moment
from booper.model.origin import path_key
from booper.model.resource import JobResource, job_resource
from booper.model.schedule import NewSchedule, Plan, Schedule, zone_of
from booper.store.values import PAGE_BYTES

DEFAULT_NEXT_RUNS = 5
MOST_NEXT_RUNS = 100
ORDER_FIELDS = ("inserted_at", "id")


class SchedulePage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of schedules; `next_cursor` leads to the page behind it, if there may be one."""

    data: list[ScheduleResource]
    next_cursor: str | None = None


async def list_all(call: Call) -> Response:
    """List the user's schedules, newest first unless asked otherwise."""
    page, _ = read_page(call.query, ORDER_FIELDS, {}, most_id=MOST_UUID)
    part = await call.services.store.schedules.list(call.user_id, page)
    redaction = call.services.redaction
    resources = [schedule_resource(each, redaction) for each in part]
    return JSONResponse(SchedulePage(resources, write_cursor(page, part)))


async def get(call: Call) -> Response:
    """Show one schedule and when it runs next."""
    count, after = _next_parameters(call)
    schedule = await call.services.store.schedules.get(call.user_id, _reference(call))
    return JSONResponse({"data": await _detail(call, schedule, count, after)})


async def change(call: Call) -> Response:
    """Change the fields that are given (null removes one) and plan the next run anew."""
    services, now = call.services, call.services.clock.now()
    body = await read_body(call, services.max_body_bytes)
    check_json_type(call)
    schedule = await services.commands.change_schedule(
        call.user_id, _reference(call), lambda seen: _changed(seen, body, call, now), now
    )
    shown = await _detail(call, schedule, DEFAULT_NEXT_RUNS, now)
    return JSONResponse({"data": shown})


async def disable(call: Call) -> Response:
    """Cancel the waiting run and plan no more."""
    services, now = call.services, call.services.clock.now()
    schedule = await services.commands.disable_schedule(call.user_id, _reference(call), now)
    return JSONResponse({"data": schedule_resource(schedule, services.redaction)})


async def enable(call: Call) -> Response:
    """Plan the next run after now."""
    services, now = call.services, call.services.clock.now()
    schedule = await services.commands.enable_schedule(call.user_id, _reference(call), now)
    return JSONResponse({"data": schedule_resource(schedule, services.redaction)})


async def delete(call: Call) -> Response:
    """Cancel the waiting run and forget the schedule; its past jobs stay."""
    services, now = call.services, call.services.clock.now()
    await services.commands.delete_schedule(call.user_id, _reference(call), now)
    return Response(status_code=204)


async def run(call: Call) -> Response:
    """Run a schedule now, beside its plan, with another body if one is given."""
    services, now = call.services, call.services.clock.now()
    body = await read_body(call, services.max_body_bytes)
    given = _run_body(call, body)
    job = await services.commands.run_schedule(
        call.user_id, _reference(call), lambda seen: _extra_run(seen, given, call, now), now
    )
    shown = job_resource(job, now, services.redaction)
    return JSONResponse({"data": shown}, 201, f"/api/jobs/{job.id}")


CHANGE: Schema = {
    "type": "object",
    "description": "The fields to change; null removes one",
    "properties": {
        name: schema if name == "url" else optional(schema)
        for name, schema in CREATE.items()
        if name not in FIXED_FIELDS
    },
    "additionalProperties": False,
}
_RUN: Schema = {
    "type": "object",
    "properties": {"body": ANYTHING},
    "additionalProperties": False,
}
_SCHEDULE = {
    "id": "9f1c2a34-6a0e-4f0b-8a55-3d3f4a0c7f11",
    "name": None,
    "description": None,
    "inserted_at": "2023-09-01T18:25:49",
    "disabled_at": None,
    "user_id": "bd2aa099-6eb7-4dbb-9178-32141def1355",
    "frequency": {"repeat_every": [5, "minutes"]},
    "args": {
        "method": "get",
        "url": "https://scheduler.booper.dev/api/ping",
        "schedule_in": [10, "seconds"],
        "repeat_every": [5, "minutes"],
    },
}
_DETAIL = {
    **_SCHEDULE,
    "next_runs": ["2023-09-01T18:30:59.705161Z"],
    "next_runs_local": ["2023-09-01T18:30:59.705161+00:00"],
}
_ID = Parameter("schedule_id", "The schedule's id", UUID_SCHEMA, _SCHEDULE["id"])
_ONE = DescribedResponse("The schedule", (Data(ScheduleResource),), {"data": _SCHEDULE})
_DETAILED = DescribedResponse("It and its next runs", (Data(ScheduleDetail),), {"data": _DETAIL})

_LIST = Documentation(
    tag="schedules",
    parameters=(*paging(ORDER_FIELDS), CURSOR),
    responses={200: DescribedResponse("Schedules", (SchedulePage,), {"data": [_SCHEDULE]})},
)
_GET = Documentation(
    tag="schedules",
    parameters=(
        _ID,
        Parameter("next_runs", "How many to tell", whole(0, MOST_NEXT_RUNS), DEFAULT_NEXT_RUNS),
        Parameter("after", "From when on, now by default", MOMENT, "2030-01-31"),
    ),
    responses={200: _DETAILED},
)
_CHANGE = Documentation(
    tag="schedules",
    parameters=(_ID,),
    body=DescribedBody(CHANGE, {"twice as often": {"repeat_every": [150, "seconds"]}}),
    responses={200: _DETAILED},
    errors=(Conflict,),
)
_SWITCH = Documentation(tag="schedules", parameters=(_ID,), responses={200: _ONE})
_ENABLE = Documentation(
    tag="schedules", parameters=(_ID,), responses={200: _ONE}, errors=(Conflict,)
)
_DELETE = Documentation(
    tag="schedules", parameters=(_ID,), responses={204: DescribedResponse("It is deleted")}
)
_EXTRA = Documentation(
    tag="schedules",
    parameters=(_ID,),
    body=DescribedBody(_RUN, {"with another body": {"body": {"min": 100}}}, is_required=False),
    responses={
        201: DescribedResponse(
            "The run", (Data(JobResource),), {"data": JOB}, headers=("Location",)
        ),
    },
    errors=(Conflict,),
)

OPERATIONS = (
    Operation("GET", "/api/schedules", Access.READ, list_all, _LIST, PAGE_BYTES),
    Operation("GET", "/api/schedules/{schedule_id}", Access.READ, get, _GET, ITEM_BYTES),
    Operation("PATCH", "/api/schedules/{schedule_id}", Access.WRITE, change, _CHANGE),
    Operation("DELETE", "/api/schedules/{schedule_id}", Access.WRITE, delete, _DELETE, ITEM_BYTES),
    Operation(
        "POST", "/api/schedules/{schedule_id}/disable", Access.WRITE, disable, _SWITCH, ITEM_BYTES
    ),
    Operation(
        "POST", "/api/schedules/{schedule_id}/enable", Access.WRITE, enable, _ENABLE, ITEM_BYTES
    ),
    Operation("POST", "/api/schedules/{schedule_id}/run", Access.WRITE, run, _EXTRA, ITEM_BYTES),
)


def _changed(schedule: Schedule, body: bytes, call: Call, now: datetime) -> NewSchedule:
    """Lay a change over a schedule's fields and plan its next run.

    Raises:
        InvalidRequest: a field cannot be changed, or the result is wrong.
    """
    given = _fields(body)
    findings = Findings()
    for name in FIXED_FIELDS:
        if name in given:
            findings.add(f"/{name}", "cannot be changed; delete the schedule and post another")
    args = read_args(_merged(schedule, given), JSON, findings)
    origin = check(args, call.services.rules, now, findings)
    if not findings.errors and not args.is_recurring:
        findings.add("", "a schedule needs repeat_every or cron")
    anchor = schedule.anchor
    if given.keys() & {"schedule_in", "scheduled_at"}:
        anchor = read_due(args, now, findings) or now
    elif "starts_at" in given and not findings.errors:  # a wrong one has been noted
        anchor = start_of_interval(args, now, findings) or anchor
    if findings.errors:
        raise InvalidRequest(findings.errors)
    attempts = args.max_attempts or call.services.max_attempts
    new = new_schedule(args, schedule.user_id, origin, anchor, attempts, now)
    return replace(new, first_at=Plan.of(args, new.anchor).next_after(now))


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        fields: dict[str, msgspec.Raw] = decode_json(body, dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise InvalidRequest([not_an_object(body)]) from None
    return fields


def _merged(schedule: Schedule, given: dict[str, msgspec.Raw]) -> bytes:
    """Lay given fields over a schedule's own, as JSON; null removes one (RFC 7396, one level)."""
    stored: dict[str, msgspec.Raw] = msgspec.json.decode(schedule.args, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**stored, **given})


def _run_body(call: Call, body: bytes) -> dict[str, msgspec.Raw]:
    """Read the optional `{"body": …}` of an extra run."""
    if not body:
        return {}
    check_json_type(call)
    given = _fields(body)
    if others := [name for name in given if name != "body"]:
        raise InvalidRequest([unknown(name, ["body"]) for name in others])
    return given


def _extra_run(
    schedule: Schedule, given: dict[str, msgspec.Raw], call: Call, now: datetime
) -> NewJob:
    findings = Findings()
    args = read_args(_merged(schedule, given), JSON, findings)
    check(args, call.services.rules, now, findings)
    # Who brings a body of their own must be one who may send to the url.
    judged = ("/body", "/url") if given else ("/body",)
    errors = [error for error in findings.errors if error.pointer.startswith(judged)]
    if errors:
        raise InvalidRequest(errors)
    return NewJob(
        user_id=schedule.user_id,
        args=encode_args(args),
        origin=schedule.origin,
        path=path_key(args.url),
        scheduled_at=now,
        planned_at=now,
        max_attempts=args.max_attempts or call.services.max_attempts,
        kind=Kind.REQUEST,
        schedule_id=schedule.id,
        idempotency_key=schedule.idempotency_key,
        name=schedule.name,
        description=schedule.description,
        tags=tuple(args.tags or ()),
    )


async def _detail(call: Call, schedule: Schedule, count: int, after: datetime) -> ScheduleDetail:
    """Show a schedule and its next times, none while it is disabled or cannot be planned."""
    redaction = call.services.redaction
    try:
        plan = Plan.of_schedule(schedule)
        zone = zone_of(decode_args(schedule.args).timezone)
    except ValueError:  # which the schedule itself tells
        return schedule_detail(schedule, redaction, [], UTC)
    taken = await call.services.store.schedules.taken(schedule.id, after)
    times = _next_times(plan, schedule, count, after, taken)
    return schedule_detail(schedule, redaction, times, zone)


def _next_times(
    plan: Plan, schedule: Schedule, count: int, after: datetime, taken: frozenset[datetime]
) -> list[datetime]:
    """Return the planned times after a moment: that of the waiting run, and those behind it."""
    at, runs = schedule.next_at, schedule.runs
    if at is None or schedule.disabled_at or schedule.ended_at:
        return []
    if at <= after:
        runs += plan.recurrence.count(at, after)
        at = plan.next_after(after)
    times = list[datetime]()
    while at is not None and len(times) < count and not plan.is_used_up(runs + len(times)):
        if at == schedule.next_at or at not in taken:
            times.append(at)
        at = plan.next_after(at)
    return times


def _next_parameters(call: Call) -> tuple[int, datetime]:
    """Read `next_runs` and `after`."""
    query, now = call.query, call.services.clock.now()
    errors: list[FieldError] = []
    text = query.get("next_runs", str(DEFAULT_NEXT_RUNS))
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1
    if not 0 <= count <= MOST_NEXT_RUNS:
        errors.append(
            FieldError("/next_runs", f"expected 0 to {MOST_NEXT_RUNS}, got {text[:40]!r}")
        )
    after = now
    try:
        after = parse_moment(query["after"], now) if "after" in query else now
    except ValueError as error:
        errors.append(FieldError("/after", str(error)))
    if errors:
        raise InvalidRequest(errors)
    return count, after


def _reference(call: Call) -> UUID:
    return uuid_of(call.path["schedule_id"], "schedule")
