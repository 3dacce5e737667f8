"""`/api/schedules`: list, get, change, disable, enable, delete, run now (contract §2, §6)."""

from uuid import UUID

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import check_json_type, read_body
from booper.api.call import Call
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
    MAX_UUID,
    read_page,
    write_cursor,
)
from booper.api.parameters import CURSOR, MOMENT, paging
from booper.api.paths import uuid_of
from booper.api.responses import JSONResponse
from booper.api.schedule_changes import changed, extra_run, read_run_body, read_state, read_version
from booper.api.schedule_detail import (
    DEFAULT_NEXT_RUNS,
    MAX_NEXT_RUNS,
    detail,
    read_next_parameters,
)
from booper.api.schemas import ANYTHING, CREATE, Schema, matching, optional, whole
from booper.api.schemas import UUID as UUID_SCHEMA
from booper.errors import (
    Conflict,
)
from booper.model.fields import FIXED_FIELDS
from booper.model.state_version import VERSION
from booper.store.values import PAGE_BYTES
from booper.wire.job import JobResource, job_resource
from booper.wire.schedule import ScheduleDetail, ScheduleResource, schedule_resource

ORDER_FIELDS = ("inserted_at", "id")


class SchedulePage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of schedules; `next_cursor` leads to the page behind it, if there may be one."""

    data: list[ScheduleResource]
    next_cursor: str | None = None


async def list_all(call: Call) -> Response:
    """List the user's schedules, newest first by default."""
    page, _ = read_page(call.query, ORDER_FIELDS, {}, max_id=MAX_UUID)
    part = await call.services.store.schedules.list(call.user_id, page)
    redaction = call.services.redaction
    resources = [schedule_resource(each, redaction) for each in part]
    return JSONResponse(SchedulePage(resources, write_cursor(page, part)))


async def get(call: Call) -> Response:
    """Show one schedule and when it runs next."""
    count, after = read_next_parameters(call)
    schedule = await call.services.store.schedules.get(call.user_id, _reference(call))
    return JSONResponse({"data": await detail(call, schedule, count, after)})


async def change(call: Call) -> Response:
    """Change the fields that are given (null removes one) and plan the next run anew."""
    services, now = call.services, call.services.clock.now()
    body = await read_body(call, services.max_body_bytes)
    check_json_type(call)
    schedule = await services.commands.change_schedule(
        call.user_id,
        _reference(call),
        lambda seen: changed(seen, body, call, now),
        now,
        call.actor,
    )
    shown = await detail(call, schedule, DEFAULT_NEXT_RUNS, now)
    return JSONResponse({"data": shown})


async def disable(call: Call) -> Response:
    """Disable a schedule and cancel its waiting run."""
    services, now = call.services, call.services.clock.now()
    commands, by = services.commands, call.actor
    schedule = await commands.disable_schedule(call.user_id, _reference(call), now, by)
    return JSONResponse({"data": schedule_resource(schedule, services.redaction)})


async def enable(call: Call) -> Response:
    """Enable a schedule and plan its next run."""
    services, now = call.services, call.services.clock.now()
    commands, by = services.commands, call.actor
    schedule = await commands.enable_schedule(call.user_id, _reference(call), now, by)
    return JSONResponse({"data": schedule_resource(schedule, services.redaction)})


async def delete(call: Call) -> Response:
    """Delete a schedule and cancel its waiting run; its past jobs stay."""
    services, now = call.services, call.services.clock.now()
    await services.commands.delete_schedule(call.user_id, _reference(call), now, call.actor)
    return Response(status_code=204)


async def run(call: Call) -> Response:
    """Run a schedule now, in addition to its planned runs, with another body if one is given."""
    services, now = call.services, call.services.clock.now()
    body = await read_body(call, services.max_body_bytes)
    given = read_run_body(call, body)
    job = await services.commands.run_schedule(
        call.user_id,
        _reference(call),
        lambda seen: extra_run(seen, given, call, now),
        now,
        call.actor,
    )
    shown = job_resource(job, now, services.redaction)
    return JSONResponse({"data": shown}, 201, call.url(f"/api/jobs/{job.id}"))


