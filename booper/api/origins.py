"""`/api/origins`: where jobs go, what holds them back, and what came of them within a day."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.breakers import BreakerResource, breaker_resource
from booper.api.call import Call
from booper.api.memory import ITEM_BYTES
from booper.api.operations import DescribedResponse, Documentation, Operation
from booper.api.pauses import PauseResource, pause_resource
from booper.api.rates import Rates, rates_of
from booper.api.responses import JSONResponse
from booper.api.services import Services
from booper.model.bucket import HOUR, Bucket, begin_of
from booper.wire.timestamps import precise, precise_or_none

MAX_ORIGINS: Final = 200
DAY: Final = timedelta(days=1)


class OriginResource(msgspec.Struct, frozen=True, kw_only=True):
    """An origin: its slots, what holds its jobs back, and what came of attempts to it.

    `pause` is one of it or of what it belongs to; `breaker` is null while it is closed. `last_day`
    begins with the hour of 24 hours ago. `errors` counts failed attempts by kind since booper was
    started; a status counts as its class, such as `5xx`. `certificate_until` is when the TLS
    certificate ends that the newest connection was shown. It is null without TLS, where booper has
    not connected since it was started, and where any certificate is trusted.
    """

    origin: str
    slots: int
    taken: int
    pause: PauseResource | None
    breaker: BreakerResource | None
    last_day: Rates
    errors: Mapping[str, int]
    certificate_until: str | None


class OriginPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Origins in order of their names; `are_more` says that some are not listed.

    Where so many origins were used within a day that not all hours of it are counted,
    `counted_since` is the hour from which on they are.
    """

    data: list[OriginResource]
    are_more: bool = False
    counted_since: str | None = None


async def list_all(call: Call) -> Response:
    """List the origins that jobs go to: those held back, in use, or used within a day.

    Of more than 200, those with open breakers and the busiest are listed.
    """
    services, now = call.services, call.services.clock.now()
    since = begin_of(now - DAY, HOUR)
    counted = await services.store.counters.origins(since, now + HOUR)
    buckets = dict(counted.buckets)
    state = services.scheduler.state()
    taken = state.in_flight
    known = {*buckets, *taken, *(each.origin for each in state.breakers)}
    found = [
        _origin(origin, taken.get(origin, 0), buckets.get(origin, Bucket(since)), services)
        for origin in known
    ]
    found.sort(key=_rank)
    listed = sorted(found[:MAX_ORIGINS], key=lambda each: each.origin)
    counted_since = None if counted.since is None else precise(counted.since)
    return JSONResponse(OriginPage(listed, len(found) > MAX_ORIGINS, counted_since))


def _origin(origin: str, taken: int, bucket: Bucket, services: Services) -> OriginResource:
    scheduler = services.scheduler
    pause, breaker = scheduler.pause_of(origin), scheduler.breakers.find(origin)
    is_open = breaker is not None and breaker.opened_at is not None
    return OriginResource(
        origin=origin,
        slots=services.store.limits("origin", origin),
        taken=taken,
        pause=pause_resource(pause) if pause else None,
        breaker=breaker_resource(breaker) if breaker and is_open else None,
        last_day=rates_of([bucket]),
        errors=services.attempts.errors.get(origin, {}),
        certificate_until=precise_or_none(services.certificates.end_of(origin)),
    )


def _rank(found: OriginResource) -> tuple[bool, int, int]:
    """Return a key that comes first for what needs to be seen."""
    day = found.last_day
    return found.breaker is None, -found.taken, -day.completed - day.failed


_EXAMPLE: Final = {
    "origin": "https://example.com",
    "slots": 16,
    "taken": 1,
    "pause": None,
    "breaker": None,
    "last_day": {
        "completed": 1200,
        "failed": 3,
        "discarded": 1,
        "skipped": 0,
        "late_p50_seconds": 0.005,
        "late_p99_seconds": 0.05,
        "duration_p50_seconds": 0.1,
        "duration_p99_seconds": 0.5,
    },
    "errors": {"5xx": 2, "timeout": 1},
    "certificate_until": "2030-03-31T23:59:59.000000Z",
}
_LIST = Documentation(
    tag="jobs",
    responses={
        200: DescribedResponse("The origins", (OriginPage,), {"data": [_EXAMPLE]}),
    },
)

OPERATIONS = (Operation("GET", "/api/origins", Access.ADMIN, list_all, _LIST, ITEM_BYTES),)
