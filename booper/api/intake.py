"""From a posted body to what it asks for: every error told at once (contract §3)."""

import re
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.api.bodies import FORM, check_json, decode_form, decode_json
from booper.api.budget import ErrorBudget
from booper.api.pointers import Findings
from booper.api.shapes import split
from booper.api.values import check_values, read_moment, read_target_origin
from booper.errors import FieldError
from booper.guard.policy import Check
from booper.model.args import Args, encode_args, with_exact_numbers
from booper.model.duration import parse_duration
from booper.model.fields import FieldKind, fields_of
from booper.model.job import NewJob
from booper.model.moment import is_unix_time
from booper.model.origin import path_key
from booper.model.schedule import Conflict, NewSchedule, Plan
from booper.store.values import Creation

_NUMERIC: Final = frozenset(
    fields_of(FieldKind.DURATION, FieldKind.NUMBER, FieldKind.BACKOFF, FieldKind.STATUSES)
)
_TIMES: Final = frozenset(fields_of(FieldKind.MOMENT))
MAX_QUERY_BYTES: Final = 64 << 10
"""How long a query may be as JSON: the longest URL, each character of it escaped."""

_INSTANT: Final = timedelta(microseconds=1)
_BOOLEAN: Final = frozenset(fields_of(FieldKind.BOOLEAN))
# Of names that users choose, which may be numbers.
_OBJECTS: Final = frozenset(fields_of(FieldKind.HEADERS, FieldKind.OBJECT))
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,9})?")
_SOME_URL: Final = msgspec.Raw(b'"https://booper.invalid/"')


class Rules(msgspec.Struct, frozen=True, gc=False):
    """The limits that creates are checked against, and the defaults of their fields."""

    check: Check
    max_attempts: int
    key_ttl: timedelta


def read_creation(
    body: bytes,
    media_type: str,
    user_id: UUID,
    rules: Rules,
    now: datetime,
    budget: ErrorBudget | None = None,
) -> Creation:
    """Decide what a posted body asks for: a job, or a schedule.

    Raises:
        MalformedBody: the body is neither JSON nor a form.
        InvalidRequest: a field is unknown or its value cannot be, with an error for each.
    """
    findings = Findings(budget)
    args = read_args(body, media_type, findings)
    creation = plan(args, user_id, rules, now, findings)
    if findings.errors or creation is None:
        raise findings.refusal()
    return creation


def check(args: Args, rules: Rules, now: datetime, findings: Findings) -> str:
    """Note what is wrong with a create's fields; return the origin of its URL."""
    origin = read_target_origin(args, rules.check, findings)
    check_values(args, rules.check, now, findings)
    return origin


def plan(
    args: Args, user_id: UUID, rules: Rules, now: datetime, findings: Findings
) -> Creation | None:
    """Decide what fields ask for; None if the findings say what is wrong with them."""
    origin = check(args, rules, now, findings)
    due = read_due(args, now, findings)
    if findings.errors:
        return None
    attempts = args.max_attempts or rules.max_attempts
    conflict = Conflict.IGNORE if args.on_conflict is None else Conflict(args.on_conflict)
    if not args.is_recurring:
        until = None if args.idempotency_key is None else _key_until(args, rules, now)
        return Creation(_new_job(args, user_id, origin, due or now, attempts, until), conflict)
    # Without a start a cron waits for its next match: one that is just now has begun.
    at_once = now if args.cron is None else now + _INSTANT
    anchor = due or start_of_interval(args, now, findings) or at_once
    schedule = new_schedule(args, user_id, origin, anchor, attempts, now)
    if schedule.first_at is None:
        field = "ends_at" if args.ends_at is not None else "cron"
        findings.add(f"/{field}", "leaves no time for a single run")
        return None
    return Creation(schedule, conflict)


def start_of_interval(args: Args, now: datetime, findings: Findings) -> datetime | None:
    """Return the `starts_at` of a `repeat_every`, which anchors its grid also where it is past."""
    if args.repeat_every is None or args.starts_at is None:
        return None
    return findings.read("/starts_at", read_moment, args.starts_at, now, args.timezone)


def new_schedule(
    args: Args, user_id: UUID, origin: str, anchor: datetime, max_attempts: int, now: datetime
) -> NewSchedule:
    """Return the schedule that checked fields ask for, on a grid that begins at `anchor`.

    Its first run is not before `now`.
    """
    plan = Plan.of(args, anchor)
    if args.repeat_every is not None:
        # Of an interval the first run is the anchor of all others.
        plan = Plan.of(args, max(anchor, plan.starts_at))
    return NewSchedule(
        user_id=user_id,
        args=encode_args(args),
        origin=origin,
        anchor=plan.starts_at if args.repeat_every is not None else anchor,
        first_at=plan.next_after(now - _INSTANT),
        max_attempts=max_attempts,
        idempotency_key=args.idempotency_key,
        name=args.name,
        description=args.description,
        tags=tuple(args.tags or ()),
    )


