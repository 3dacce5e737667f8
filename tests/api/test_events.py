"""`/api/events`: the stream of changes, as the API and the dashboard have it."""

import asyncio
from typing import Any

import httpx
import pytest

from booper.app import Booper
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser
from tests.support.streams import PATIENCE_SECONDS, Stream, connected, data_of

pytestmark = pytest.mark.anyio

PATH = "/api/events"


async def first_of(stream: Stream) -> Any:
    """Return the data of the first event, which comes at once."""
    await stream.start()
    assert await stream.block() == ": connected\n\n"
    return data_of(await stream.block())


async def test_a_stream_begins_with_the_numbers(booper: Booper, api: Api) -> None:
    """What changed before is not known: everything is to be read anew."""
    await api.create(schedule_in=3600)
    async with connected(booper.asgi, PATH) as stream:
        status, headers = await stream.start()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert "content-length" not in headers
        assert await stream.block() == ": connected\n\n"
        block = await stream.block()
    assert block.startswith("event: change\ndata: ")
    assert block.endswith("\n\n")
    assert data_of(block) == {
        "jobs": [],
        "schedules": [],
        "are_more": True,
        "counts": {
            "scheduled": 1,
            "executing": 0,
            "retryable": 0,
            "completed": 0,
            "discarded": 0,
            "cancelled": 0,
        },
    }


async def test_changes_come_as_ids_and_numbers(booper: Booper, api: Api) -> None:
    """Of the key's user alone, and never a row of the job itself."""
    async with connected(booper.asgi, PATH) as stream:
        await first_of(stream)
        job_id = await api.create_id(headers={"X-Secret": "hidden"})
        await booper.wait_idle()
        block = await stream.block()
        assert data_of(block)["jobs"] == [job_id]
        while data_of(block)["counts"]["completed"] == 0:  # it was sent between two items
            block = await stream.block()
            assert data_of(block)["jobs"] == [job_id]
        assert "hidden" not in block


async def test_another_users_changes_are_not_shown(booper: Booper, api: Api, admin: Api) -> None:
    """Their jobs cannot be named either."""
    made = await admin.act("/api/keys", {"name": "other", "user": "bob"})
    job_id = await api.create_id(schedule_in=3600)
    async with connected(booper.asgi, PATH, key=made["key"]) as stream:
        first = await first_of(stream)
        assert set(first["counts"].values()) == {0}
        await api.create(schedule_in=3600)
        headers = {"Authorization": f"Bearer {made['key']}"}
        own = await api.post("/api/jobs", json={"url": "https://target.test"}, headers=headers)
        assert data_of(await stream.block())["jobs"] == [own.json()["data"]["job_id"]]
    response = await api.get(f"{PATH}?job_id={job_id}", headers=headers)
    assert response.status_code == 404


@pytest.mark.parametrize("name", ["job_id", "id"])
async def test_one_job_is_named_by_its_number_or_its_uuid(
    booper: Booper, api: Api, name: str
) -> None:
    """Others are left out."""
    job = await api.create(schedule_in=3600)
    async with connected(booper.asgi, f"{PATH}?job_id={job[name]}&state=cancelled") as stream:
        await first_of(stream)
        await api.create(schedule_in=3600)
        await api.act(f"/api/jobs/{job['job_id']}/cancel")
        assert data_of(await stream.block())["jobs"] == [job["job_id"]]


WRONG = {
    "job_id=x": ("/job_id", "expected a job's number or UUID, got 'x'"),
    "job_id=-1": ("/job_id", "expected a job's number or UUID, got '-1'"),
    "schedule_id=7": ("/schedule_id", "expected a UUID, got '7'"),
    "state=done": ("/state", "expected one of scheduled, available"),
    "jobid=1": ("/jobid", "unknown parameter"),
    "job_id=1&job_id=2": ("/job_id", "must be given once, got 2"),
}


