"""From a posted body to a job: every field checked, every error told at once (contract §3)."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, NoReturn, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import fields, replace

from booper.api.bodies import FORM, decode_form, decode_json
from booper.engine.guard import Guard
from booper.engine.headers import check_header
from booper.errors import FieldError, InvalidRequest, TargetRefused
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

_FIELDS: Final = {field.name: field.type for field in fields(Args)}
_NUMERIC: Final = frozenset(
    {"schedule_in", "scheduled_at", "max_attempts", "backoff", "timeout", "expect_status"}
)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,9})?")
_STATUS_CLASS = re.compile(r"[1-5]xx", re.IGNORECASE)
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def read_args(body: bytes, media_type: str) -> Args:
    """Read the fields of a create from JSON or a form.

    Raises:
        MalformedBody: the body is neither.
        InvalidRequest: a field is unknown or of a wrong type.
    """
    if media_type == FORM:
        form = decode_form(body)
        body = msgspec.json.encode(
            {name: _number(v) if name in _NUMERIC else v for name, v in form.items()}
        )
    try:
        args = decode_json(body, Args)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_shape_errors(body, error)) from error
    try:
        return _with_body(args)
    except msgspec.ValidationError as error:
        raise InvalidRequest([_located("/body", str(error))]) from error


def plan(args: Args, user_id: UUID, *, guard: Guard, max_attempts: int, now: datetime) -> NewJob:
    """Decide what job a create asks for.

    Raises:
        InvalidRequest: a field's value cannot be, with an error for each.
    """
    findings = Findings()
    target = findings.read("/url", guard.check, args.url)
    scheduled_at = _first_run(args, now, findings)
    _check_values(args, findings)
    if findings.errors or target is None or scheduled_at is None:
        raise InvalidRequest(findings.errors)
    return NewJob(user_id, args, target.host, scheduled_at, args.max_attempts or max_attempts)


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
        findings.read(_pointer("/headers", name), check_header, name, text_of(value))
    for field, longest in LONGEST_TEXT.items():
        findings.read(f"/{field}", _check_text, getattr(args, field), longest)
    findings.read("/max_attempts", _check_attempts, args.max_attempts)
    findings.read("/timeout", _check_timeout, args.timeout)
    if args.backoff is not None:
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
    if args.body is msgspec.UNSET:
        return args
    return args if decode_json(bytes(args.body)) is not None else replace(args, body=msgspec.UNSET)


def _shape_errors(body: bytes, first: msgspec.ValidationError) -> list[FieldError]:
    """Find every field of a wrong shape; msgspec itself stops at the first."""
    try:
        sent = decode_json(body, dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return [FieldError("", "expected a JSON object with the fields of a job")]
    errors = [] if "url" in sent else [FieldError("/url", "this field is required")]
    for name, raw in sent.items():
        if name not in _FIELDS:
            errors.append(_unknown(name))
            continue
        try:
            decode_json(bytes(raw), _FIELDS[name])
        except msgspec.ValidationError as error:
            errors.append(_located(f"/{name}", str(error)))
    return errors or [_located("", str(first))]


def _unknown(name: str) -> FieldError:
    if name in _NOT_YET:
        return FieldError(f"/{name}", "not supported yet")
    near = get_close_matches(name[:100], _FIELDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(_FIELDS)}"
    return FieldError(_pointer("", name), f"unknown field; {hint}")


def _located(pointer: str, message: str) -> FieldError:
    """Turn msgspec's `Expected … - at `$[1]`` into a pointer and a sentence."""
    match = _PATH.search(message)
    path = match["path"].replace("[...]", "").replace("[", "/").replace("]", "") if match else ""
    detail = _PATH.sub("", message).replace("`", "")
    return FieldError(pointer + path.replace(".", "/"), detail[:1].lower() + detail[1:])


def _pointer(parent: str, name: str) -> str:
    """Point at a member of an object (RFC 6901 §3), cutting a name nobody would read."""
    return f"{parent}/{name[:100].replace('~', '~0').replace('/', '~1')}"


def _number(value: Any) -> Any:
    """Turn the numbers of a form, which are text, into numbers, in lists as well."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value
