"""Changes of a schedule by form: its fields, and its `$state`.

A form shows what there was when it was opened. Only what somebody has changed in it is sent, so
that hidden values of headers stay. If the schedule has changed meanwhile, nothing is: the form is
shown again with what was typed.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.problems import headers_of
from booper.dashboard.lines import Untypable, pretty_json, read_json
from booper.dashboard.new_form import WAYS, Meant, Typed, at_fields, filled, read, write
from booper.dashboard.schedules import back, path_of, summary_of
from booper.dashboard.visit import Page, Visit
from booper.errors import BooperError, Conflict, FieldError, InvalidRequest
from booper.model.args import METHODS
from booper.model.fields import CREATE_FIELDS, FIXED_FIELDS

_CHANGEABLE: Final = tuple(name for name in CREATE_FIELDS if name not in FIXED_FIELDS)
_REPEATING: Final = tuple(way for way in WAYS if way[0] in ("every", "cron"))
_CHANGED_MEANWHILE: Final = (
    "The schedule has changed since this form was opened, so nothing was done. "
    "What you typed is still here: send it again to put it in place of what there is now."
)


async def show(visit: Visit) -> Response:
    """Show the form with the fields of a schedule."""
    item = (await visit.get(path_of(visit)))["data"]
    return _page(visit, item, _typed_of(item))


async def change(visit: Visit) -> Response:
    """Change the fields that are not as they were in the form."""
    form = await visit.form()
    item = (await visit.get(path_of(visit)))["data"]
    typed, shown = filled(form), _typed_of(item)
    try:
        if form.get("seen") != _mark(shown):
            raise Conflict(_CHANGED_MEANWHILE)
        changes = changes_between(shown, typed)
        if changes:
            await visit.send("PATCH", path_of(visit), changes)
    except (Conflict, InvalidRequest) as error:
        return _page(visit, item, typed, error)
    return back(visit, "schedule-changed" if changes else "nothing-changed")


def changes_between(shown: Typed, typed: Typed) -> Mapping[str, Any]:
    """Return the fields to change, by what was shown and what was typed; None removes one.

    Raises:
        InvalidRequest: what was typed cannot be read.
    """
    before, after = read(shown), read(typed)
    changed = [name for name in _CHANGEABLE if _is_changed(name, shown, typed, before, after)]
    is_kept = "headers" not in changed
    errors = [
        each for each in after.errors if not (is_kept and each.pointer.startswith("/headers/"))
    ]
    if errors:
        raise InvalidRequest(errors)
    return {name: after.fields.get(name) for name in changed}


async def show_state(visit: Visit) -> Response:
    """Show the form with the `$state` of a schedule."""
    item = (await visit.get(path_of(visit)))["data"]
    return _state_page(visit, item, pretty_json(item["state"]))


async def change_state(visit: Visit) -> Response:
    """Replace the `$state` of a schedule."""
    form = await visit.form()
    text, seen = form.get("state", ""), form.get("seen")
    problem: Conflict | InvalidRequest
    try:
        if not seen:
            raise Conflict(_CHANGED_MEANWHILE)
        query = {"if_version": seen}
        await visit.send("PUT", f"{path_of(visit)}/state", _read_state(text), query)
    except Conflict:
        problem = Conflict(_CHANGED_MEANWHILE)
    except InvalidRequest as error:
        problem = error
    else:
        return back(visit, "state-changed")
    item = (await visit.get(path_of(visit)))["data"]
    return _state_page(visit, item, text, problem)


def _read_state(text: str) -> msgspec.Raw:
    """Return JSON that was typed. Raises: InvalidRequest."""
    try:
        read_json(text)
    except Untypable as error:
        raise InvalidRequest([FieldError("/state", str(error))]) from error
    return msgspec.Raw(text.encode())


def _typed_of(item: Any) -> Typed:
    """Return the form of a schedule."""
    return {**write(item["args"]), "when": "cron" if "cron" in item["args"] else "every"}


def _is_changed(name: str, shown: Typed, typed: Typed, before: Meant, after: Meant) -> bool:
    """Return whether a field was typed, removed, or means nothing in the way that was chosen."""
    is_other_kind = name == "body" and shown["body_kind"] != typed["body_kind"]
    is_other_text = _sent(shown[name]) != typed[name] or is_other_kind
    was_given, is_given = name in before.fields, name in after.fields
    return was_given != is_given if not is_other_text else was_given or bool(typed[name].strip())


def _sent(text: str) -> str:
    """Return a text as a browser sends it that it was shown, and the dashboard reads it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def _mark(shown: object) -> str:
    """Return a mark of what a form shows, by which it is known to be the same later."""
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()[:16]


def _page(
    visit: Visit, item: Any, typed: Typed, error: Conflict | InvalidRequest | None = None
) -> Response:
    return _with_error(
        visit,
        error,
        "schedule_change.html",
        title=f"Change {summary_of(item).name}",
        schedule=summary_of(item),
        seen=_mark(_typed_of(item)),
        typed=typed,
        methods=[(name, name.upper()) for name in METHODS],
        ways=_REPEATING,
        create_fields=CREATE_FIELDS,
    )


def _state_page(
    visit: Visit, item: Any, text: str, error: Conflict | InvalidRequest | None = None
) -> Response:
    return _with_error(
        visit,
        error,
        "schedule_state.html",
        title=f"$state of {summary_of(item).name}",
        schedule=summary_of(item),
        seen=item["state_version"],
        typed={"state": text},
    )


def _with_error(
    visit: Visit, error: BooperError | None, template: str, **values: object
) -> Response:
    """Return a page that says what is wrong, at the fields that it is about."""
    errors = error.errors if isinstance(error, InvalidRequest) else ()
    wrong = at_fields(errors)
    refused = str(error) if error is not None and not errors else None
    status = error.status if error else 200
    response = visit.page(template, status, wrong=wrong, refused=refused, **values)
    if error is not None:
        response.headers.update(headers_of(error))
    return response


_CHANGE: Final = "/schedules/{schedule_id}/change"
_STATE: Final = "/schedules/{schedule_id}/state"

PAGES = (
    Page("GET", _CHANGE, Access.WRITE, show),
    Page("POST", _CHANGE, Access.WRITE, change),
    Page("GET", _STATE, Access.WRITE, show_state),
    Page("POST", _STATE, Access.WRITE, change_state),
)
