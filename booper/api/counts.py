"""`/api/counts`: a user's own numbers, kept as jobs change, so that to read them counts nothing."""

from datetime import timedelta
from typing import Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.operations import Data, DescribedResponse, Documentation, Operation
from booper.api.responses import JSONResponse
from booper.model.job import OWN_KINDS, State
from booper.store.counters import MAX_DUE
from booper.wire.timestamps import precise

DAY: Final = timedelta(days=1)


class TodayResource(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a user's requests and runs since a day began in UTC.

    `failed` counts attempts, the others jobs and planned times.
    """

    since: str
    completed: int
    failed: int
    discarded: int
    skipped: int


class DueNow(msgspec.Struct, frozen=True):
    """How many jobs wait though their time has come."""

    count: int
    are_more: bool


class CountsResource(msgspec.Struct, frozen=True, kw_only=True):
    """A user's requests and runs by their states as stored, and what happened today.

    `due` are those that wait though their time has come; if there `are_more`, they are not counted.
    """

    now: str
    jobs: dict[str, int]
    due: DueNow
    today: TodayResource


async def counts(call: Call) -> Response:
    """Show how many jobs the user has in each state, and what happened today."""
    counters, now = call.services.store.counters, call.services.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = await counters.jobs(call.user_id)
    due = (await counters.due_of(call.user_id, now)).count
    buckets = await counters.minutes(call.user_id, midnight, midnight + DAY)
    resource = CountsResource(
        now=precise(now),
        jobs={
            str(state): sum(found.get((kind, state), 0) for kind in OWN_KINDS)
            for state in State
            if state is not State.AVAILABLE
        },
        due=DueNow(due, due >= MAX_DUE),
        today=TodayResource(
            since=precise(midnight),
            completed=sum(bucket.completed for bucket in buckets),
            failed=sum(bucket.failed for bucket in buckets),
            discarded=sum(bucket.discarded for bucket in buckets),
            skipped=sum(bucket.skipped for bucket in buckets),
        ),
    )
    return JSONResponse({"data": resource})


_EXAMPLE: Final = {
    "now": "2030-01-01T12:00:00.000000Z",
    "jobs": {
        "scheduled": 3,
        "executing": 1,
        "retryable": 0,
        "completed": 1200,
        "discarded": 2,
        "cancelled": 0,
    },
    "due": {"count": 0, "are_more": False},
    "today": {
        "since": "2030-01-01T00:00:00.000000Z",
        "completed": 58,
        "failed": 1,
        "discarded": 0,
        "skipped": 0,
    },
}
_COUNTS = Documentation(
    tag="jobs",
    responses={200: DescribedResponse("The numbers", (Data(CountsResource),), {"data": _EXAMPLE})},
)

OPERATIONS = (Operation("GET", "/api/counts", Access.READ, counts, _COUNTS),)
