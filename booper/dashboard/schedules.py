"""Schedules: the list, one with its runs, what it skipped and what it keeps, and its changes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.paging import cursor_behind
from booper.dashboard.keyset import listed
from booper.dashboard.runs import MAX_RUNS, durations_of, runs_of, states_of
from booper.dashboard.text import number
from booper.dashboard.visit import Page, Visit
from booper.errors import FieldError, InvalidRequest
from booper.model.duration import parse_duration
from booper.wire.repetition import cron_in_words, interval_in_words

NEXT_RUNS: Final = 10


class Summary(msgspec.Struct, frozen=True):
    """A schedule in the words of the dashboard; `item` is the API's own."""

    item: Any
    name: str
    state: str
    words: str
    timezone: str


class NextRun(msgspec.Struct, frozen=True):
    """A time at which a schedule runs next: in UTC, and in its own zone with the day's name."""

    at: str
    local: str
    day: str


async def show_all(visit: Visit) -> Response:
    """Show a page of the user's schedules, newest first."""
    found = await listed(visit, "/api/schedules", "inserted_at", _cursor_at)
    schedules = [summary_of(item) for item in found.items]
    return visit.page(
        "schedules.html", title="Schedules", live={}, schedules=schedules, listed=found
    )


async def show(visit: Visit) -> Response:
    """Show a schedule; around a planned time, if one is asked for."""
    path = path_of(visit)
    item = (await visit.get(path, {"next_runs": NEXT_RUNS}))["data"]
    timeline = (await visit.get(f"{path}/timeline"))["data"]
    runs = runs_of((await visit.get(f"{path}/runs", {"limit": MAX_RUNS}))["data"])
    asked, around, problems = await _around_time(visit, path)
    return visit.page(
        "schedule.html",
        422 if problems else 200,
        title=_name(item),
        live={"schedule_id": item["id"]},
        schedule=summary_of(item),
        next_runs=next_runs_of(item),
        runs=runs,
        states=states_of(runs),
        durations=durations_of(runs),
        skipped=[event for event in reversed(timeline) if event["event"] == "skipped"],
        changes=[event for event in reversed(timeline) if event["job_id"] is None],
        asked=asked,
        around=around,
        problems=problems,
    )


def summary_of(item: Any) -> Summary:
    """Return a schedule of the API in words."""
    frequency = item["frequency"]
    timezone = item["args"].get("timezone") or "UTC"
    return Summary(item, _name(item), _state(item), words_of(frequency), timezone)


def words_of(frequency: Mapping[str, Any]) -> str:
    """Return when a schedule repeats; the expression itself if it cannot be read any more."""
    try:
        if "cron" in frequency:
            return cron_in_words(frequency["cron"])
        every = frequency["repeat_every"]
        if isinstance(every, list):
            return interval_in_words(parse_duration((_amount(every[0]), every[1])))
        return interval_in_words(parse_duration(_amount(every)))
    except ValueError:
        return str(frequency.get("cron", ""))


def next_runs_of(item: Any) -> list[NextRun]:
    """Return when a schedule runs next."""
    pairs = zip(item["next_runs"], item["next_runs_local"], strict=True)
    return [NextRun(at, local, f"{datetime.fromisoformat(local):%a}") for at, local in pairs]


async def run(visit: Visit) -> Response:
    """Run a schedule now, beside its plan, and go on to the job."""
    job = (await visit.send("POST", f"{path_of(visit)}/run"))["data"]
    return visit.redirect(f"/jobs/{job['job_id']}", "run")


async def disable(visit: Visit) -> Response:
    """Disable a schedule."""
    await visit.send("POST", f"{path_of(visit)}/disable")
    return back(visit, "schedule-disabled")


async def enable(visit: Visit) -> Response:
    """Enable a schedule."""
    await visit.send("POST", f"{path_of(visit)}/enable")
    return back(visit, "schedule-enabled")


async def delete(visit: Visit) -> Response:
    """Delete a schedule."""
    await visit.send("DELETE", path_of(visit))
    return visit.redirect("/schedules", "schedule-deleted")


def path_of(visit: Visit) -> str:
    """Return the path of the API for the schedule in the path of a visit."""
    return f"/api/schedules/{visit.path['schedule_id']}"


def back(visit: Visit, notice: str) -> Response:
    """Return a response that leads to the schedule of a visit, after a change."""
    return visit.redirect(f"/schedules/{visit.path['schedule_id']}", notice)


def _cursor_at(item: Any, is_falling: bool) -> str:
    at = datetime.fromisoformat(f"{item['inserted_at']}Z")
    return cursor_behind("inserted_at", UUID(item["id"]).int, at, descending=is_falling)


async def _around_time(
    visit: Visit, path: str
) -> tuple[str, Sequence[Any] | None, Sequence[FieldError]]:
    """Return the planned time that is asked about, what happened around it, and what is wrong."""
    asked = visit.query.get("at", "").strip()
    if not asked:
        return "", None, ()
    try:
        return asked, (await visit.get(f"{path}/timeline", {"at": asked}))["data"], ()
    except InvalidRequest as error:
        return asked, None, error.errors


def _name(item: Any) -> str:
    return item["name"] or f"Schedule {item['id'][-12:]}"


def _state(item: Any) -> str:
    if item["disabled_at"]:
        return "disabled"
    return "ended" if item["ended_at"] else "active"


def _amount(value: Any) -> int | float:
    return value if isinstance(value, int) else number(value)


_PATH: Final = "/schedules/{schedule_id}"

PAGES = (
    Page("GET", "/schedules", Access.READ, show_all),
    Page("GET", _PATH, Access.READ, show),
    Page("POST", f"{_PATH}/run", Access.WRITE, run),
    Page("POST", f"{_PATH}/disable", Access.WRITE, disable),
    Page("POST", f"{_PATH}/enable", Access.WRITE, enable),
    Page("POST", f"{_PATH}/delete", Access.WRITE, delete),
)
