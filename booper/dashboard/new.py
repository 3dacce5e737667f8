"""New: a form that creates a job or a schedule, what it would do, and the same as a program."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.problems import headers_of
from booper.dashboard.api import Query
from booper.dashboard.code import codes_of
from booper.dashboard.curl import NoCommand, read_curl
from booper.dashboard.lines import Untypable, read_json
from booper.dashboard.new_form import (
    OF_SCHEDULES,
    OF_TIME,
    WAYS,
    Meant,
    Typed,
    at_fields,
    blank,
    filled,
    read,
    write,
)
from booper.dashboard.visit import Page, Visit
from booper.errors import (
    BooperError,
    FieldError,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)
from booper.model.args import METHODS
from booper.model.fields import CREATE_FIELDS
from booper.wire.redaction import REDACTED

_SOMEWHERE: Final = "https://example.com/"
"""Stands for a URL that is not there yet, where only times are asked for."""

MAX_CODE_BODY: Final = 100_000
"""How many characters a body may have to be written as programs, in each of three languages."""

ADVANCED: Final = tuple(
    name
    for name in CREATE_FIELDS
    if name not in {"method", "url", "query", "headers", "body", *OF_TIME}
)
"""The fields of which most jobs need none."""


class Checked(msgspec.Struct, frozen=True):
    """The outcome of a dry run: what the create would do, and what is wrong.

    What is shown of a create that `is_partial` are its times alone.
    """

    preview: Any | None = None
    errors: Sequence[FieldError] = ()
    is_partial: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """A create that the API has refused."""

    error: BooperError
    errors: Sequence[FieldError] = ()


async def show(visit: Visit) -> Response:
    """Show the form, blank or like a job."""
    typed, notes = blank(), tuple[str, ...]()
    if name := visit.query.get("from", ""):
        job = await _job(visit, name)
        typed = {**write(job["args"]), "from": str(job["job_id"])}
        notes = _notes(job["args"])
    return _page(visit, typed, notes=notes)


async def check(visit: Visit) -> Response:
    """Show what a create would do; nothing is stored."""
    typed = filled(await visit.form())
    meant = read(typed)
    checked = await _dry_run(visit, meant, _hidden_from(typed))
    return _page(visit, typed, meant=meant, checked=checked)


async def create(visit: Visit) -> Response:
    """Create what the form means and go there; what cannot be is shown at its fields."""
    typed = filled(await visit.form())
    meant = read(typed)
    if meant.errors:
        checked = await _dry_run(visit, meant, _hidden_from(typed))
        refused = InvalidRequest(checked.errors)
        return _page(visit, typed, meant=meant, refusal=Refusal(refused, checked.errors))
    try:
        created = await visit.send("POST", "/api/jobs", meant.fields, _hidden_from(typed))
    except (Unauthenticated, Forbidden):
        raise
    except InvalidRequest as error:
        return _page(visit, typed, meant=meant, refusal=Refusal(error, error.errors))
    except BooperError as error:
        return _page(visit, typed, meant=meant, refusal=Refusal(error))
    job = created["data"]
    return visit.redirect(f"/jobs/{job['job_id']}", _notice(job))


async def paste(visit: Visit) -> Response:
    """Show the form as a pasted curl command fills it."""
    text = (await visit.form()).get("curl", "")
    try:
        pasted = read_curl(text)
    except NoCommand as error:
        return _page(visit, blank(), command=text, no_command=str(error))
    return _page(visit, write(pasted.fields), notes=pasted.notes, command=text)


def _notice(job: Any) -> str:
    if job["job"]["has_confict"]:
        return "exists"
    return "created" if job["schedule_id"] is None else "schedule-created"


async def _job(visit: Visit, name: str) -> Any:
    """Return the job that a form is to be like. Raises: NotFound."""
    if not name.replace("-", "").isalnum():
        raise NotFound(f"there is no job {name[:80]!r}")
    return (await visit.get(f"/api/jobs/{name}"))["data"]


def _notes(args: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what of a job is not in the form of the like."""
    if "idempotency_key" not in args:
        return ()
    return ("Its idempotency key is left out: with it nothing new might be sent.",)


def _hidden_from(typed: Typed) -> Query:
    """Return the query that has hidden values of headers put in, if the form is like a job."""
    return {"headers_from": typed["from"]} if REDACTED in typed["headers"] else {}


async def _dry_run(visit: Visit, meant: Meant, query: Query) -> Checked:
    """Return what a create would do; its times also if something else is wrong."""
    wrong = {_field(error) for error in meant.errors}
    try:
        preview = await _preview(visit, {"url": _SOMEWHERE, **meant.fields}, query)
    except InvalidRequest as error:
        further = [each for each in error.errors if _field(each) not in wrong]
        errors = [*meant.errors, *further]
        times = await _times(visit, meant, wrong | {_field(each) for each in further})
        return Checked(times, errors, is_partial=True)
    if not wrong:
        return Checked(preview)
    is_clear = wrong.isdisjoint({*OF_TIME, "when"})
    return Checked(preview if is_clear else None, meant.errors, is_partial=True)


async def _times(visit: Visit, meant: Meant, wrong: set[str]) -> Any | None:
    """Return a preview without what is wrong, None if its times would be others."""
    if wrong & {*OF_TIME, "when", ""}:
        return None
    sound = {name: value for name, value in meant.fields.items() if name not in wrong}
    try:
        return await _preview(visit, {"url": _SOMEWHERE, **sound}, {})
    except InvalidRequest:
        return None


async def _preview(visit: Visit, fields: Mapping[str, Any], query: Query) -> Any:
    given = {"dry_run": "true", **query}
    found = (await visit.send("POST", "/api/jobs", fields, given))["data"]
    body = found["request"]["body"]
    with suppress(Untypable):  # text is shown as it is
        found["request"]["body"] = read_json(body or "null")
    return found


def _field(error: FieldError) -> str:
    """Return the name of the field that an error is about, "" if it is about all."""
    return error.pointer.removeprefix("/").partition("/")[0]


def _page(
    visit: Visit,
    typed: Typed,
    *,
    meant: Meant | None = None,
    checked: Checked | None = None,
    refusal: Refusal | None = None,
    notes: Sequence[str] = (),
    command: str = "",
    no_command: str | None = None,
) -> Response:
    """Return the page with what is typed, and what came of it."""
    errors = refusal.errors if refusal else checked.errors if checked else ()
    fields, wrong = (meant or read(typed)).fields, at_fields(errors)
    shown = fields if "url" in fields else {"url": _SOMEWHERE, **fields}
    response = visit.page(
        "new.html",
        refusal.error.status if refusal else 422 if no_command else 200,
        title="New",
        typed=typed,
        notes=notes,
        command=command,
        no_command=no_command,
        wrong=wrong,
        refused=str(refusal.error) if refusal and not errors else None,
        checked=checked,
        codes=codes_of(shown, visit.own_url) if len(typed["body"]) <= MAX_CODE_BODY else None,
        methods=[(name, name.upper()) for name in METHODS],
        ways=WAYS,
        create_fields=CREATE_FIELDS,
        zone=fields.get("timezone"),
        of_schedules=OF_SCHEDULES,
        advanced=ADVANCED,
        is_used=lambda names: any(typed[name] or name in wrong for name in names),
    )
    if refusal:
        response.headers.update(headers_of(refusal.error))
    return response


PAGES = (
    Page("GET", "/new", Access.WRITE, show),
    Page("POST", "/new", Access.WRITE, create),
    Page("POST", "/new/check", Access.WRITE, check),
    Page("POST", "/new/curl", Access.WRITE, paste),
)
