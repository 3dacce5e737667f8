"""What a run leaves to the next one, `$previous` and `$state`, and what a run carries of it."""

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.support.api import Api
from tests.support.programs import content_of, json_of
from tests.support.schedules import noon, pass_through, sent
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


async def test_state_that_is_too_large_is_refused_and_said(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A `$set` past 64 KiB leaves `$state` as it was and the run completed; the log says so."""
    small = httpx.Response(200, json={"$set": {"page": 1}})
    large = httpx.Response(200, json={"$set": {"page": 2, "more": "x" * 64 * 1024}})
    target.respond(small, large)
    await api.create(method="post", repeat_every=[1, "hour"])
    await pass_through(booper, clock, [noon(), noon(60), noon(120)])
    assert [json_of(request)["$state"] for request in target.received] == [
        {},
        {"page": 1},
        {"page": 1},
    ]
    (entry,) = await api.read("/api/logs?event=schedule.state_rejected")
    assert entry["job_id"] == int(target.received[1].headers["booper-job-id"])
    assert "65536" in entry["payload"]["reason"]
    states = {job["job"]["state"] for job in await api.read("/api/jobs?state=completed,discarded")}
    assert states == {"completed"}


async def test_disabling_loses_previous_and_keeps_state(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """After disable and enable `$previous` is `{}` again while `$state` is still there."""
    target.respond(httpx.Response(200, json={"sent": [1], "$set": {"page": 1}}))
    resource = await api.create(method="post", repeat_every=[1, "hour"])
    schedule = f"/api/schedules/{resource['schedule_id']}"
    await booper.wait_idle()
    await api.act(f"{schedule}/disable")
    await api.act(f"{schedule}/enable")
    await pass_through(booper, clock, [noon(60)])
    body = json_of(target.received[1])
    assert (body["$previous"], body["$state"]) == ({}, {"page": 1})


async def test_only_a_completed_run_leaves_something_behind(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A 500 with JSON changes neither `$previous` nor `$state`; a 200 without JSON is `{}`."""
    target.respond(
        httpx.Response(200, json={"n": 1, "$set": {"n": 1}}),
        httpx.Response(500, json={"n": 2, "$set": {"n": 2}}),
        httpx.Response(200, text="fine"),
    )
    await api.create(method="post", repeat_every=[1, "hour"], max_attempts=1)
    await pass_through(booper, clock, [noon(60 * n) for n in range(4)])
    bodies = [json_of(request) for request in target.received]
    answered = {"n": 1, "$set": {"n": 1}}
    assert [body["$previous"] for body in bodies] == [{}, answered, answered, {}]
    assert [body["$state"] for body in bodies] == [{}, {"n": 1}, {"n": 1}, {"n": 1}]


async def test_references_are_replaced_at_any_depth_with_their_types(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Arrays stay arrays, a missing path is null, `$$` is a dollar, other text stays."""
    target.respond(httpx.Response(200, json={"ids": [1, 2], "user": {"name": "Jane"}}))
    await api.create(
        method="put",
        body={
            "all": "$previous.ids",
            "deep": [{"second": "$previous.ids.1", "name": "$previous.user.name"}],
            "missing": "$previous.nothing.here",
            "price": "$$5",
            "text": "see $previous.ids",
        },
        repeat_every=[1, "hour"],
        metadata=False,
    )
    await pass_through(booper, clock, [noon(), noon(60)])
    first, second = map(json_of, target.received)
    fixed = {"missing": None, "price": "$5", "text": "see $previous.ids"}
    assert first == {"all": None, "deep": [{"second": None, "name": None}], **fixed}
    assert second == {"all": [1, 2], "deep": [{"second": 2, "name": "Jane"}], **fixed}


async def test_references_work_in_query_and_headers(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """What is not there is left out; what is goes as text, a list as one parameter per item."""
    response = {"cursor": "a b", "$set": {"ids": [1, 2], "token": "t"}}
    target.respond(httpx.Response(200, json=response))
    await api.create(
        query={"cursor": "$previous.cursor", "id": "$state.ids", "limit": 5},
        headers={"X-Token": "$state.token", "X-Price": "$$5"},
        repeat_every=[1, "hour"],
    )
    await pass_through(booper, clock, [noon(), noon(60)])
    first, second = target.received
    assert first.url.params.multi_items() == [("limit", "5")]
    assert second.url.params.multi_items() == [
        ("cursor", "a b"),
        ("id", "1"),
        ("id", "2"),
        ("limit", "5"),
    ]
    assert ("x-token" in first.headers, second.headers["x-token"]) == (False, "t")
    assert first.headers["x-price"] == "$5"


@pytest.mark.parametrize("method", ["get", "delete"])
async def test_a_get_or_delete_without_a_body_gets_none(
    booper: Booper, api: Api, target: FakeTarget, method: str
) -> None:
    """There is nowhere for metadata then; with a configured body there is."""
    await api.create(method=method, repeat_every=[1, "hour"])
    await api.create(method=method, body={"a": 1}, repeat_every=[1, "hour"])
    await booper.wait_idle()
    bare, full = sorted(target.received, key=lambda request: len(content_of(request)))
    assert content_of(bare) == b""
    assert json_of(full).keys() == {"a", "$job", "$previous", "$state"}


async def test_a_post_without_a_body_carries_the_metadata_alone(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """An absent body counts as `{}`; `$job` is this run's own state."""
    resource = await api.create(method="post", repeat_every=[1, "hour"])
    await booper.wait_idle()
    (request,) = target.received
    body = json_of(request)
    assert body.keys() == {"$job", "$previous", "$state"}
    assert (body["$previous"], body["$state"]) == ({}, {})
    assert body["$job"]["id"] == resource["job_id"]
    assert body["$job"]["state"] == "executing"
    assert body["$job"].keys() == resource["job"].keys()


async def test_a_one_off_job_carries_its_body_as_it_is(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Without a schedule there are no metadata and nothing that a `$` could refer to."""
    await api.create(method="post", body={"a": "$previous.a", "b": "$$"})
    await booper.wait_idle()
    assert json_of(target.received[0]) == {"a": "$previous.a", "b": "$$"}


async def test_a_request_that_cannot_be_built_is_discarded_with_the_reason(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A line break that a target answered cannot go into a header; nothing is sent then."""
    target.respond(httpx.Response(200, json={"token": "a\r\nX-Evil: 1"}))
    resource = await api.create(headers={"X-Token": "$previous.token"}, repeat_every=[1, "hour"])
    await pass_through(booper, clock, [noon(), noon(60)])
    assert sent(target) == [noon()]
    (run,) = await api.read("/api/jobs?state=discarded")
    assert (run["schedule_id"], run["job"]["attempt"]) == (resource["schedule_id"], 1)
    assert "X-Token" in run["job"]["last_error"]
    (entry,) = await api.read(f"/api/logs?job_id={run['job_id']}")
    assert (entry["event"], entry["payload"]["error"]) == ("worker.http.error", "refused")
