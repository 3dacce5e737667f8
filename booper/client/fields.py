"""The fields of a create, a change and a filter, and how their times are written on the wire."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Required, TypedDict
from uuid import UUID

from booper.client.errors import InvalidArgument
from booper.model.duration import UNITS, InvalidDuration, parse_duration
from booper.model.fields import FieldKind, fields_of
from booper.model.moment import InvalidMoment, parse_moment

Unit = Literal[
    "second",
    "seconds",
    "minute",
    "minutes",
    "hour",
    "hours",
    "day",
    "days",
    "week",
    "weeks",
]
Duration = timedelta | tuple[float, Unit] | str | float
"""`timedelta(minutes=45)`, `(45, "minutes")`, `"45 minutes"`, `"1h30m"`, or seconds."""

Moment = datetime | str | float
"""An aware datetime, ISO 8601 text, or a Unix time."""

State = Literal[
    "scheduled", "available", "executing", "retryable", "completed", "discarded", "cancelled"
]
Kind = Literal["request", "run", "callback", "webhook"]
Method = Literal["get", "post", "put", "patch", "delete", "GET", "POST", "PUT", "PATCH", "DELETE"]
Status = int | Literal["1xx", "2xx", "3xx", "4xx", "5xx"]


class _Common(TypedDict, total=False):
    method: Method | None
    query: Mapping[str, Any] | None
    headers: Mapping[str, str | float | bool] | None
    body: Any
    schedule_in: Duration | None
    scheduled_at: Moment | None
    repeat_every: Duration | None
    cron: str | None
    timezone: str | None
    starts_at: Moment | None
    ends_at: Moment | None
    max_runs: int | None
    jitter: Duration | None
    overlap: Literal["skip", "queue", "allow"] | None
    misfire: Literal["latest", "skip", "all"] | None
    callback_url: str | None
    webhook_url: str | None
    keep_for: Duration | None
    metadata: bool | None
    tags: Sequence[str] | None
    name: str | None
    description: str | None
    max_attempts: int | None
    backoff: Literal["exponential"] | Sequence[Duration] | None
    timeout: Duration | None
    follow_redirects: bool | None
    expect_status: Sequence[Status] | None


class Creation(_Common, total=False):
    """The fields of a create; only `url` is required."""

    url: Required[str]
    idempotency_key: str | None
    idempotency_ttl: Duration | None
    on_conflict: Literal["ignore", "replace", "reject"] | None


class Change(_Common, total=False):
    """The fields of a change; None takes one away, what is not given stays."""

    url: str


class JobFilter(TypedDict, total=False):
    """Which jobs; what is not given does not matter."""

    state: State | Sequence[State]
    tag: str
    schedule_id: UUID | str
    url_prefix: str
    host: str
    text: str
    before: Moment
    after: Moment


class Listed(JobFilter, total=False):
    """Which jobs to list: booper's own too, by their kind or by the job that they report."""

    kind: Kind | Sequence[Kind]
    reports_of: int


class Many(JobFilter, total=False):
    """Which jobs to change: `all` means every job.

    Jobs with a number above `through` are left out. A dry run looks at `max_count` at most.
    """

    all: bool
    through: int
    max_count: int


_EXPECTED: Final = (
    'expected timedelta(minutes=45), (45, "minutes"), "45 minutes", "1h30m" or seconds'
)


def duration(name: str, value: Any) -> Any:
    """Write a duration as the contract has it: seconds, or `[n, unit]`.

    Raises:
        InvalidArgument: it is not a duration.
    """
    match value:
        case timedelta():
            return _seconds(value)
        case str():
            return _from_text(name, value)
        case datetime():
            raise InvalidArgument(f"{name}: {_EXPECTED}, got the time {value}; use scheduled_at")
        case _:
            return value


def moment(name: str, value: Any) -> Any:
    """Write a point in time as ISO 8601 text; text and Unix times are sent as they are.

    Raises:
        InvalidArgument: it is a datetime without a zone, or a duration.
    """
    match value:
        case datetime() if value.utcoffset() is None:
            raise InvalidArgument(
                f"{name}: expected a datetime with a zone, got {value!r}, which could be any of 24 "
                "hours; give it tzinfo=UTC, or call its .astimezone() if it is in local time"
            )
        case datetime():
            return value.isoformat()
        case timedelta():
            raise InvalidArgument(f"{name}: expected a time, got the duration {value}")
        case _:
            return value


def _bound(name: str, value: Any) -> Any:
    """Write a bound of a filter as ISO 8601 text: in a query a number would be text as well."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return parse_moment(value, None).isoformat()
        except InvalidMoment as error:
            raise InvalidArgument(f"{name}: {error}") from error
    return moment(name, value)


def _backoff(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [duration(name, delay) for delay in value]
    if not isinstance(value, str):
        raise InvalidArgument(f'{name}: expected "exponential" or a list of waits, got {value!r}')
    return value


_WRITERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    **dict.fromkeys(fields_of(FieldKind.DURATION), duration),
    **dict.fromkeys(fields_of(FieldKind.MOMENT), moment),
    **dict.fromkeys(fields_of(FieldKind.BACKOFF), _backoff),
    **dict.fromkeys(("before", "after"), _bound),
}


def written(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write fields as they go on the wire.

    Raises:
        InvalidArgument: a time among them cannot be read, or has no zone.
    """
    return {
        name: _WRITERS[name](name, value) if name in _WRITERS and value is not None else value
        for name, value in fields.items()
    }


def _seconds(length: timedelta) -> float:
    seconds = length.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _from_text(name: str, text: str) -> float | list[Any]:
    """Return text as seconds, or as `[n, unit]` where it is such a pair."""
    try:
        length = parse_duration(text)
    except InvalidDuration as error:
        raise InvalidArgument(f"{name}: {_EXPECTED}, got {text!r}") from error
    amount, _, unit = text.strip().partition(" ")
    if unit.strip().lower().removesuffix("s") in UNITS and _AMOUNT.fullmatch(amount):
        number = float(amount)
        return [int(number) if number.is_integer() else number, unit.strip().lower()]
    return _seconds(length)


_AMOUNT = re.compile(r"[0-9]+(\.[0-9]+)?")
