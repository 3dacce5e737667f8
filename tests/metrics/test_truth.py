"""The numbers of a scrape are those that somebody else counts, at any moment."""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Metrics
from booper.model.bucket import LIMITS
from tests.support.api import Api
from tests.support.programs import planned_at
from tests.support.schedules import wire
from tests.support.scrape import Scrape, scraped
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

HOSTS = ("fine.test", "flaky.test", "down.test")
STATUSES = {"fine.test": (200,), "flaky.test": (200, 204, 404, 500), "down.test": (503,)}
MOMENTS = 10
OWN = ("request", "run")


class Witness(FakeTarget):
    """A target that responds by chance, and keeps what it saw in its own books."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self._random = Random(21)
        self.seen = Counter[tuple[str, int]]()
        self.late: list[timedelta] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Respond, and note which kind of job it was and how late it came."""
        await super().handle_async_request(request)
        kind = request.url.path.strip("/")
        status = self._random.choice(STATUSES.get(request.url.host, (200,)))
        self.seen[kind, status] += 1
        if kind in OWN:
            self.late.append(self._clock.now() - planned_at(request))
        return httpx.Response(status)


@pytest.fixture
def target(clock: VirtualClock) -> Witness:
    """Return a target that keeps books."""
    return Witness(clock)


@pytest.fixture
def config(config: Config) -> Config:
    """Return settings with a schedule that metrics name."""
    return replace(config, metrics=Metrics(schedules=("hourly", "never")))


class Caller:
    """Somebody who creates, pauses and reads at random, and counts the calls."""

    def __init__(self, api: Api, clock: VirtualClock) -> None:
        self._api = api
        self._clock = clock
        self._random = Random(4)
        self.calls = Counter[tuple[str, str, str]]()

    async def act(self) -> None:
        """Create some jobs, some with reports, and call what is not there."""
        for _ in range(self._random.randrange(5, 25)):
            await self._create()
        for _ in range(self._random.randrange(3)):
            await self._called("GET", "/api/jobs/99999", "/api/jobs/{job_id}")
        await self._called("GET", "/api/nothing", "other", method="")

    async def _create(self) -> None:
        host = self._random.choice(HOSTS)
        at = self._clock.now() + timedelta(seconds=self._random.randrange(1, 20_000))
        fields: dict[str, Any] = {
            "url": f"https://{host}/request",
            "scheduled_at": wire(at),
            "max_attempts": 1,
        }
        if self._random.random() < 0.2:
            fields["callback_url"] = "https://reports.test/callback"
        if self._random.random() < 0.2:
            fields["webhook_url"] = "https://reports.test/webhook"
        await self._called("POST", "/api/jobs", "/api/jobs", json=fields)

    async def _called(
        self, verb: str, path: str, route: str, *, method: str | None = None, json: object = None
    ) -> None:
        response = await self._api.request(verb, path, json=json)
        self.calls[verb if method is None else method, route, str(response.status_code)] += 1


async def test_a_scrape_equals_an_independent_count_at_random_moments(
    booper: Booper, api: Api, clock: VirtualClock, target: Witness, config: Config
) -> None:
    """Jobs by the table itself, attempts by what the target saw, requests by who sent them."""
    caller, random = Caller(api, clock), Random(7)
    await api.create(url="https://fine.test/run", name="hourly", cron="0 * * * *")
    for _ in range(MOMENTS):
        await caller.act()
        await move(booper, clock, timedelta(seconds=random.randrange(60, 9_000)))
        with closing(sqlite3.connect(config.database.path)) as books:
            before = sizes(Path(config.database.path))
            scrape = await scraped(api)
            check_sizes(scrape, before, sizes(Path(config.database.path)))
            check_jobs(scrape, books, clock.now())
            check_last_success(scrape, books)
        check_attempts(scrape, target)
        check_requests(scrape, caller)
    assert min(target.seen[key] for key in (("run", 200), ("request", 500), ("webhook", 200))) > 5
    assert scrape.value("booper_overdue_jobs") > 0


