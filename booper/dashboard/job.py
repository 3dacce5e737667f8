"""A job: its fields, its timeline, its attempts with what was sent and received, its changes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.paging import cursor_behind
from booper.dashboard.job_curl import curl_of, last_request
from booper.dashboard.job_log import Reports, log_in, reports_in
from booper.dashboard.job_times import times_of
from booper.dashboard.visit import Page, Visit
from booper.model.event import ERROR, REQUEST, RESPONSE

MAX_ENTRIES: Final = 100
MAX_REPORTS: Final = 20

_CHANGES: Final = {"cancel": "cancelled", "retry": "retried", "run": "run"}
"""What can be done to a job, and the notice of it."""


class Attempt(msgspec.Struct, frozen=True):
    """One attempt in the log: the request, none if nothing was sent, and what came of it.

    `entries` are the log's own, in order.
    """

    request: Any | None
    outcome: Any | None


async def show(visit: Visit) -> Response:
    """Show a job by its number or its UUID."""
    path = f"/api/jobs/{_named(visit)}"
    job = (await visit.get(path))["data"]
    timeline = (await visit.get(f"{path}/timeline"))["data"]
    query = {"job_id": job["job_id"], "order_by": "inserted_at,asc", "limit": MAX_ENTRIES}
    log = log_in(await visit.read("/api/logs", query))
    attempts = list(attempts_in(log.entries))
    reports = await _reports(visit, job)
    return visit.page(
        "job.html",
        title=f"Job {job['job_id']}",
        live={"job_id": job["job_id"]},
        job=job,
        timeline=timeline,
        attempts=attempts,
        before=await _neighbour(visit, job, is_after=False),
        after=await _neighbour(visit, job, is_after=True),
        times=times_of(job["job"], [] if log.is_cut else log.entries),
        curl=curl_of(job["args"], last_request(attempts)),
        reports=reports.data,
        are_more_reports=reports.next_cursor is not None,
        is_cut=log.is_cut,
    )


async def _neighbour(visit: Visit, job: Any, *, is_after: bool) -> Any | None:
    """Return the next older or newer job of the same schedule, None if there is none."""
    if job["schedule_id"] is None:
        return None
    planned = datetime.fromisoformat(job["job"]["scheduled_at"])
    query = {
        "schedule_id": job["schedule_id"],
        "order_by": f"id,{'asc' if is_after else 'desc'}",
        "cursor": cursor_behind("id", job["job_id"], planned, descending=not is_after),
        "limit": 1,
        "brief": "true",
    }
    return next(iter((await visit.get("/api/jobs", query))["data"]), None)


async def _reports(visit: Visit, job: Any) -> Reports:
    """Return the newest callbacks and webhook events of a job."""
    if not any(name in job["args"] for name in ("callback_url", "webhook_url")):
        return Reports()
    query = {"reports_of": job["job_id"], "limit": MAX_REPORTS}
    return reports_in(await visit.read("/api/jobs", query))


def attempts_in(entries: Sequence[Any]) -> Iterable[Attempt]:
    """Return the attempts that a job's log tells of, in order."""
    request = None
    for entry in entries:
        match entry["event"]:
            case event if event == REQUEST:
                if request is not None:
                    yield Attempt(request, None)
                request = entry
            case event if event in (RESPONSE, ERROR):
                yield Attempt(request, entry)
                request = None
    if request is not None:
        yield Attempt(request, None)


async def cancel(visit: Visit) -> Response:
    """Cancel a job."""
    return await _change(visit, "cancel")


async def retry(visit: Visit) -> Response:
    """Send a discarded or cancelled job again."""
    return await _change(visit, "retry")


async def run(visit: Visit) -> Response:
    """Send a waiting job now."""
    return await _change(visit, "run")


async def _change(visit: Visit, action: str) -> Response:
    name = _named(visit)
    await visit.send("POST", f"/api/jobs/{name}/{action}")
    return visit.redirect(f"/jobs/{name}", _CHANGES[action])


def _named(visit: Visit) -> str:
    """Return how the job is named in the path, as one segment of a path of the API."""
    return visit.path["job_id"]


PAGES = (
    Page("GET", "/jobs/{job_id}", Access.READ, show),
    Page("POST", "/jobs/{job_id}/cancel", Access.WRITE, cancel),
    Page("POST", "/jobs/{job_id}/retry", Access.WRITE, retry),
    Page("POST", "/jobs/{job_id}/run", Access.WRITE, run),
)