@pytest.mark.parametrize("query", WRONG)
async def test_what_is_wrong_is_refused_as_elsewhere(api: Api, query: str) -> None:
    """422, with each parameter and what would be right."""
    response = await api.get(f"{PATH}?{query}")
    assert response.status_code == 422
    [error] = response.json()["errors"]
    pointer, detail = WRONG[query]
    assert error["pointer"] == pointer
    assert error["detail"].startswith(detail)


@pytest.mark.parametrize("query", ["job_id=1", "schedule_id=01890000-0000-7000-8000-000000000000"])
async def test_what_is_not_there_cannot_be_watched(api: Api, query: str) -> None:
    """404, rather than a stream that stays silent."""
    assert (await api.get(f"{PATH}?{query}")).status_code == 404


async def test_head_of_the_stream_ends(api: Api) -> None:
    """It has the headers of the stream, without one."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        response = await api.head(PATH)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert "content-length" not in response.headers


async def test_a_stream_ends_with_its_key(booper: Booper, admin: Api) -> None:
    """At once, as the key is revoked."""
    made = await admin.act("/api/keys", {"name": "short-lived"})
    async with connected(booper.asgi, PATH, key=made["key"]) as stream:
        await first_of(stream)
        assert (await admin.delete(f"/api/keys/{made['id']}")).is_success
        assert await stream.block() == ""


async def test_a_stop_ends_streams_at_once(booper: Booper) -> None:
    """Whoever waits for connections to end waits for none of them."""
    async with connected(booper.asgi, PATH) as stream:
        await first_of(stream)
        await booper.drain()
        assert await stream.block() == ""


async def test_a_stream_wakes_no_loop(booper: Booper) -> None:
    """While nothing changes, the loop makes no turn for whoever listens."""
    await booper.wait_idle()
    turns = booper._holder.scheduler.turns
    async with connected(booper.asgi, PATH) as stream:
        before = turns._begun_at
        await first_of(stream)
        assert turns._begun_at == before


class TestDashboard:
    """`/events`, for whoever is signed in by a cookie."""

    async def test_it_is_the_same_stream(self, booper: Booper, browser: Browser, api: Api) -> None:
        """With the policy of the pages, and never stored."""
        await browser.sign_in(KEY)
        head = await browser.head("/events")
        assert head.headers["content-type"] == "text/event-stream"
        assert head.headers["cache-control"] == "no-cache, no-transform"
        assert "default-src 'none'" in head.headers["content-security-policy"]
        async with connected(booper.asgi, "/events", cookie=cookie_of(browser)) as stream:
            await first_of(stream)
            job_id = await api.create_id(schedule_in=3600)
            assert data_of(await stream.block())["jobs"] == [job_id]

    async def test_it_ends_as_its_session_does(self, booper: Booper, browser: Browser) -> None:
        """Whoever signs out hears nothing more."""
        await browser.sign_in(KEY)
        async with connected(booper.asgi, "/events", cookie=cookie_of(browser)) as stream:
            await first_of(stream)
            await browser.submit("/sign-out")
            assert await stream.block() == ""

    async def test_it_ends_as_the_key_of_its_session_does(
        self, booper: Booper, browser: Browser, admin: Api
    ) -> None:
        """At once."""
        made = await admin.act("/api/keys", {"name": "short-lived"})
        await browser.sign_in(made["key"])
        async with connected(booper.asgi, "/events", cookie=cookie_of(browser)) as stream:
            await first_of(stream)
            await admin.delete(f"/api/keys/{made['id']}")
            assert await stream.block() == ""

    async def test_a_wrong_filter_is_told(self, browser: Browser) -> None:
        """As on any page."""
        await browser.sign_in(KEY)
        response = await browser.get("/events?state=done")
        assert response.status_code == 422

    @pytest.fixture
    async def browser(self, booper: Booper) -> Any:
        """Return a browser that nobody has signed in with."""
        async with Browser(booper.asgi) as browser:
            yield browser


def cookie_of(browser: httpx.AsyncClient) -> str:
    """Return the cookies that a browser sends."""
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
