"""No read of the database is open once its response is there, so the log can be cut back."""

import sqlite3
from contextlib import closing

import pytest

from booper.app import Booper
from booper.config import Config
from tests.support.api import Api

pytestmark = pytest.mark.anyio


def is_log_free(path: str) -> bool:
    """Return whether a checkpoint passes everything, which it cannot while a read is open."""
    with closing(sqlite3.connect(path, timeout=0)) as opened:
        busy, _, _ = opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


async def test_each_read_has_ended_when_its_response_is_there(
    booper: Booper, api: Api, admin: Api, config: Config
) -> None:
    """Lists, single things, what is not there, and what is cut short in the middle of a list.

    All jobs are of later, so that nothing is written while the log is looked at.
    """
    later = [1, "hour"]
    for number in range(30):
        fields = {"idempotency_key": f"k{number}", "tags": ["a"], "body": "x" * 1000}
        await api.create(schedule_in=later, **fields)
    schedule = await api.create_schedule(schedule_in=later)
    await booper.wait_idle()
    [job, *_] = await api.read("/api/jobs")
    paths = [
        "/api/jobs?limit=3",
        "/api/jobs?limit=3&tag=a&order_by=scheduled_at",
        f"/api/jobs/{job['job_id']}",
        "/api/jobs/999999",
        "/api/schedules?limit=1",
        f"{schedule}?next_runs=5",
        "/api/logs?limit=1",
        "/api/logs/00000000-0000-7000-8000-000000000000",
        "/api/keys",
        "/api/pauses",
        "/readyz",
    ]
    for path in paths:
        client = admin if path == "/api/keys" else api
        assert (await client.get(path)).status_code in (200, 403, 404), path
        await api.create(schedule_in=later)  # what an open read would not see
        assert is_log_free(config.database.path), path
    await api.act("/api/jobs/cancel", {"filter": {"tag": "a"}, "dry_run": True})
    await api.create(schedule_in=later)
    assert is_log_free(config.database.path)


async def test_a_read_that_is_open_would_be_noticed(api: Api, config: Config) -> None:
    """The twin of the test above: a cursor in the middle of its rows holds the log."""
    for _ in range(3):
        await api.create()
    with closing(sqlite3.connect(config.database.path)) as opened:
        cursor = opened.execute("SELECT id FROM jobs")
        cursor.fetchone()
        await api.create()
        assert not is_log_free(config.database.path)