async def move(booper: Booper, clock: VirtualClock, duration: timedelta) -> None:
    """Move the clock, and have each run of the schedule at its hour: none is missed."""
    to = clock.now() + duration
    while (hour := clock.now().replace(minute=0, second=0) + timedelta(hours=1)) < to:
        clock.set(hour)
        await booper.wait_idle()
    clock.set(to)
    await booper.wait_idle()


def sizes(path: Path) -> dict[str, int]:
    """Return what the system says of the files."""
    files = {"file": path, "log": path.with_name(f"{path.name}-wal")}
    return {part: file.stat().st_size for part, file in files.items()}


def check_sizes(scrape: Scrape, before: dict[str, int], after: dict[str, int]) -> None:
    """Compare with the files as they were: an alert may be written while one scrapes."""
    for part in ("file", "log"):
        size = scrape.value("booper_database_bytes", part=part)
        assert before[part] <= size <= after[part]


def check_jobs(scrape: Scrape, books: sqlite3.Connection, now: datetime) -> None:
    """Compare with a count of all rows."""
    rows = books.execute("SELECT state, kind, count(*) FROM jobs GROUP BY state, kind").fetchall()
    counted = {(state, kind): count for state, kind, count in rows}
    assert scrape.by("booper_jobs", "state", "kind") == counted
    waiting = [
        count
        for (state, kind), count in counted.items()
        if kind not in OWN and state in ("scheduled", "retryable")
    ]
    assert scrape.value("booper_reports_waiting") == sum(waiting)
    microseconds = (now - datetime.fromtimestamp(0, now.tzinfo)) // timedelta(microseconds=1)
    overdue, oldest = books.execute(
        "SELECT count(*), coalesce(? - min(scheduled_at), 0) FROM jobs"
        " WHERE state IN ('scheduled', 'retryable') AND scheduled_at <= ?",
        (microseconds, microseconds),
    ).fetchone()
    assert scrape.value("booper_overdue_jobs") == overdue
    assert scrape.value("booper_oldest_due_seconds") == oldest / 1_000_000


def check_attempts(scrape: Scrape, target: Witness) -> None:
    """Compare with the target's books: which kinds came, what they got, how late they were."""
    by_class = Counter[tuple[str, str]]()
    for (kind, status), count in target.seen.items():
        by_class[kind, f"{status // 100}xx"] += count
    assert scrape.by("booper_attempts_total", "kind", "result") == by_class
    own = {key: count for key, count in target.seen.items() if key[0] in OWN}
    completed = sum(count for (_, status), count in own.items() if status < 300)
    durations = scrape.by("booper_attempt_duration_seconds_count", "outcome")
    failed = sum(own.values()) - completed
    wanted = {("completed",): completed, ("discarded",): failed}
    assert durations == {key: count for key, count in wanted.items() if count}
    assert scrape.value("booper_lateness_seconds_count") == len(target.late)
    total = sum(target.late, timedelta(0)).total_seconds()
    assert scrape.value("booper_lateness_seconds_sum") == pytest.approx(total)
    for limit in LIMITS:
        within = sum(late <= limit for late in target.late)
        le = str(limit.total_seconds())
        assert scrape.value("booper_lateness_seconds_bucket", le=le) == within


def check_requests(scrape: Scrape, caller: Caller) -> None:
    """Compare with what the caller has called; the scrapes themselves are left out."""
    found = scrape.by("booper_api_requests_total", "method", "route", "status")
    wanted = caller.calls + Counter({("POST", "/api/jobs", "201"): 1})  # the schedule
    assert {key: count for key, count in found.items() if key[1] != "/metrics"} == wanted


def check_last_success(scrape: Scrape, books: sqlite3.Connection) -> None:
    """Compare with the newest end of a run in the table."""
    (at,) = books.execute(
        "SELECT coalesce(max(completed_at), 0) FROM jobs WHERE kind = 'run'"
    ).fetchone()
    name = "booper_schedule_last_success_timestamp_seconds"
    assert scrape.value(name, schedule="hourly") == at / 1_000_000
    assert [of for found, of, _ in scrape.samples if found == name] == [
        {"schedule": "hourly"},
        {"schedule": "never"},
    ]