def read_due(args: Args, now: datetime, findings: Findings) -> datetime | None:
    """Return when the first run is due: at the given time, after the given wait, or None."""
    if args.schedule_in is not None and args.scheduled_at is not None:
        findings.add("/scheduled_at", "give either schedule_in or scheduled_at, not both")
    if args.scheduled_at is not None:
        moment, zone = args.scheduled_at, args.timezone
        at = findings.read("/scheduled_at", read_moment, moment, now, zone)
        return max(at, now) if at is not None else None
    if args.schedule_in is not None:
        wait = findings.read("/schedule_in", parse_duration, args.schedule_in)
        return now + wait if wait is not None else None
    return None


def _key_until(args: Args, rules: Rules, now: datetime) -> datetime | None:
    """Return how long a job's key stays taken at least, None if its end frees it."""
    ttl = args.idempotency_ttl
    kept = rules.key_ttl if ttl is None else parse_duration(ttl)
    return now + kept if kept else None


def _new_job(
    args: Args,
    user_id: UUID,
    origin: str,
    due: datetime,
    max_attempts: int,
    key_until: datetime | None,
) -> NewJob:
    return NewJob(
        user_id=user_id,
        args=encode_args(args),
        origin=origin,
        path=path_key(args.url),
        scheduled_at=due,
        planned_at=due,
        max_attempts=max_attempts,
        idempotency_key=args.idempotency_key,
        name=args.name,
        description=args.description,
        tags=tuple(args.tags or ()),
        key_until=key_until,
        keep_for=args.kept_for,
    )


def read_args(body: bytes, media_type: str, findings: Findings) -> Args:
    """Read the fields that have a right shape; note the others, so that all are told at once.

    Raises:
        MalformedBody: the body is neither JSON nor a form.
    """
    if media_type == FORM:
        form = decode_form(body, _OBJECTS)
        body = msgspec.json.encode({name: _typed(name, value) for name, value in form.items()})
    if len(body) > MAX_QUERY_BYTES:
        body = _without_long_query(body, findings)
    try:
        args: Args = with_exact_numbers(decode_json(body, Args), body)
    except msgspec.ValidationError:
        check_json(body)  # what no JSON value can hold is malformed, whatever its field
        sound, errors = split(body, Args, findings.budget)
        findings.errors.extend(map(_with_batch, errors))
        if "url" not in sound:  # whatever is wrong with it has been told
            sound["url"] = _SOME_URL
        args = decode_json(msgspec.json.encode(sound), Args)
    return _with_body(args)


def _without_long_query(body: bytes, findings: Findings) -> bytes:
    """Note a query that no URL could hold, and return the body without it, before it is decoded."""
    try:
        fields: dict[str, msgspec.Raw] = decode_json(body, dict[str, msgspec.Raw])
    except msgspec.ValidationError:  # which will be told in a moment
        return body
    size = len(bytes(fields.get("query", b"")))
    if size <= MAX_QUERY_BYTES:
        return body
    findings.add("/query", f"must have at most {MAX_QUERY_BYTES} bytes of JSON, got {size}")
    return msgspec.json.encode({name: raw for name, raw in fields.items() if name != "query"})


def _with_batch(error: FieldError) -> FieldError:
    """Return an error, with where many jobs are posted if this seems to be many."""
    if error.pointer == "/jobs" or (not error.pointer and "got a list" in error.detail):
        wrong = error.detail.partition("; ")[0]
        advice = 'post many jobs to /api/jobs/batch, as {"jobs": [{…}, {…}]}'
        return FieldError(error.pointer, f"{wrong}; {advice}")
    return error


def _with_body(args: Args) -> Args:
    """Check the body that was kept as text; a null one is absent (contract §3)."""
    if args.body is msgspec.UNSET:
        return args
    body = bytes(args.body)
    check_json(body)
    return replace(args, body=msgspec.UNSET) if body == b"null" else args


def _typed(name: str, value: Any) -> Any:
    """Turn a form's text into what its field takes."""
    if name in _NUMERIC:
        return _number(value)
    if name in _TIMES and isinstance(value, str) and is_unix_time(value):
        return _number(value)
    if name in _BOOLEAN:
        return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    return value


def _number(value: Any) -> Any:
    """Turn the numbers of a form, which are text, into numbers, in lists as well."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value
