"""Idempotency keys to the letter: who holds one, for how long, and what a conflict does (§5)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Server
from booper.model.duration import Duration
from tests.conftest import KEY as TEST_KEY
from tests.support.api import URL, Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

OTHER = "https://other.test/hook"
KEY: dict[str, object] = {"idempotency_key": "k"}
LATER: dict[str, object] = {"schedule_in": [1, "hour"]}
HOURLY: dict[str, object] = {"repeat_every": [1, "hour"], "schedule_in": 60}

CONFLICTS = ["ignore", "replace", "reject"]


async def post(api: Api, **fields: object) -> httpx.Response:
    """Post a create with the key `k`."""
    return await api.post("/api/jobs", json={"url": URL, **KEY, **fields})


async def create_keyed(api: Api, **fields: object) -> Any:
    """Create something new with the key `k` and return its resource."""
    response = await post(api, **fields)
    assert response.status_code == 201, response.text
    assert response.json()["data"]["job"]["has_confict"] is False
    return response.json()["data"]


async def duplicate(api: Api, **fields: object) -> Any:
    """Post a create that finds its key taken, and return the resource it got."""
    response = await post(api, **fields)
    assert response.status_code == 200, response.text
    assert "location" not in response.headers
    return response.json()["data"]


async def conflict(api: Api, **fields: object) -> str:
    """Post a create that is refused with 409, and return what that says."""
    response = await post(api, **fields)
    assert response.status_code == 409, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 409
    return str(response.json()["detail"])


async def read(api: Api, number: int) -> Any:
    """Return a job's resource."""
    response = await api.get(f"/api/jobs/{number}")
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def count(api: Api) -> int:
    """Return how many jobs there are."""
    return len((await api.get("/api/jobs?limit=100")).json()["data"])


async def schedules(api: Api) -> list[Any]:
    """Return the schedules."""
    found: list[Any] = (await api.get("/api/schedules")).json()["data"]
    return found


async def arrivals(target: FakeTarget, wanted: int) -> None:
    """Return when that many requests have reached the target."""
    while len(target.received) < wanted:
        target.arrived.clear()
        await target.arrived.wait()


async def reach(state: str, api: Api, booper: Booper, target: FakeTarget, **fields: object) -> Any:
    """Move a job that holds the key to a state, and return its resource."""
    script = {"retryable": 500, "completed": 200, "discarded": 410}
    if state in script:
        target.respond(httpx.Response(script[state]))
    if state == "available":  # 16 of one host are in flight at most (§12): it waits for a slot
        target.hold()
        for _ in range(16):
            await api.post("/api/jobs", json={"url": URL})
        await arrivals(target, 16)
    if state == "executing":
        target.hold()
    wait = LATER if state in ("scheduled", "cancelled") else {}
    job = await create_keyed(api, **wait, **fields)
    if state == "executing":
        await arrivals(target, 1)
    elif state == "cancelled":
        await api.delete(f"/api/jobs/{job['job_id']}")
    elif state in script:
        await booper.wait_idle()
    found = await read(api, job["job_id"])
    assert found["job"]["state"] == state
    return found


# Jobs, by state.


@pytest.mark.parametrize("state", ["scheduled", "available", "executing", "retryable"])
async def test_an_unfinished_job_holds_its_key(
    api: Api, booper: Booper, target: FakeTarget, state: str
) -> None:
    """Every later create is ignored: 200, the first job's resource, `has_confict` true."""
    first = await reach(state, api, booper, target)
    before = await count(api)
    data = await duplicate(api, method="post", body={"other": True}, name="other")
    target.release()
    assert data["job"].pop("has_confict") is True
    assert first["job"].pop("has_confict") is False
    assert data == first
    assert await count(api) == before


@pytest.mark.parametrize("state", ["completed", "discarded", "cancelled"])
@pytest.mark.parametrize("on_conflict", CONFLICTS)
async def test_a_finished_job_frees_its_key(
    api: Api, booper: Booper, target: FakeTarget, state: str, on_conflict: str
) -> None:
    """After the end the key makes a new job, whatever `on_conflict` says."""
    first = await reach(state, api, booper, target)
    second = await create_keyed(api, **LATER, on_conflict=on_conflict)
    assert second["id"] != first["id"]
    assert (await read(api, first["job_id"]))["job"] == first["job"]