async def set_state(call: Call) -> Response:
    """Replace a schedule's `$state`; a run that completes merges its `$set` into the new one."""
    services, now = call.services, call.services.clock.now()
    body = await read_body(call, services.max_body_bytes)
    check_json_type(call)
    state, seen, by = read_state(body), read_version(call), call.actor
    set_state = services.commands.set_state
    schedule = await set_state(call.user_id, _reference(call), state, now, by, seen)
    shown = await detail(call, schedule, DEFAULT_NEXT_RUNS, now)
    return JSONResponse({"data": shown})


CHANGE: Schema = {
    "type": "object",
    "description": "The fields to change; null removes one. For a URL of another origin, give "
    "`headers` again if some of them are hidden",
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
    "ended_at": None,
    "next_run_at": "2023-09-01T18:30:59.705161Z",
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
    "state": {"sent": [17]},
    "state_version": "1c1a3d6b2c7e1f80",
    "previous": {},
}
SCHEDULE_ID = Parameter("schedule_id", "The schedule's id", UUID_SCHEMA, _SCHEDULE["id"])
_ONE = DescribedResponse("The schedule", (Data(ScheduleResource),), {"data": _SCHEDULE})
_DETAILED = DescribedResponse(
    "The schedule and its next runs", (Data(ScheduleDetail),), {"data": _DETAIL}
)

_LIST = Documentation(
    tag="schedules",
    parameters=(*paging(ORDER_FIELDS), CURSOR),
    responses={200: DescribedResponse("Schedules", (SchedulePage,), {"data": [_SCHEDULE]})},
)
_GET = Documentation(
    tag="schedules",
    parameters=(
        SCHEDULE_ID,
        Parameter("next_runs", "How many to tell", whole(0, MAX_NEXT_RUNS), DEFAULT_NEXT_RUNS),
        Parameter("after", "From when on, now by default", MOMENT, "2030-01-31"),
    ),
    responses={200: _DETAILED},
)
_CHANGE = Documentation(
    tag="schedules",
    parameters=(SCHEDULE_ID,),
    body=DescribedBody(CHANGE, {"twice as often": {"repeat_every": [150, "seconds"]}}),
    responses={200: _DETAILED},
    errors=(Conflict,),
)
_SWITCH = Documentation(tag="schedules", parameters=(SCHEDULE_ID,), responses={200: _ONE})
_ENABLE = Documentation(
    tag="schedules", parameters=(SCHEDULE_ID,), responses={200: _ONE}, errors=(Conflict,)
)
_DELETE = Documentation(
    tag="schedules", parameters=(SCHEDULE_ID,), responses={204: DescribedResponse("It is deleted")}
)
_EXTRA = Documentation(
    tag="schedules",
    parameters=(SCHEDULE_ID,),
    body=DescribedBody(_RUN, {"with another body": {"body": {"min": 100}}}, is_required=False),
    responses={
        201: DescribedResponse(
            "The run", (Data(JobResource),), {"data": JOB}, headers=("Location",)
        ),
    },
    errors=(Conflict,),
)
_STATE = Documentation(
    tag="schedules",
    parameters=(
        SCHEDULE_ID,
        Parameter(
            "if_version",
            "The `state_version` of the $state that is to be replaced; any other stays",
            matching(VERSION.pattern),
        ),
    ),
    body=DescribedBody(
        {"type": "object", "description": "What $state is from now on, at most 64 KiB"},
        {"two keys": {"sent": [17, 18], "token": "t"}},
    ),
    responses={200: _DETAILED},
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
    Operation("PUT", "/api/schedules/{schedule_id}/state", Access.WRITE, set_state, _STATE),
)


def _reference(call: Call) -> UUID:
    return uuid_of(call.path["schedule_id"], "schedule")
