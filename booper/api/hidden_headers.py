"""Headers whose values a sender cannot see, since they are shown redacted.

A create takes them from a job, and a change of a schedule keeps its own: both only for the origin
that they were given for, so that nobody who may only send them can read them.
"""

from typing import Final

from msgspec.structs import replace

from booper.api.call import NO_QUERY, Call
from booper.api.operations import Parameter
from booper.api.parameters import JOB_ID
from booper.api.paths import job_ref
from booper.api.pointers import Findings
from booper.errors import FieldError, InvalidRequest, NotFound, pointer_to
from booper.model.args import Args, decode_args, encode_args
from booper.model.job import Job
from booper.model.schedule import Schedule
from booper.store.values import Creation
from booper.wire.redaction import REDACTED, Redaction

HEADERS_FROM: Final = Parameter(
    "headers_from",
    f'A job. Headers whose value is "{REDACTED}" get the values that it has, if the URL is of the '
    "same origin. The response shows them redacted, too",
    JOB_ID.schema,
)


def asks_for_hidden(call: Call) -> bool:
    """Return whether a create takes values of another job's headers."""
    return call.query is not NO_QUERY and HEADERS_FROM.name in call.query


async def with_hidden(call: Call, creation: Creation) -> Creation:
    """Return a create with the hidden values that it asks for.

    Raises:
        InvalidRequest: there is no such job, it lacks such a header, or is of another origin.
    """
    if not asks_for_hidden(call):
        return creation
    try:
        ref = job_ref(call.query[HEADERS_FROM.name])
        job = await call.services.store.jobs.get(call.user_id, ref)
    except NotFound as error:
        raise InvalidRequest([FieldError(f"/{HEADERS_FROM.name}", str(error))]) from error
    args = _with_headers(decode_args(creation.new.args), creation.new.origin, job)
    return replace(creation, new=replace(creation.new, args=encode_args(args)))


def check_kept(schedule: Schedule, origin: str, redaction: Redaction, findings: Findings) -> None:
    """Note each hidden header of a schedule that would be kept for a URL of another origin."""
    if origin == schedule.origin:
        return
    for name in decode_args(schedule.args).headers or {}:
        if redaction.hides(name):
            findings.add(
                pointer_to("/headers", name),
                f"hidden values are not sent to another origin, and this one is for "
                f"{schedule.origin}; give headers again, with its value or without it",
            )


def _with_headers(args: Args, origin: str, job: Job) -> Args:
    """Return args with the values of a job's headers where they are hidden."""
    known = decode_args(job.args).headers or {}
    values = {name.lower(): value for name, value in known.items()}
    found, errors = dict(args.headers or {}), list[FieldError]()
    for name, value in found.items():
        if value != REDACTED:
            continue
        pointer = pointer_to("/headers", name)
        if origin != job.origin:
            detail = f"its hidden value is sent to {job.origin} alone; give the value"
            errors.append(FieldError(pointer, detail))
        elif name.lower() not in values:
            errors.append(FieldError(pointer, f"job {job.id} has no such header; give its value"))
        else:
            found[name] = values[name.lower()]
    if errors:
        raise InvalidRequest(errors)
    return replace(args, headers=found) if args.headers is not None else args