async def test_the_same_key_makes_one_job_after_another(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """The key is free each time its job has ended, and held each time anew."""
    for _ in range(3):
        await create_keyed(api)
        await booper.wait_idle()
    await create_keyed(api, **LATER)
    await duplicate(api)
    assert (len(target.received), await count(api)) == (3, 4)


async def test_cancelling_an_executing_job_frees_its_key_at_once(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """The state is `cancelled` though the request is still on its way."""
    first = await reach("executing", api, booper, target)
    await api.post(f"/api/jobs/{first['job_id']}/cancel")
    await create_keyed(api, **LATER)
    target.release()


async def test_fifty_simultaneous_creates_make_one_job(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """Of fifty equal creates one is 201, and all responses show the one job."""
    responses = await asyncio.gather(*(post(api, **LATER) for _ in range(50)))
    assert sorted(response.status_code for response in responses) == [200] * 49 + [201]
    assert len({response.json()["data"]["id"] for response in responses}) == 1
    assert await count(api) == 1


@pytest.mark.parametrize("on_conflict", ["replace", "reject"])
async def test_fifty_simultaneous_creates_make_one_job_in_other_ways_too(
    api: Api, on_conflict: str
) -> None:
    """`reject` refuses the other 49; `replace` changes the one job 49 times."""
    responses = await asyncio.gather(
        *(post(api, **LATER, on_conflict=on_conflict) for _ in range(50))
    )
    others = {"replace": 200, "reject": 409}[on_conflict]
    assert sorted(response.status_code for response in responses) == sorted([others] * 49 + [201])
    assert await count(api) == 1


async def test_fifty_simultaneous_recurring_creates_make_one_schedule(
    api: Api,
) -> None:
    """A redeploy of fifty programs adds one schedule with one waiting run."""
    responses = await asyncio.gather(*(post(api, **HOURLY) for _ in range(50)))
    assert sorted(response.status_code for response in responses) == [200] * 49 + [201]
    assert len({response.json()["data"]["schedule_id"] for response in responses}) == 1
    assert (len(await schedules(api)), await count(api)) == (1, 1)


async def test_a_duplicate_is_checked_all_the_same(api: Api) -> None:
    """A wrong field is 422, key or not: the mistake would show only once the key is free."""
    await create_keyed(api, **LATER)
    assert (await post(api, method="fetch")).status_code == 422


async def test_users_hold_keys_of_their_own(api: Api, admin: Api) -> None:
    """The same key of another user is another key, for jobs and for schedules."""
    response = await admin.post("/api/keys", json={"name": "second", "user": "somebody else"})
    theirs = {"Authorization": f"Bearer {response.json()['data']['key']}"}
    await create_keyed(api, **LATER)
    for fields, status in [(LATER, 201), (HOURLY, 200)]:
        response = await api.post("/api/jobs", json={"url": URL, **KEY, **fields}, headers=theirs)
        assert response.status_code == status
    assert await schedules(api) == []


# on_conflict.


async def test_ignoring_is_the_default(api: Api) -> None:
    """`on_conflict: ignore` is what happens without it (§3)."""
    first = await create_keyed(api, **LATER)
    for fields in ({}, {"on_conflict": "ignore"}, {"on_conflict": None}):
        assert (await duplicate(api, **fields))["id"] == first["id"]
    assert (await read(api, first["job_id"]))["args"] == first["args"]


@pytest.mark.parametrize("state", ["scheduled", "available", "executing", "retryable"])
async def test_a_taken_key_is_rejected_when_asked(
    api: Api, booper: Booper, target: FakeTarget, state: str
) -> None:
    """`on_conflict: reject` is 409 and names what holds the key."""
    first = await reach(state, api, booper, target)
    detail = await conflict(api, on_conflict="reject")
    after = await read(api, first["job_id"])
    target.release()
    assert str(first["job_id"]) in detail
    assert after == first


async def test_replacing_changes_the_waiting_job_in_its_place(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """`on_conflict: replace` keeps both ids; all the rest is the new create's."""
    first = await create_keyed(
        api, **LATER, method="post", body={"old": 1}, name="old", tags=["old"]
    )
    fields: dict[str, object] = {
        "url": OTHER,
        "method": "put",
        "body": {"new": 2},
        "description": "new",
        "schedule_in": [2, "hours"],
        "max_attempts": 3,
        "tags": ["new"],
        "on_conflict": "replace",
    }
    data = await duplicate(api, **fields)
    assert (data["id"], data["job_id"]) == (first["id"], first["job_id"])
    assert data["args"] == {**KEY, **fields}
    assert (data["name"], data["description"]) == (None, "new")
    assert data["job"]["scheduled_at"] == "2030-01-01T14:00:00.000000Z"
    assert data["job"]["max_attempts"] == 3
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    assert target.received == []
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    [sent] = target.received
    assert (sent.method, str(sent.url), json.loads(sent.read())) == ("PUT", OTHER, {"new": 2})
    assert sent.headers["booper-scheduled-at"] == "2030-01-01T14:00:00.000000Z"
    assert await count(api) == 1


async def test_a_replaced_job_may_come_earlier(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """A replacement without a time is due now."""
    await create_keyed(api, **LATER)
    await duplicate(api, on_conflict="replace")
    await booper.wait_idle()
    assert len(target.received) == 1


async def test_a_replaced_jobs_tags_are_the_new_ones(api: Api) -> None:
    """Filters find the job by the tags it has now."""
    first = await create_keyed(api, **LATER, tags=["old", "kept"])
    await duplicate(api, **LATER, tags=["new", "kept"], on_conflict="replace")

    async def tagged(tag: str) -> list[int]:
        found = (await api.get(f"/api/jobs?tag={tag}")).json()["data"]
        return [each["job_id"] for each in found]

    assert [await tagged(tag) for tag in ("old", "new", "kept")] == [
        [],
        [first["job_id"]],
        [first["job_id"]],
    ]


async def test_a_job_between_attempts_is_replaced(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """A retryable job waits too: its next attempt is the new request, at the new time."""
    first = await reach("retryable", api, booper, target)
    data = await duplicate(api, url=OTHER, schedule_in=60, on_conflict="replace")
    assert data["id"] == first["id"]
    assert data["job"]["scheduled_at"] == "2030-01-01T12:01:00.000000Z"
    clock.advance(timedelta(minutes=1))
    await booper.wait_idle()
    assert [str(request.url) for request in target.received] == [URL, OTHER]


async def test_an_executing_job_is_not_replaced(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """`replace` while executing is 409 (§1), and the job goes on."""
    first = await reach("executing", api, booper, target)
    detail = await conflict(api, url=OTHER, on_conflict="replace")
    assert "executing" in detail
    target.release()
    await booper.wait_idle()
    after = await read(api, first["job_id"])
    assert (after["job"]["state"], after["args"]) == ("completed", first["args"])


@pytest.mark.parametrize(("old", "new"), [(LATER, HOURLY), (HOURLY, LATER)])
async def test_a_job_and_a_schedule_do_not_replace_each_other(
    api: Api, old: dict[str, object], new: dict[str, object]
) -> None:
    """One kind cannot take the other's place and keep its id: 409, and nothing changes."""
    first = await create_keyed(api, **old)
    await conflict(api, **new, on_conflict="replace")
    assert await read(api, first["job_id"]) == first
    assert await count(api) == 1


async def test_a_replacement_hides_secrets_as_any_later_answer_does(
    api: Api,
) -> None:
    """Only a create of one's own shows a secret; the job may have been another program's (§4)."""
    await create_keyed(api, **LATER, headers={"Authorization": "Bearer hidden"})
    assert "hidden" not in (await post(api, **LATER)).text


# idempotency_ttl.


@pytest.mark.parametrize("state", ["completed", "discarded"])
async def test_a_ttl_keeps_the_key_taken_after_the_end(
    api: Api,
    booper: Booper,
    clock: VirtualClock,
    target: FakeTarget,
    state: str,
) -> None:
    """For `idempotency_ttl` from the create on the key is taken, then free."""
    first = await reach(state, api, booper, target, idempotency_ttl=[1, "day"])
    clock.advance(timedelta(days=1) - timedelta(microseconds=1))
    data = await duplicate(api)
    assert (data["id"], data["job"]["state"]) == (first["id"], state)
    assert data["job"]["has_confict"] is True
    await conflict(api, on_conflict="reject")
    clock.advance(timedelta(microseconds=1))
    assert (await create_keyed(api))["id"] != first["id"]


async def test_a_ttl_counts_from_the_create_not_from_the_end(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """A job that waited for half of it leaves the key taken for the other half alone."""
    await create_keyed(api, schedule_in=[30, "minutes"], idempotency_ttl=[1, "hour"])
    clock.advance(timedelta(minutes=30))
    await booper.wait_idle()
    clock.advance(timedelta(minutes=29))
    await duplicate(api, **LATER)
    clock.advance(timedelta(minutes=1))
    await create_keyed(api, **LATER)


async def test_a_ttl_that_is_over_does_not_free_an_unfinished_jobs_key(
    api: Api, clock: VirtualClock
) -> None:
    """The ttl lengthens the hold, it never shortens it."""
    await create_keyed(api, schedule_in=[2, "hours"], idempotency_ttl=60)
    clock.advance(timedelta(hours=1))
    await duplicate(api)


async def test_cancelling_frees_a_key_with_a_ttl(api: Api) -> None:
    """Cancelling frees the key, whatever the ttl."""
    first = await create_keyed(api, **LATER, idempotency_ttl=[1, "day"])
    await api.delete(f"/api/jobs/{first['job_id']}")
    await create_keyed(api, **LATER)


async def test_the_ttl_is_the_first_jobs(api: Api, booper: Booper, clock: VirtualClock) -> None:
    """The job asked for it: the ttl of an ignored create changes nothing."""
    await create_keyed(api, **LATER)
    await duplicate(api, idempotency_ttl=[1, "day"])
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    await create_keyed(api, **LATER)


async def test_a_replacement_brings_its_own_ttl(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """Everything but the id is the new create's, its ttl too."""
    first = await create_keyed(api, **LATER)
    await duplicate(api, **LATER, idempotency_ttl=[1, "day"], on_conflict="replace")
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    assert (await duplicate(api))["id"] == first["id"]


async def test_a_finished_job_with_a_ttl_is_not_replaced(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """`replace` changes what waits; what has run cannot be changed any more: 409."""
    first = await reach("completed", api, booper, target, idempotency_ttl=[1, "day"])
    await conflict(api, on_conflict="replace")
    assert await read(api, first["job_id"]) == first


# The server's own idempotency_ttl.


@asynccontextmanager
async def served(
    config: Config, clock: VirtualClock, target: FakeTarget, ttl: Duration
) -> AsyncIterator[tuple[Booper, Api]]:
    """Run a booper whose `[server] idempotency_ttl` is this, and a client of it."""
    config = replace(config, server=Server(idempotency_ttl=ttl))
    booper = Booper(config, api_key=TEST_KEY, clock=clock, transport=target)
    async with (
        booper,
        Api(booper.asgi, TEST_KEY) as api,
    ):
        yield booper, api


@pytest.mark.parametrize("ttl", [3_600, (1, "hour"), (60, "minutes")])
async def test_the_servers_ttl_keeps_every_key_taken(
    config: Config, clock: VirtualClock, target: FakeTarget, ttl: Duration
) -> None:
    """Of a create, of one in a batch, and of one of the program around booper."""
    async with served(config, clock, target, ttl) as (booper, api):
        await create_keyed(api)
        batch = {"jobs": [{"url": URL, "idempotency_key": "batched"}]}
        await api.post("/api/jobs/batch", json=batch)
        own = await booper.jobs.create(url=URL, idempotency_key="own")
        await booper.wait_idle()
        clock.advance(timedelta(minutes=59, seconds=59))
        assert (await duplicate(api))["job"]["state"] == "completed"
        [again] = (await api.post("/api/jobs/batch", json=batch)).json()["data"]
        assert again["status"] == 200
        assert (await booper.jobs.create(url=URL, idempotency_key="own")).id == own.id
        clock.advance(timedelta(seconds=1))
        await create_keyed(api)
        [anew] = (await api.post("/api/jobs/batch", json=batch)).json()["data"]
        assert anew["status"] == 201
        assert (await booper.jobs.create(url=URL, idempotency_key="own")).id != own.id


@pytest.mark.parametrize(("own", "is_taken"), [(0, False), (60, False), ([1, "day"], True)])
async def test_a_jobs_own_ttl_goes_over_the_servers(
    config: Config, clock: VirtualClock, target: FakeTarget, own: object, is_taken: bool
) -> None:
    """Longer, shorter, or none."""
    async with served(config, clock, target, (1, "hour")) as (booper, api):
        await create_keyed(api, idempotency_ttl=own)
        await booper.wait_idle()
        for minutes in (2, 118):
            clock.advance(timedelta(minutes=minutes))
            response = await api.post("/api/jobs?dry_run=true", json={"url": URL, **KEY})
            assert (response.json()["data"]["conflict"] is not None) is is_taken


async def test_the_servers_ttl_is_nothing_to_jobs_without_a_key(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """There is nothing to keep."""
    async with served(config, clock, target, (1, "hour")) as (_, api):
        for _ in range(2):
            assert (await api.post("/api/jobs", json={"url": URL})).status_code == 201


# Schedules.


async def test_a_schedule_holds_its_key_between_runs(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """The key belongs to the schedule: posting it again adds nothing, run after run."""
    first = await create_keyed(api, **HOURLY)
    for _ in range(3):
        clock.advance(timedelta(hours=1))
        await booper.wait_idle()
        data = await duplicate(api, **HOURLY)
        assert data["schedule_id"] == first["schedule_id"]
        assert data["job"]["has_confict"] is True
        assert data["job"]["state"] == "scheduled"
    assert len(await schedules(api)) == 1
    assert len(target.received) == 3


async def test_a_schedules_key_keeps_one_offs_out(api: Api) -> None:
    """Whatever is posted with the key is a duplicate while the schedule has it."""
    first = await create_keyed(api, **HOURLY)
    assert (await duplicate(api, **LATER))["schedule_id"] == first["schedule_id"]
    await conflict(api, **LATER, on_conflict="reject")
    assert await count(api) == 1


async def test_cancelling_a_run_does_not_free_the_schedules_key(api: Api) -> None:
    """A run is not the schedule: its key stays taken, and the next run waits."""
    first = await create_keyed(api, **HOURLY)
    await api.delete(f"/api/jobs/{first['job_id']}")
    data = await duplicate(api, **HOURLY)
    assert data["schedule_id"] == first["schedule_id"]
    assert data["job"]["scheduled_at"] == "2030-01-01T13:01:00.000000Z"


async def test_a_disabled_schedule_holds_its_key(api: Api) -> None:
    """Until it is deleted or has ended: being disabled is neither."""
    first = await create_keyed(api, **HOURLY)
    await api.post(f"/api/schedules/{first['schedule_id']}/disable")
    assert (await duplicate(api, **HOURLY))["schedule_id"] == first["schedule_id"]
    assert len(await schedules(api)) == 1


async def test_deleting_a_schedule_frees_its_key(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """Also while past runs of it are listed under the same key."""
    first = await create_keyed(api, **HOURLY)
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    await api.delete(f"/api/schedules/{first['schedule_id']}")
    second = await create_keyed(api, **HOURLY)
    assert second["schedule_id"] != first["schedule_id"]


@pytest.mark.parametrize(
    "bound", [{"max_runs": 2}, {"ends_at": "2030-01-01T14:00:00Z"}], ids=["runs", "end"]
)
async def test_an_ended_schedule_frees_its_key(
    api: Api, booper: Booper, clock: VirtualClock, bound: dict[str, object]
) -> None:
    """After its last run (12:01 and 13:01) the key is free again."""
    first = await create_keyed(api, **HOURLY, **bound)
    for _ in range(2):
        await duplicate(api, **HOURLY)
        clock.advance(timedelta(hours=1))
        await booper.wait_idle()
    second = await create_keyed(api, **HOURLY)
    assert second["schedule_id"] != first["schedule_id"]


async def test_replacing_a_schedule_keeps_its_id_and_its_state(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """A redeploy with `replace` changes the request and keeps the id and `$state`."""
    target.respond(httpx.Response(200, json={"$set": {"sent": [1, 2]}}))
    first = await create_keyed(api, **HOURLY, method="post", body={"old": 1}, name="old")
    clock.advance(timedelta(minutes=1))
    await booper.wait_idle()
    data = await duplicate(
        api, **HOURLY, url=OTHER, method="put", body={"new": "$state.sent"}, on_conflict="replace"
    )
    assert data["schedule_id"] == first["schedule_id"]
    assert data["args"]["body"] == {"new": "$state.sent"}
    [schedule] = await schedules(api)
    assert (schedule["id"], schedule["name"]) == (first["schedule_id"], None)
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    sent = target.received[-1]
    assert (sent.method, str(sent.url)) == ("PUT", OTHER)
    body = json.loads(sent.read())
    assert (body["new"], body["$state"]) == ([1, 2], {"sent": [1, 2]})


async def test_replacing_a_schedule_with_itself_does_not_run_it(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """The same timing keeps its grid: a redeploy at 12:30 neither runs it nor moves 13:01."""
    await create_keyed(api, **HOURLY)
    clock.advance(timedelta(minutes=30))
    await booper.wait_idle()
    data = await duplicate(api, **HOURLY, on_conflict="replace")
    await booper.wait_idle()
    assert len(target.received) == 1
    assert data["job"]["scheduled_at"] == "2030-01-01T13:01:00.000000Z"


async def test_replacing_a_schedules_timing_plans_it_anew(api: Api, clock: VirtualClock) -> None:
    """Another interval begins as the new create says, and only one run waits."""
    first = await create_keyed(api, **HOURLY)
    clock.advance(timedelta(seconds=30))
    data = await duplicate(api, repeat_every=600, schedule_in=[5, "minutes"], on_conflict="replace")
    assert data["schedule_id"] == first["schedule_id"]
    # 12:00:30 and five minutes.
    assert data["job"]["scheduled_at"] == "2030-01-01T12:05:30.000000Z"
    waiting = (await api.get("/api/jobs?state=scheduled")).json()["data"]
    assert [each["job_id"] for each in waiting] == [data["job_id"]]


async def test_a_schedule_is_replaced_while_a_run_of_it_executes(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """The run that is on its way ends as it began; the waiting one is the new request."""
    target.hold()
    await create_keyed(api, repeat_every=[1, "hour"])
    await arrivals(target, 1)
    await duplicate(api, repeat_every=[1, "hour"], url=OTHER, on_conflict="replace")
    target.release()
    await booper.wait_idle()
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    assert [str(request.url) for request in target.received] == [URL, OTHER]


async def test_a_disabled_schedule_is_replaced_and_stays_disabled(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Whoever disabled it did so on purpose; a redeploy does not undo that."""
    first = await create_keyed(api, **HOURLY)
    await api.post(f"/api/schedules/{first['schedule_id']}/disable")
    await duplicate(api, **HOURLY, url=OTHER, on_conflict="replace")
    clock.advance(timedelta(hours=2))
    await booper.wait_idle()
    assert target.received == []
    [schedule] = await schedules(api)
    assert (schedule["disabled_at"], schedule["args"]["url"]) == ("2030-01-01T12:00:00Z", OTHER)


async def test_extra_runs_do_not_meet_their_own_schedules_key(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """`POST …/run` beside the waiting run is no duplicate of it."""
    first = await create_keyed(api, **HOURLY)
    for _ in range(2):
        response = await api.post(f"/api/schedules/{first['schedule_id']}/run")
        assert response.status_code == 201
    await booper.wait_idle()
    assert len(target.received) == 2


async def test_a_rejected_schedule_leaves_nothing_behind(api: Api) -> None:
    """A refused create stores neither a schedule nor a run."""
    first = await create_keyed(api, **HOURLY)
    detail = await conflict(api, **HOURLY, on_conflict="reject")
    assert first["schedule_id"] in detail
    assert (len(await schedules(api)), await count(api)) == (1, 1)


async def test_keys_hold_over_a_restart(api: Api, booper: Booper) -> None:
    """What holds a key is in the database, not in memory."""
    first = await create_keyed(api, **LATER)
    await booper.__aexit__(None, None, None)
    async with booper:
        assert (await duplicate(api))["id"] == first["id"]
