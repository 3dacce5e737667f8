"""What the values of a create's fields may be, beyond their shapes (contract §3)."""

import re
from collections.abc import Mapping, Sized
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from booper.api.pointers import Findings
from booper.engine.headers import check_header
from booper.errors import pointer_to
from booper.guard.policy import Check
from booper.guard.target import MAX_URL_LENGTH
from booper.model.args import METHODS, Args
from booper.model.duration import MAX_DURATION, Duration, parse_duration
from booper.model.dynamic import MAX_DEPTH, is_text_too_deep
from booper.model.fields import CREATE_FIELDS, Needs, fields_that_need
from booper.model.moment import Moment, parse_moment
from booper.model.recurrence import Cron
from booper.model.retry import parse_backoff
from booper.model.schedule import Conflict, Misfire, Overlap, zone_of
from booper.model.timezones import InvalidTimezone, check_timezone
from booper.wire.request import text_of, with_query

T = TypeVar("T")

MAX_TIMEOUT: Final = CREATE_FIELDS["timeout"].longest or MAX_DURATION
MIN_INTERVAL: Final = CREATE_FIELDS["repeat_every"].shortest
MAX_ATTEMPTS: Final = CREATE_FIELDS["max_attempts"].maximum
MAX_RUNS: Final = CREATE_FIELDS["max_runs"].maximum
MAX_HEADERS: Final = CREATE_FIELDS["headers"].maximum
MAX_TAGS: Final = CREATE_FIELDS["tags"].maximum
MAX_ITEMS: Final = 100
MAX_PARAMETERS: Final = MAX_URL_LENGTH // 2
MAX_TAG_LENGTH: Final = 64
MAX_KEY_LENGTH: Final = CREATE_FIELDS["idempotency_key"].maximum
MAX_NAME_LENGTH: Final = CREATE_FIELDS["name"].maximum
MAX_DESCRIPTION_LENGTH: Final = CREATE_FIELDS["description"].maximum

# Fields that mean something to a schedule only; elsewhere they would be ignored in silence.
RECURRING_ONLY: Final = fields_that_need(Needs.RECURRENCE)
_recurring_only = attrgetter(*RECURRING_ONLY)
_NONE_OF_THEM: Final = (None,) * len(RECURRING_ONLY)
KEY_ONLY: Final = fields_that_need(Needs.KEY)
_key_only = attrgetter(*KEY_ONLY)

# RFC 9110 §5.1: names are case-insensitive; §5.3: most headers must not be sent twice.
_SAME_HEADER: Final = (
    "is the same header as {!r}: header names are case-insensitive; give one of them"
)

_STATUS_CLASS = re.compile(r"[1-5]xx", re.IGNORECASE)


def check_values(args: Args, check: Check, now: datetime, findings: Findings) -> None:
    """Note what is wrong with the values of fields, taken one by one."""
    if args.method is not None:
        findings.read("/method", _check_method, args.method)
    if args.headers is not None:
        _check_headers(args.headers, findings)
    if args.idempotency_key is not None:
        findings.read("/idempotency_key", _check_text, args.idempotency_key, MAX_KEY_LENGTH)
    if args.name is not None:
        findings.read("/name", _check_text, args.name, MAX_NAME_LENGTH)
    if args.description is not None:
        findings.read("/description", _check_text, args.description, MAX_DESCRIPTION_LENGTH)
    if args.callback_url is not None:
        findings.read("/callback_url", check, args.callback_url)
    if args.webhook_url is not None:
        findings.read("/webhook_url", check, args.webhook_url)
    _check_delivery(args, findings)
    if args.tags is not None:
        _check_tags(args.tags, findings)
    if args.body is not msgspec.UNSET and is_text_too_deep(bytes(args.body)):
        findings.add("/body", f"must nest at most {MAX_DEPTH} levels deep")
    _check_conflict(args, findings)
    _check_recurrence(args, now, findings)


def read_target_origin(args: Args, check: Check, findings: Findings) -> str:
    """Return the origin of the job's URL, as the guard reads it; empty where that is wrong."""
    target = findings.read("/url", check, args.url)
    if target is None:
        return ""
    if args.query is not None:
        count = sum(len(v) if isinstance(v, list) else 1 for v in args.query.values())
        findings.read("/query", _check_number_of, "parameters", count, MAX_PARAMETERS)
        if count <= MAX_PARAMETERS and not args.is_recurring:
            findings.read("/query", check, with_query(args.url, args.query))
    return target.origin


def read_moment(moment: Moment, now: datetime, timezone: str | None) -> datetime:
    """Read a time; one without a zone is in `timezone`, or UTC where that is wrong (told there).

    Raises:
        InvalidMoment: it is no time, or too far away.
    """
    try:
        zone = zone_of(timezone)
    except InvalidTimezone:
        zone = UTC
    return parse_moment(moment, now, zone)


def _check_headers(headers: Mapping[str, Any], findings: Findings) -> None:
    findings.read("/headers", _check_count, "headers", headers, MAX_HEADERS)
    spelled: dict[str, str] = {}
    for name, value in islice(headers.items(), MAX_HEADERS):
        pointer = pointer_to("/headers", name)
        findings.read(pointer, check_header, name, text_of(value))
        first = spelled.setdefault(name.lower(), name)
        if first != name:
            findings.add(pointer, _SAME_HEADER.format(first[:40]))


