"""`/api/rates`: what happened to a user's jobs in each span of a time, and how late they were."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.memory import ITEM_BYTES
from booper.api.operations import Data, DescribedResponse, Documentation, Operation, Parameter
from booper.api.parameters import MOMENT
from booper.api.responses import JSONResponse
from booper.api.schemas import whole
from booper.errors import FieldError, InvalidRequest
from booper.model.bucket import MINUTES, Bucket, Histogram, begin_of
from booper.model.moment import parse_moment
from booper.wire.timestamps import precise

MAX_SPANS: Final = 500
MAX_TIME: Final = timedelta(days=92)
DAY: Final = timedelta(days=1)
DEFAULT_EVERY: Final = timedelta(hours=1)

_HALF: Final = 0.5
_NEARLY_ALL: Final = 0.99


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to requests and runs within a time.

    `failed` counts attempts, the others jobs and planned times. `late_…` and `duration_…` are what
    half of the attempts (`p50`) or 99 of 100 (`p99`) were late or took at most, rounded up to the
    next of 14 limits; null if that is more than 300, or if there were none.
    """

    completed: int
    failed: int
    discarded: int
    skipped: int
    late_p50_seconds: float | None
    late_p99_seconds: float | None
    duration_p50_seconds: float | None
    duration_p99_seconds: float | None


class SpanResource(Rates, frozen=True, kw_only=True):
    """What happened in a span of a time, which begins at `begins_at`."""

    begins_at: str


async def rates(call: Call) -> Response:
    """Show what happened to the user's requests and runs in each span of a time.

    What an attempt came to is counted when it ended.
    """
    since, until, every = _read(call)
    counters = call.services.store.counters
    found = await counters.spans(call.user_id, since, until, every)
    by_begin = {bucket.begins_at: bucket for bucket in found}
    count = -((since - until) // every)
    begins = [since + place * every for place in range(count)]
    return JSONResponse({"data": [_span(by_begin.get(at, Bucket(at))) for at in begins]})


def rates_of(buckets: Sequence[Bucket]) -> Rates:
    """Return what happened in all of these buckets."""
    late = sum((bucket.lateness for bucket in buckets), Histogram())
    took = sum((bucket.duration for bucket in buckets), Histogram())
    return Rates(
        completed=sum(bucket.completed for bucket in buckets),
        failed=sum(bucket.failed for bucket in buckets),
        discarded=sum(bucket.discarded for bucket in buckets),
        skipped=sum(bucket.skipped for bucket in buckets),
        late_p50_seconds=_seconds(late, _HALF),
        late_p99_seconds=_seconds(late, _NEARLY_ALL),
        duration_p50_seconds=_seconds(took, _HALF),
        duration_p99_seconds=_seconds(took, _NEARLY_ALL),
    )


def _seconds(histogram: Histogram, share: float) -> float | None:
    limit = histogram.quantile(share)
    return None if limit is None else limit.total_seconds()


def _span(bucket: Bucket) -> SpanResource:
    shown = msgspec.structs.asdict(rates_of([bucket]))
    return SpanResource(begins_at=precise(bucket.begins_at), **shown)


def _read(call: Call) -> tuple[datetime, datetime, timedelta]:
    """Return the time that is asked for, in whole five minutes, and the length of its spans.

    Raises:
        InvalidRequest: it cannot be, or is too long.
    """
    errors: list[FieldError] = []
    until = _moment(call, "until", call.services.clock.now(), errors)
    since = _moment(call, "since", until - DAY, errors)
    every = _every(call, errors)
    if not timedelta(0) < until - since <= MAX_TIME:
        detail = f"must be before `until`, by {MAX_TIME.days} days at most"
        errors.append(FieldError("/since", f"{detail}, got {precise(since)}"))
    elif until - since > MAX_SPANS * every:
        errors.append(FieldError("/every", f"gives more than {MAX_SPANS} spans; ask for longer"))
    if errors:
        raise InvalidRequest(errors)
    return begin_of(since, MINUTES), until, every


def _moment(call: Call, name: str, default: datetime, errors: list[FieldError]) -> datetime:
    text = call.query.get(name)
    if text is None:
        return default
    try:
        return parse_moment(text, call.services.clock.now())
    except ValueError as error:
        errors.append(FieldError(f"/{name}", str(error)))
        return default


def _every(call: Call, errors: list[FieldError]) -> timedelta:
    text = call.query.get("every")
    if text is None:
        return DEFAULT_EVERY
    length = int(text) if text.isascii() and text.isdigit() and len(text) <= 8 else 0
    if length == 0 or length % MINUTES.seconds or length > MAX_TIME.total_seconds():
        detail = f"expected seconds, a multiple of {MINUTES.seconds}, got {text[:40]!r}"
        errors.append(FieldError("/every", detail))
        return DEFAULT_EVERY
    return timedelta(seconds=length)


_EXAMPLE: Final = {
    "begins_at": "2030-01-01T11:00:00.000000Z",
    "completed": 58,
    "failed": 1,
    "discarded": 0,
    "skipped": 0,
    "late_p50_seconds": 0.005,
    "late_p99_seconds": 0.05,
    "duration_p50_seconds": 0.1,
    "duration_p99_seconds": 0.5,
}
_RATES = Documentation(
    tag="jobs",
    parameters=(
        Parameter(
            "since",
            "When the first span begins, rounded down to five minutes; a day before `until` "
            "by default",
            MOMENT,
        ),
        Parameter("until", "When the last span ends, now by default", MOMENT),
        Parameter(
            "every",
            f"The length of a span in seconds, of which there can be {MAX_SPANS}",
            {
                **whole(MINUTES.seconds, MAX_TIME // timedelta(seconds=1)),
                "multipleOf": MINUTES.seconds,
                "default": DEFAULT_EVERY.seconds,
            },
            86_400,
        ),
    ),
    responses={
        200: DescribedResponse(
            "The spans, in order of time, also those in which nothing happened",
            (Data(SpanResource, is_list=True),),
            {"data": [_EXAMPLE]},
        )
    },
)

OPERATIONS = (Operation("GET", "/api/rates", Access.READ, rates, _RATES, ITEM_BYTES),)
