"""What pages read: each of their statements begins with an index, and none scans jobs or logs."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.dashboard.application import PAGES
from booper.store.sqlite import connection as connections
from booper.store.sqlite.listing_filters import add_functions
from booper.store.sqlite.transaction import SQLiteTransaction
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser, filled
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

LARGE = ("jobs", "logs", "job_tags", "buckets", "days", "audit", "audit_jobs", "waits", "incidents")
"""The tables that grow with what happens."""

BOUNDED = "SCAN jobs USING (COVERING )?INDEX jobs_executing"
"""What is being sent: no more jobs than there are slots."""

LISTS = (
    *("state=completed", "state=scheduled&state=retryable", "tag=nightly", "host=target.test"),
    *("url_prefix=https://target.test/", "text=4711", "after=2029-01-01T00:00:00Z"),
    *("before=2031-01-01T00:00:00Z", "order_by=scheduled_at,asc", "order_by=inserted_at,asc"),
)


class Traced(SQLiteTransaction):
    """A connection that notes the statements that it runs."""

    statements: ClassVar[set[str]] = set()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_trace_callback(self.statements.add)


@pytest.fixture
async def booper(
    config: Config, clock: VirtualClock, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Booper]:
    """Run a booper whose connections are traced."""
    monkeypatch.setattr(connections, "SQLiteTransaction", Traced)
    async with Booper(
        config, api_key=KEY, clock=clock, random=Random(1), transport=target
    ) as running:
        yield running


@pytest.fixture
async def paths(booper: Booper, api: Api, admin: Api) -> list[str]:
    """Return the address of each page, of something that is there, and of lists with filters."""
    await api.create(tags=["nightly"])
    schedule = await api.create_schedule()
    await booper.wait_idle()
    ids = {
        "job_id": str((await api.read("/api/jobs"))[0]["job_id"]),
        "log_id": (await api.read("/api/logs"))[0]["id"],
        "key_id": (await admin.act("/api/keys", {"name": "spare"}))["id"],
        "schedule_id": schedule.rpartition("/")[2],
    }
    pages = [page.path for page in PAGES if page.method == "GET" and page.path != "/events"]
    lists = [f"/jobs?{query}" for query in LISTS]
    all_of = [f"/jobs/all?action=cancel&{query}" for query in LISTS[:6]]
    return [*(filled(path, ids) for path in pages), *lists, *all_of]


def scans(statements: set[str], path: Path) -> list[tuple[str, str]]:
    """Return the statements that read a large table from its beginning, and the steps in which."""
    found = []
    with closing(sqlite3.connect(path)) as database:
        add_functions(database)
        for statement in sorted(statements):
            if not re.match(r"\s*(SELECT|WITH)\b", statement):
                continue
            plan = database.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            found += [(step, statement) for *_, step in plan if is_scan(step)]
    return found


def is_scan(step: str) -> bool:
    """Return whether a step of a plan reads a large table from its beginning."""
    return bool(re.match(rf"SCAN ({'|'.join(LARGE)})\b", step)) and not re.match(BOUNDED, step)


async def test_no_statement_of_a_page_scans(
    booper: Booper, browser: Browser, paths: list[str], config: Config
) -> None:
    """Each is explained as it was run, while every page and filter is shown."""
    await browser.sign_in(KEY)
    Traced.statements.clear()
    hidden = {path for path in paths if (await browser.get(path)).status_code != 200}
    assert hidden == {"/sign-in", "/jobs/all"}, "who is signed in, and no action"
    assert len(Traced.statements) > 40
    assert scans(Traced.statements, Path(config.database.path)) == []


async def test_what_an_open_page_shows_is_one_statement(
    booper: Booper, browser: Browser, api: Api, config: Config
) -> None:
    """However many jobs it shows that the list does not have now."""
    numbers = [await api.create_id(schedule_in=3600) for _ in range(50)]
    await browser.sign_in(KEY)
    query = "/jobs?tag=none&shown="
    run = [
        await statements_of(browser, query + shown) for shown in ("", ",".join(map(str, numbers)))
    ]
    assert len(run[1] - run[0]) == 1
    assert scans(run[1], Path(config.database.path)) == []


async def statements_of(browser: Browser, path: str) -> set[str]:
    """Return the statements of a page."""
    Traced.statements.clear()
    assert (await browser.get(path)).status_code == 200
    return set(Traced.statements)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM jobs",
        "SELECT state, count(*) FROM jobs GROUP BY state",
        "SELECT * FROM logs WHERE payload LIKE '%4711%' LIMIT 50",
        "SELECT * FROM jobs ORDER BY scheduled_at DESC LIMIT 50",
    ],
)
async def test_a_statement_that_scans_is_found(
    booper: Booper, config: Config, statement: str
) -> None:
    """The same check, of what pages of other programs do."""
    assert scans({statement}, Path(config.database.path))