def _check_delivery(args: Args, findings: Findings) -> None:
    if args.max_attempts is not None:
        findings.read("/max_attempts", _check_number, args.max_attempts, MAX_ATTEMPTS)
    if args.timeout is not None:
        findings.read("/timeout", _check_timeout, args.timeout)
    if args.keep_for is not None:
        findings.read("/keep_for", parse_duration, args.keep_for)
    if args.expect_status is not None:
        _check_statuses(args.expect_status, findings)
    if isinstance(args.backoff, list) and args.backoff:
        findings.read("/backoff", _check_count, "items", args.backoff, MAX_ITEMS)
        for index, delay in enumerate(args.backoff[:MAX_ITEMS]):
            findings.read(f"/backoff/{index}", parse_duration, delay)
    elif args.backoff is not None:
        findings.read("/backoff", parse_backoff, args.backoff)


def _check_statuses(statuses: list[int | str], findings: Findings) -> None:
    findings.read("/expect_status", _check_count, "items", statuses, MAX_ITEMS)
    if not statuses:
        findings.add("/expect_status", "must name at least one status")
    for index, status in enumerate(statuses[:MAX_ITEMS]):
        findings.read(f"/expect_status/{index}", _check_status, status)


def _check_tags(tags: list[str], findings: Findings) -> None:
    findings.read("/tags", _check_count, "tags", tags, MAX_TAGS)
    for index, tag in enumerate(tags[:MAX_TAGS]):
        findings.read(f"/tags/{index}", _check_text, tag, MAX_TAG_LENGTH)


def _check_conflict(args: Args, findings: Findings) -> None:
    if args.on_conflict is not None:
        findings.read("/on_conflict", _check_choice, args.on_conflict, Conflict)
    if args.idempotency_ttl is not None:
        findings.read("/idempotency_ttl", parse_duration, args.idempotency_ttl)
    if args.idempotency_key is None and _key_only(args) != (None, None):
        for field in KEY_ONLY:
            if getattr(args, field) is not None:
                findings.add(
                    f"/{field}", "has no effect without idempotency_key: give both, or neither"
                )


def _check_recurrence(args: Args, now: datetime, findings: Findings) -> None:
    if args.timezone is not None:
        findings.read("/timezone", check_timezone, args.timezone)
    if not args.is_recurring:
        if _recurring_only(args) != _NONE_OF_THEM:
            _refuse_recurring_only(args, findings)
        return
    if args.repeat_every is not None and args.cron is not None:
        findings.add("/repeat_every", "give either cron or repeat_every, not both")
    every = None
    if args.cron is not None:
        cron = findings.read("/cron", Cron.parse, args.cron)
        every = cron.shortest_gap if cron is not None else None
    if args.repeat_every is not None:
        every = findings.read("/repeat_every", _check_interval, args.repeat_every)
    for field, choices in (("overlap", Overlap), ("misfire", Misfire)):
        if (choice := getattr(args, field)) is not None:
            findings.read(f"/{field}", _check_choice, choice, choices)
    if args.max_runs is not None:
        findings.read("/max_runs", _check_number, args.max_runs, MAX_RUNS)
    if args.jitter is not None:
        findings.read("/jitter", _check_jitter, args.jitter, every)
    for field in ("starts_at", "ends_at"):
        if (moment := getattr(args, field)) is not None:
            findings.read(f"/{field}", read_moment, moment, now, args.timezone)


def _refuse_recurring_only(args: Args, findings: Findings) -> None:
    for field in RECURRING_ONLY:
        if getattr(args, field) is not None:
            findings.add(f"/{field}", "has no effect without repeat_every or cron")


def _check_method(method: str) -> None:
    if method.lower() not in METHODS:
        _refuse(f"expected one of {', '.join(METHODS)}, got {method[:40]!r}")


def _check_count(noun: str, items: Sized, most: int) -> None:
    _check_number_of(noun, len(items), most)


def _check_number_of(noun: str, count: int, most: int) -> None:
    if count > most:
        _refuse(f"must have at most {most} {noun}, got {count}")


def _check_text(text: str, longest: int) -> None:
    if not 0 < len(text) <= longest:
        _refuse(f"must have 1 to {longest} characters, got {len(text)}")


def _check_number(number: int, most: int) -> None:
    if not 1 <= number <= most:
        _refuse(f"must be from 1 to {most}, got {number!r:.40}")


def _check_choice(text: str, choices: Any) -> None:
    if text not in list(choices):
        _refuse(f"expected one of {', '.join(choices)}, got {text[:40]!r}")


def _check_timeout(timeout: Duration) -> None:
    length = parse_duration(timeout)
    if not timedelta(0) < length <= MAX_TIMEOUT:
        _refuse(f"must be over 0 and at most 15 minutes, got {length.total_seconds():g} seconds")


def _check_interval(every: Duration) -> timedelta:
    length = parse_duration(every)
    if length < MIN_INTERVAL:
        _refuse(f"must be at least 1 second, got {length.total_seconds():g}")
    return length


def _check_jitter(jitter: Duration, every: timedelta | None) -> None:
    length = parse_duration(jitter)
    if every is not None and length >= every:
        shown = f"{every.total_seconds():g} seconds"
        _refuse(f"must be shorter than {shown}, the time between two runs")


def _check_status(status: int | str) -> None:
    is_class = isinstance(status, str) and _STATUS_CLASS.fullmatch(status)
    if not is_class and not (isinstance(status, int) and 100 <= status <= 599):
        _refuse(f'expected a status from 100 to 599 or a class such as "3xx", got {status!r:.40}')


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)
