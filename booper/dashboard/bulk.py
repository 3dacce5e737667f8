"""Changes of many jobs: of those that are ticked, and of all that match, which are counted first.

What is counted ends with the newest job of that moment: what comes later is not changed with it.
"""

from asyncio import TaskGroup
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.responses import Response

from booper.api.access import Access
from booper.dashboard.bulk_words import (
    Action,
    action_of,
    count_in_words,
    filter_in_words,
    most_counted,
)
from booper.dashboard.jobs import filters_in
from booper.dashboard.visit import Page, Visit
from booper.errors import BooperError, Conflict, FieldError, InvalidRequest, NotFound
from booper.wire.timestamps import precise

MAX_TICKED: Final = 100

Wanted = Mapping[str, Sequence[str]]
"""The filters of the list that are given, each with its values."""


async def change_ticked(visit: Visit) -> Response:
    """Do something to each job that is ticked, and say what became of them."""
    form = await visit.form_lists()
    action = action_of(form.get("action", ""))
    numbers = list(dict.fromkeys(form.getlist("job")))
    if len(numbers) > MAX_TICKED:
        detail = f"expected at most {MAX_TICKED} ticked jobs, got {len(numbers)}"
        raise InvalidRequest([FieldError("/job", detail)])
    back = form.get("back", "/jobs")
    if not numbers:
        return visit.go_back(back, "none-ticked")
    async with TaskGroup() as group:
        tasks = [group.create_task(_change_one(visit, action, number)) for number in numbers]
    outcomes = Counter[str | None]()
    for task in tasks:
        outcome = task.result()
        if isinstance(outcome, BooperError):
            raise outcome
        outcomes[outcome] += 1
    kept = [f"{reason}:{number}" for reason, number in outcomes.items() if reason is not None]
    return visit.go_back(back, action.notice, changed=outcomes[None], kept=sorted(kept))


async def _change_one(visit: Visit, action: Action, number: str) -> str | BooperError | None:
    """Change a job; return why it could not be (`REASONS`), None if it was."""
    if not (number.isascii() and number.isdigit()):
        return "gone"
    path, asked_at = f"/api/jobs/{number}", precise(visit.services.clock.now())
    try:
        job = (await visit.send("POST", f"{path}/{action.name}"))["data"]["job"]
    except Conflict:
        state = str((await visit.get(path))["data"]["job"]["state"])
        return "taken" if action.name == "retry" and state in action.states else state
    except NotFound:
        return "gone"
    except BooperError as error:
        return error
    if action.name == "cancel" and (job["cancelled_at"] or "") < asked_at:
        return str(job["state"])  # it had ended, so that it is as it was
    if action.name == "run" and job["scheduled_at"] < asked_at:
        return "available"
    return None


async def count_matching(visit: Visit) -> Response:
    """Show how many jobs match, and ask whether all of them are meant."""
    action, wanted = action_of(visit.query.get("action", "")), wanted_in(visit.query)
    most = most_counted(wanted)
    body = {**_filter(wanted), "dry_run": True, "max_count": most}
    counted = (await visit.send("POST", f"/api/jobs/{action.name}", body))["data"]
    number = count_in_words(counted)
    return visit.page(
        "bulk.html",
        title=f"{action.verb} {number}{action.rest}?",
        action=action,
        wanted=wanted,
        words=filter_in_words(action, wanted),
        number=number,
        counted=counted,
        is_partial=counted.get("is_partial", False),
        most=most,
        back=visit.links.to("/jobs", **wanted),
    )


async def change_matching(visit: Visit) -> Response:
    """Change all jobs that match, up to the newest one of when they were counted."""
    form = await visit.form_lists()
    action, wanted = action_of(form.get("action", "")), wanted_in(form)
    body = {**_filter(wanted), "through": _number(form.get("through", ""))}
    done = (await visit.send("POST", f"/api/jobs/{action.name}", body))["data"]
    matched, changed = done["matched"], done["changed"]
    kept = {
        "taken" if action.name == "retry" else "available": matched - changed,
        "changed": _number(form.get("counted", "")) - matched,
    }
    reasons = [f"{reason}:{number}" for reason, number in kept.items() if number > 0]
    return visit.redirect("/jobs", action.notice, **wanted, changed=changed, kept=reasons)


def wanted_in(query: QueryParams) -> Wanted:
    """Return the filters of the list that are given in a query or a form."""
    return {name: texts for name, texts in filters_in(query).items() if texts}


def _filter(wanted: Wanted) -> dict[str, Any]:
    """Return a filter as the API reads it in a body; without one all jobs are meant."""
    if not wanted:
        return {"all": True}
    return {"filter": {name: _value(name, texts) for name, texts in wanted.items()}}


def _value(name: str, texts: Sequence[str]) -> object:
    return list(texts) if name == "state" else texts[-1]


def _number(text: str) -> int:
    """Return a number that a form brings back as it was given, 0 if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else 0


PAGES = (
    Page("POST", "/jobs/selected", Access.WRITE, change_ticked),
    Page("GET", "/jobs/all", Access.WRITE, count_matching),
    Page("POST", "/jobs/all", Access.WRITE, change_matching),
)
