"""Home: how much waits, is due, runs and failed, what runs next, what happened, what is wrong."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.dashboard.charts import Chart, Column, counted, lateness, times_within
from booper.dashboard.text import clock_time
from booper.dashboard.visit import Page, Visit
from booper.wire.timestamps import precise

NEXT_RUNS: Final = 10
NEXT_TIMES: Final = 100
"""How many of the next jobs are listed, and of how many the times are drawn."""

MAX_ORIGINS: Final = 10

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_HOURS: Final = 24
_DAYS: Final = 30


class Past(msgspec.Struct, frozen=True):
    """What happened within a time: the spans as the API has them, and charts of them."""

    heading: str
    id: str
    spans: Sequence[Any]
    titles: Sequence[str]
    counts: Chart
    late: Chart

    @property
    def is_empty(self) -> bool:
        """Return whether nothing happened."""
        return not any(span["completed"] or span["failed"] for span in self.spans)


class Future(msgspec.Struct, frozen=True):
    """What runs within a time: how many jobs in each part of it, and a chart of them."""

    heading: str
    counts: Sequence[tuple[str, int]]
    chart: Chart


async def show(visit: Visit) -> Response:
    """Show the user's own numbers, next runs and past; administrators see how booper is doing."""
    counts = (await visit.get("/api/counts"))["data"]
    query = {
        "state": ["scheduled", "retryable"],
        "order_by": "scheduled_at,asc",
        "limit": NEXT_TIMES,
        "brief": "true",
    }
    upcoming = await visit.get("/api/jobs", query)
    now = datetime.fromisoformat(counts["now"])
    may_see = visit.signed_in.may("admin")
    return visit.page(
        "home.html",
        title="Home",
        live={},
        counts=counts,
        upcoming=upcoming["data"][:NEXT_RUNS],
        futures=futures(upcoming["data"], now),
        known_until=upcoming["data"][-1] if "next_cursor" in upcoming else None,
        pasts=[await _past_day(visit, now), await _past_month(visit, now)],
        server=(await visit.get("/api/status"))["data"] if may_see else None,
        origins=(await visit.get("/api/origins"))["data"] if may_see else [],
        most_origins=MAX_ORIGINS,
    )


def futures(jobs: Sequence[Any], now: datetime) -> Sequence[Future]:
    """Return how many of these jobs are due in each minute of an hour and each hour of a day."""
    times = [datetime.fromisoformat(job["job"]["scheduled_at"]) for job in jobs]
    minute, hour = now.replace(second=0, microsecond=0), _hour_of(now)
    return (
        _future("Within the hour", times, minute, timedelta(minutes=1), 60),
        _future("Within the day", times, hour, HOUR, _HOURS),
    )


def _future(
    heading: str, times: Sequence[datetime], begin: datetime, every: timedelta, count: int
) -> Future:
    found = times_within(times, begin, every, count)
    begins = [precise(begin + place * every) for place in range(count)]
    titles = [clock_time(at)[:16] for at in begins]
    columns = [
        Column(f"{title}: {_said(number, 'job')}", [("scheduled", number)])
        for title, number in zip(titles, found, strict=True)
    ]
    ends = (titles[0][11:], titles[count // 2][11:], precise(begin + count * every)[11:16])
    listed = [pair for pair in zip(titles, found, strict=True) if pair[1]]
    return Future(heading, listed, counted(columns, ends))


async def _past_day(visit: Visit, now: datetime) -> Past:
    since = _hour_of(now) - (_HOURS - 1) * HOUR
    query = {"since": precise(since), "every": HOUR // timedelta(seconds=1)}
    spans = (await visit.get("/api/rates", query))["data"]
    titles = [clock_time(span["begins_at"])[:16] for span in spans]
    times = (titles[0][11:], titles[len(titles) // 2][11:], "now")
    return _past("Last 24 hours", "day", spans, titles, times)


async def _past_month(visit: Visit, now: datetime) -> Past:
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - (_DAYS - 1) * DAY
    query = {"since": precise(since), "every": DAY // timedelta(seconds=1)}
    spans = (await visit.get("/api/rates", query))["data"]
    titles = [span["begins_at"][:10] for span in spans]
    times = (titles[0], titles[len(titles) // 2], "today")
    return _past("Last 30 days", "month", spans, titles, times)


def _past(
    heading: str, name: str, spans: Sequence[Any], titles: Sequence[str], times: Sequence[str]
) -> Past:
    columns = [
        Column(
            f"{title}: {span['completed']:,} completed, {span['failed']:,} failed",
            [("completed", span["completed"]), ("failed", span["failed"])],
        )
        for span, title in zip(spans, titles, strict=True)
    ]
    late = lateness(spans, titles, times)
    return Past(heading, name, spans, titles, counted(columns, times), late)


def _hour_of(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _said(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


PAGES = (Page("GET", "/", Access.READ, show),)
