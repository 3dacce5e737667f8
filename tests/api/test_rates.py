"""`/api/rates`: what happened to a user's jobs in each span of a time."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.api.rates import MAX_SPANS, MAX_TIME
from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import START
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

NOTHING = {
    **dict.fromkeys(("completed", "failed", "discarded", "skipped"), 0),
    **dict.fromkeys(("late_p50_seconds", "late_p99_seconds")),
    **dict.fromkeys(("duration_p50_seconds", "duration_p99_seconds")),
}


async def test_without_a_time_it_is_the_hours_of_the_last_day(
    booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """24 spans, the last one of which ends now; in the others nothing happened."""
    clock.set(START + timedelta(minutes=30))
    await api.create()
    await booper.wait_idle()
    clock.set(START + timedelta(minutes=45))
    found = await api.read("/api/rates")
    assert [each["begins_at"] for each in found] == [
        (START + timedelta(minutes=45) - timedelta(hours=24 - place)).strftime(
            "%Y-%m-%dT%H:%M:%S.%fZ"
        )
        for place in range(24)
    ]
    assert [each["completed"] for each in found] == [0] * 23 + [1]
    assert {name: value for name, value in found[0].items() if name != "begins_at"} == NOTHING


async def test_each_span_has_what_happened_in_it(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Four five minutes: nothing, one completed a minute late, nothing, one discarded."""
    target.respond(httpx.Response(200), httpx.Response(500))
    await api.create(schedule_in=300)
    clock.set(START + timedelta(minutes=6))
    await booper.wait_idle()
    clock.set(START + timedelta(minutes=17))
    await api.create(max_attempts=1)
    await booper.wait_idle()
    found = await api.read("/api/rates", f"since={START.isoformat()[:19]}Z&every=300")
    assert len(found) == 4
    numbers = [(each["completed"], each["failed"], each["discarded"]) for each in found]
    assert numbers == [(0, 0, 0), (1, 0, 0), (0, 0, 0), (0, 1, 1)]
    late = [(each["late_p50_seconds"], each["late_p99_seconds"]) for each in found]
    assert late == [(None, None), (60, 60), (None, None), (0.005, 0.005)]


async def test_longer_spans_have_the_sums_of_shorter_ones(
    booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """And half of all attempts is not the middle of the halves: histograms are added up."""
    for minutes, late in ((5, 60), (10, 0), (15, 0)):
        at = START + timedelta(minutes=minutes)
        clock.set(at - timedelta(seconds=1))
        await api.create(schedule_in=1)
        clock.set(at + timedelta(seconds=late))
        await booper.wait_idle()
    clock.set(START + timedelta(minutes=16))
    query = f"since={START.isoformat()[:19]}Z&every="
    short, [long] = (
        await api.read("/api/rates", f"{query}300"),
        await api.read("/api/rates", f"{query}3600"),
    )
    assert sum(each["completed"] for each in short) == long["completed"] == 3
    assert (long["late_p50_seconds"], long["late_p99_seconds"]) == (0.005, 60)


async def test_numbers_of_others_are_not_in_it(booper: Booper, api: Api, admin: Api) -> None:
    """Each user has their own."""
    await api.create()
    await booper.wait_idle()
    key = (await admin.act("/api/keys", {"name": "bob", "user": "bob"}))["key"]
    async with Api(booper.asgi, key) as other:
        assert {each["completed"] for each in await other.read("/api/rates")} == {0}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("every=0", "/every"),
        ("every=-300", "/every"),
        ("every=301", "/every"),
        ("every=1e3", "/every"),
        (f"every={10**12}", "/every"),
        ("since=yesterday", "/since"),
        ("until=", "/until"),
        ("since=2031-01-01T00:00:00Z", "/since"),
        ("since=2030-01-01T12:00:00Z&until=2030-01-01T12:00:00Z", "/since"),
        (f"since={(START - MAX_TIME).isoformat()[:10]}T11:59:59Z&every=604800", "/since"),
        (f"every=300&since={(START - timedelta(days=3)).isoformat()[:10]}", "/every"),
    ],
)
async def test_a_time_that_cannot_be_is_explained(api: Api, query: str, pointer: str) -> None:
    """With the parameter that is wrong."""
    response = await api.get(f"/api/rates?{query}")
    assert response.status_code == 422
    problem: dict[str, Any] = response.json()
    assert [each["pointer"] for each in problem["errors"]] == [pointer]


async def test_as_many_spans_as_there_can_be(api: Api) -> None:
    """And no more."""
    since = START - MAX_SPANS * timedelta(minutes=5)
    found = await api.read("/api/rates", f"every=300&since={since.isoformat()[:19]}Z")
    assert len(found) == MAX_SPANS
