"""What a change of a schedule, and an extra run of it, is read from: given fields over its own."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from booper.api.bodies import JSON, check_json_type, decode_json
from booper.api.call import Call
from booper.api.hidden_headers import check_kept
from booper.api.intake import check, new_schedule, read_args, read_due, start_of_interval
from booper.api.pointers import Findings
from booper.api.shapes import not_an_object, unknown
from booper.errors import FieldError, InvalidRequest
from booper.model import exact
from booper.model.args import encode_args
from booper.model.dynamic import StateRejected, merge_state
from booper.model.fields import FIXED_FIELDS
from booper.model.job import Kind, NewJob
from booper.model.origin import path_key
from booper.model.schedule import NewSchedule, Plan, Schedule
from booper.model.state_version import VERSION


def changed(schedule: Schedule, body: bytes, call: Call, now: datetime) -> NewSchedule:
    """Lay a change over a schedule's fields and plan its next run.

    Raises:
        InvalidRequest: a field cannot be changed, or the result is wrong.
    """
    given = _fields(body)
    findings = Findings()
    for name in FIXED_FIELDS:
        if name in given:
            findings.add(f"/{name}", "cannot be changed; delete the schedule and post another")
    args = read_args(_merged(schedule, given), JSON, findings)
    origin = check(args, call.services.rules, now, findings)
    if origin and "headers" not in given:
        check_kept(schedule, origin, call.services.redaction, findings)
    if not findings.errors and not args.is_recurring:
        findings.add("", "a schedule needs repeat_every or cron")
    anchor = schedule.anchor
    if given.keys() & {"schedule_in", "scheduled_at"}:
        anchor = read_due(args, now, findings) or now
    elif "starts_at" in given and not findings.errors:  # a wrong one has been noted
        anchor = start_of_interval(args, now, findings) or anchor
    if findings.errors:
        raise InvalidRequest(findings.errors)
    attempts = args.max_attempts or call.services.max_attempts
    new = new_schedule(args, schedule.user_id, origin, anchor, attempts, now)
    return replace(new, first_at=Plan.of(args, new.anchor).next_after(now))


def read_run_body(call: Call, body: bytes) -> dict[str, msgspec.Raw]:
    """Read the optional `{"body": …}` of an extra run."""
    if not body:
        return {}
    check_json_type(call)
    given = _fields(body)
    if others := [name for name in given if name != "body"]:
        raise InvalidRequest([unknown(name, ["body"]) for name in others])
    return given


def read_state(body: bytes) -> str:
    """Read a `$state` as a body; return it as it is stored. Raises: InvalidRequest."""
    _fields(body)
    try:
        state = merge_state({}, exact.decode(body))
    except StateRejected as error:
        raise InvalidRequest([FieldError("", str(error))]) from error
    return msgspec.json.encode(state).decode()


def read_version(call: Call) -> str | None:
    """Read which version of `$state` is to be replaced, None if any. Raises: InvalidRequest."""
    text: str | None = call.query.get("if_version")
    if text is not None and not VERSION.fullmatch(text):
        detail = f"expected the state_version of a schedule, got {text[:40]!r}"
        raise InvalidRequest([FieldError("/if_version", detail)])
    return text


def extra_run(
    schedule: Schedule, given: dict[str, msgspec.Raw], call: Call, now: datetime
) -> NewJob:
    findings = Findings()
    args = read_args(_merged(schedule, given), JSON, findings)
    check(args, call.services.rules, now, findings)
    # Who brings a body of their own must be one who may send to the url.
    judged = ("/body", "/url") if given else ("/body",)
    errors = [error for error in findings.errors if error.pointer.startswith(judged)]
    if errors:
        raise InvalidRequest(errors)
    return NewJob(
        user_id=schedule.user_id,
        args=encode_args(args),
        origin=schedule.origin,
        path=path_key(args.url),
        scheduled_at=now,
        planned_at=now,
        max_attempts=args.max_attempts or call.services.max_attempts,
        kind=Kind.REQUEST,
        schedule_id=schedule.id,
        idempotency_key=schedule.idempotency_key,
        name=schedule.name,
        description=schedule.description,
        tags=tuple(args.tags or ()),
        keep_for=args.kept_for,
    )


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        fields: dict[str, msgspec.Raw] = decode_json(body, dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise InvalidRequest([not_an_object(body)]) from None
    return fields


def _merged(schedule: Schedule, given: dict[str, msgspec.Raw]) -> bytes:
    """Lay given fields over a schedule's own, as JSON; null removes one (RFC 7396, one level)."""
    stored: dict[str, msgspec.Raw] = msgspec.json.decode(schedule.args, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**stored, **given})
