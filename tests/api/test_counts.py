"""`/api/counts`: a user's own numbers."""

from datetime import timedelta

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import START
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

NONE = dict.fromkeys(("scheduled", "executing", "retryable", "completed"), 0) | {
    "discarded": 0,
    "cancelled": 0,
}
NOTHING = {"completed": 0, "failed": 0, "discarded": 0, "skipped": 0}


async def test_jobs_are_counted_by_their_states_and_by_what_happened_today(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """One completed; one was discarded after its attempt failed; one waits."""
    target.respond(httpx.Response(200), httpx.Response(500))
    await api.create()
    await booper.wait_idle()
    await api.create(max_attempts=1)
    await booper.wait_idle()
    await api.create(schedule_in=60)
    assert await api.read("/api/counts") == {
        "now": "2030-01-01T12:00:00.000000Z",
        "jobs": {**NONE, "scheduled": 1, "completed": 1, "discarded": 1},
        "due": {"count": 0, "are_more": False},
        "today": {
            "since": "2030-01-01T00:00:00.000000Z",
            **NOTHING,
            "completed": 1,
            "failed": 1,
            "discarded": 1,
        },
    }


async def test_what_is_held_back_is_due(booper: Booper, api: Api, admin: Api) -> None:
    """Its time has come; another user's is not counted, nor are reports to send."""
    await admin.act("/api/pause", {})
    key = (await admin.act("/api/keys", {"name": "bob", "user": "bob"}))["key"]
    for _ in range(2):
        await api.create(callback_url="https://target.test/")
    await api.create_schedule()
    await api.create(schedule_in=1)
    await booper.wait_idle()
    assert (await api.read("/api/counts"))["due"] == {"count": 3, "are_more": False}
    async with Api(booper.asgi, key) as other:
        assert (await other.read("/api/counts"))["due"]["count"] == 0


async def test_a_day_begins_at_midnight_in_utc(
    booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """What completed a moment before is of yesterday."""
    clock.set(START.replace(hour=23, minute=59, second=59))
    await api.create()
    await booper.wait_idle()
    assert (await api.read("/api/counts"))["today"]["completed"] == 1
    clock.set(START.replace(hour=0) + timedelta(days=1))
    counts = await api.read("/api/counts")
    assert counts["today"] == {"since": "2030-01-02T00:00:00.000000Z", **NOTHING}
    assert counts["jobs"]["completed"] == 1


async def test_numbers_of_others_are_not_in_it(booper: Booper, api: Api, admin: Api) -> None:
    """Each user has their own."""
    await api.create()
    await booper.wait_idle()
    key = (await admin.act("/api/keys", {"name": "bob", "user": "bob"}))["key"]
    async with Api(booper.asgi, key) as other:
        counts = await other.read("/api/counts")
    assert (counts["jobs"], counts["today"]["completed"]) == (NONE, 0)
