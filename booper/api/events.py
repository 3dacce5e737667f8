"""`/api/events`: what of a user's jobs and schedules changes, as it changes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.event_stream import MEDIA_TYPE, stream
from booper.api.filters import read_choices, read_uuid
from booper.api.operations import DescribedResponse, Documentation, Operation
from booper.api.paging import read_filter
from booper.api.parameters import FILTERS, JOB_ID
from booper.api.paths import job_ref
from booper.api.schemas import Schema
from booper.engine.changes import MAX_IDS, Change, Wanted
from booper.errors import FieldError, InvalidRequest, NotFound
from booper.model.job import State
from booper.store.values import JobRef


class ChangeResource(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed since the event before: ids of jobs and schedules, and the user's numbers.

    Where there `are_more`, others have changed that are not listed. `counts` are the user's
    requests and runs by their states as stored.
    """

    jobs: list[int]
    schedules: list[UUID]
    are_more: bool
    counts: dict[str, int]


async def events(call: Call) -> Response:
    """Stream what changes of the caller's jobs and schedules from now on."""
    wanted = await _wanted(call)
    principal = call.principal
    subscription = call.services.changes.subscribe(
        call.user_id, wanted, principal.key_id, principal.session
    )
    return stream(call, subscription, write)


def write(change: Change) -> bytes:
    """Write one event; JSON text has no line breaks, so `data` is one line."""
    resource = ChangeResource(
        jobs=list(change.jobs),
        schedules=list(change.schedules),
        are_more=change.are_more,
        counts={str(state): count for state, count in change.counts.items()},
    )
    return b"event: change\ndata: %b\n\n" % msgspec.json.encode(resource)


async def _wanted(call: Call) -> Wanted:
    """Read which changes are asked for; the job and the schedule must be there.

    Raises:
        InvalidRequest: a parameter is wrong.
        NotFound: there is no such job or schedule of the user.
    """
    errors: list[FieldError] = []
    values = {name: read_filter(call.query, name, read, errors) for name, read in _READERS.items()}
    if errors:
        raise InvalidRequest(errors)
    store, user_id = call.services.store, call.user_id
    job, schedule_id = values["job_id"], values["schedule_id"]
    if job is not None:
        job = (await store.jobs.get(user_id, job)).id
    if schedule_id is not None:
        await store.schedules.get(user_id, schedule_id)
    return Wanted(job, schedule_id, values["state"] or frozenset())


def _job(text: str) -> JobRef:
    try:
        return job_ref(text)
    except NotFound:
        raise ValueError(f"expected a job's number or UUID, got {text[:40]!r}") from None


_READERS: Final[Mapping[str, Callable[[list[str]], Any]]] = {
    "job_id": lambda texts: _job(texts[-1]),
    "schedule_id": lambda texts: read_uuid(texts[-1]),
    "state": lambda texts: frozenset(read_choices(State, texts)),
}
_SHARED: Final = {each.name: each for each in FILTERS}
_EVENT: Final[Schema] = {
    "type": "object",
    "description": "One event of the stream. Its `data` is JSON: `jobs` and `schedules` are ids of "
    f"what has changed (of {MAX_IDS} jobs at most), `are_more` is whether more has, and `counts` "
    "are the numbers of the user's requests and runs by their states as stored. There is a comment "
    "every 15 seconds.",
    "properties": {"event": {"const": "change"}, "data": {"type": "string"}},
    "required": ["event", "data"],
}
_EXAMPLE: Final = {
    "event": "change",
    "data": '{"jobs":[29180],"schedules":[],"are_more":false,"counts":{"scheduled":3,"executing":1,'
    '"retryable":0,"completed":1200,"discarded":2,"cancelled":0}}',
}
_EVENTS = Documentation(
    tag="events",
    parameters=(
        replace(JOB_ID, description="Only changes of this job, and of its callbacks and events"),
        replace(_SHARED["schedule_id"], description="Only changes of this schedule and its runs"),
        replace(
            _SHARED["state"],
            description="Only changes of jobs to this state, or one of several separated by commas",
        ),
    ),
    errors=(NotFound,),
    responses={
        200: DescribedResponse(
            "A stream of changes, at most 2 a second, that does not end",
            (_EVENT,),
            _EXAMPLE,
            media_type=MEDIA_TYPE,
        )
    },
)

OPERATIONS = (Operation("GET", "/api/events", Access.READ, events, _EVENTS),)
