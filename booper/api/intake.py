"""From a posted body to a job: every field checked, every error told at once (contract §3)."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.api.bodies import FORM, decode_form, decode_json
from booper.api.shapes import split
from booper.engine.guard import Guard
from booper.engine.headers import check_header
from booper.errors import FieldError, InvalidRequest, TargetRefused, pointer_to
from booper.model.args import METHODS, Args
from booper.model.duration import Duration, InvalidDuration, parse_duration
from booper.model.job import NewJob
from booper.model.moment import parse_moment
from booper.model.outgoing import text_of
from booper.model.retry import parse_backoff

T = TypeVar("T")

LONGEST_TIMEOUT: Final = timedelta(minutes=15)
MOST_ATTEMPTS: Final = 10_000
MOST_HEADERS: Final = 100
LONGEST_TEXT: Final = {"idempotency_key": 255, "name": 255, "description": 10_000}

_NOT_YET: Final = frozenset(
    {
        "repeat_every",
        "cron",
        "callback_url",
        "webhook_url",
        "timezone",
        "follow_redirects",
        "starts_at",
        "ends_at",
        "max_runs",
        "jitter",
        "overlap",
        "misfire",
        "on_conflict",
        "idempotency_ttl",
        "metadata",
        "tags",
    }
)

_NUMERIC: Final = frozenset(
    {"schedule_in", "scheduled_at", "max_attempts", "backoff", "timeout", "expect_status"}
)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,9})?")
_SOME_URL: Final = msgspec.Raw(b'"https://booper.invalid/"')
_STATUS_CLASS = re.compile(r"[1-5]xx", re.IGNORECASE)


def plan(
    body: bytes, media_type: str, user_id: UUID, *, guard: Guard, max_attempts: int, now: datetime
) -> NewJob:
    """Decide what job a posted body asks for.

    Raises:
        MalformedBody: the body is neither JSON nor a form.
        InvalidRequest: a field is unknown or its value cannot be, with an error for each.
    """
    findings = Findings()
    args = _read_args(body, media_type, findings)
    target = findings.read("/url", guard.check, args.url)
    scheduled_at = _first_run(args, now, findings)
    _check_values(args, findings)
    if findings.errors or target is None or scheduled_at is None:
        raise InvalidRequest(findings.errors)
    return NewJob(user_id, args, target.host, scheduled_at, args.max_attempts or max_attempts)


def _read_args(body: bytes, media_type: str, findings: "Findings") -> Args:
    """Read the fields that have a right shape; note the others, so that all are told at once."""
    if media_type == FORM:
        form = decode_form(body)
        body = msgspec.json.encode(
            {name: _number(v) if name in _NUMERIC else v for name, v in form.items()}
        )
    try:
        args: Args = decode_json(body, Args)
    except msgspec.ValidationError as error:
        decode_json(body)  # what no JSON value can hold is malformed, whatever its field
        sound, errors = split(body, Args, error)
        findings.errors.extend(_not_yet(each) for each in errors)
        if "url" not in sound:  # whatever is wrong with it has been told
            sound["url"] = _SOME_URL
        args = decode_json(msgspec.json.encode(sound), Args)
    return _with_body(args)


class Findings:
    """The errors of a create, collected field by field."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def read(self, pointer: str, reading: Callable[..., T], *values: Any) -> T | None:
        """Return what `reading` makes of the values, or note its error and return None."""
        try:
            return reading(*values)
        except InvalidDuration as error:
            part = "" if error.part is None else f"/{error.part}"
            self.errors.append(FieldError(pointer + part, str(error)))
        except (ValueError, TargetRefused) as error:
            self.errors.append(FieldError(pointer, str(error)))
        return None


def _first_run(args: Args, now: datetime, findings: Findings) -> datetime | None:
    """Return when the job is due: at the given time, after the given wait, or at once."""
    if args.schedule_in is not None and args.scheduled_at is not None:
        findings.read("/scheduled_at", _refuse, "give either schedule_in or scheduled_at, not both")
    if args.scheduled_at is not None:
        at = findings.read("/scheduled_at", parse_moment, args.scheduled_at, now)
        return max(at, now) if at is not None else None
    if args.schedule_in is not None:
        wait = findings.read("/schedule_in", parse_duration, args.schedule_in)
        return now + wait if wait is not None else None
    return now


def _check_values(args: Args, findings: Findings) -> None:
    findings.read("/method", _check_method, args.method)
    findings.read("/headers", _check_count, args.headers)
    for name, value in list((args.headers or {}).items())[:MOST_HEADERS]:
        findings.read(pointer_to("/headers", name), check_header, name, text_of(value))
    for field, longest in LONGEST_TEXT.items():
        findings.read(f"/{field}", _check_text, getattr(args, field), longest)
    findings.read("/max_attempts", _check_attempts, args.max_attempts)
    findings.read("/timeout", _check_timeout, args.timeout)
    if isinstance(args.backoff, list) and args.backoff:
        for index, delay in enumerate(args.backoff):
            findings.read(f"/backoff/{index}", parse_duration, delay)
    elif args.backoff is not None:
        findings.read("/backoff", parse_backoff, args.backoff)
    for index, status in enumerate(args.expect_status or []):
        findings.read(f"/expect_status/{index}", _check_status, status)


def _check_method(method: str | None) -> None:
    if method is not None and method.lower() not in METHODS:
        _refuse(f"expected one of {', '.join(METHODS)}, got {method[:40]!r}")


def _check_count(headers: Mapping[str, object] | None) -> None:
    if headers is not None and len(headers) > MOST_HEADERS:
        _refuse(f"at most {MOST_HEADERS} headers, got {len(headers)}")


def _check_text(text: str | None, longest: int) -> None:
    if text is not None and not 0 < len(text) <= longest:
        _refuse(f"must have 1 to {longest} characters, got {len(text)}")


def _check_attempts(attempts: int | None) -> None:
    if attempts is not None and not 1 <= attempts <= MOST_ATTEMPTS:
        _refuse(f"must be from 1 to {MOST_ATTEMPTS}, got {attempts}")


def _check_timeout(timeout: Duration | None) -> None:
    if timeout is not None and not timedelta(0) < parse_duration(timeout) <= LONGEST_TIMEOUT:
        _refuse("must be over 0 and at most 15 minutes")


def _check_status(status: int | str) -> None:
    is_class = isinstance(status, str) and _STATUS_CLASS.fullmatch(status)
    if not is_class and not (isinstance(status, int) and 100 <= status <= 599):
        _refuse(f'expected a status from 100 to 599 or a class such as "3xx", got {status!r:.40}')


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def _with_body(args: Args) -> Args:
    """Check the body that was kept as text; a null one is absent (contract §3)."""
    if args.body is msgspec.UNSET or decode_json(bytes(args.body)) is not None:
        return args
    return replace(args, body=msgspec.UNSET)


def _not_yet(error: FieldError) -> FieldError:
    is_known = error.pointer.removeprefix("/") in _NOT_YET
    return FieldError(error.pointer, "not supported yet") if is_known else error


def _number(value: Any) -> Any:
    """Turn the numbers of a form, which are text, into numbers, in lists as well."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value
