"""`/api/audit`: who changed what, and when; and the timelines that read it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import START
from tests.support.api import Api
from tests.support.schedules import wire
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

Change = Callable[[Api], Awaitable[object]]
MINUTE = timedelta(minutes=1)
KEY_NAME = "BOOPER_API_KEY"


async def entries(admin: Api) -> list[dict[str, Any]]:
    """Return the whole audit, oldest first, without the key that the start made."""
    found = await admin.read("/api/audit", "limit=100&order_by=at,asc")
    return [one for one in found if one["action"] != "key.create" or one["key_id"]]


@pytest.fixture
async def prepared(booper: Booper, api: Api, target: FakeTarget) -> Api:
    """Return the client of a booper with job 1 waiting, job 2 cancelled, schedule `s` (run 3)."""
    await api.create(schedule_in=3600, tags=["nightly"], idempotency_key="k")
    await api.act(f"/api/jobs/{await api.create_id(schedule_in=3600)}/cancel")
    await api.create(cron="0 * * * *", name="s", idempotency_key="s")
    return api


async def schedule_path(api: Api) -> str:
    """Return the path of the one schedule."""
    (schedule,) = await api.read("/api/schedules")
    return f"/api/schedules/{schedule['id']}"


async def on_schedule(api: Api, act: str) -> object:
    """Post to a part of the one schedule."""
    return await api.act(f"{await schedule_path(api)}/{act}")


async def change_schedule(api: Api) -> None:
    """Change when the one schedule runs."""
    response = await api.patch(await schedule_path(api), json={"cron": "5 * * * *"})
    assert response.status_code == 200, response.text


async def delete_schedule(api: Api) -> None:
    """Delete the one schedule."""
    assert (await api.delete(await schedule_path(api))).status_code == 204


async def set_state(api: Api) -> None:
    """Replace the `$state` of the only schedule."""
    response = await api.put(f"{await schedule_path(api)}/state", json={"n": 1})
    assert response.status_code == 200, response.text


async def replace(api: Api, **fields: object) -> None:
    """Replace what holds a key."""
    given = {"url": "https://target.test/other", "on_conflict": "replace", **fields}
    assert (await api.post("/api/jobs", json=given)).status_code == 200


CHANGES: dict[str, tuple[Change, str, int, dict[str, Any]]] = {
    "job.cancel": (lambda api: api.act("/api/jobs/1/cancel"), "job", 1, {}),
    "job.retry": (lambda api: api.act("/api/jobs/2/retry"), "job", 1, {}),
    "job.run": (lambda api: api.act("/api/jobs/1/run"), "job", 1, {}),
    "job.replace": (lambda api: replace(api, idempotency_key="k"), "job", 1, {}),
    "jobs.cancel": (
        lambda api: api.act("/api/jobs/cancel", {"filter": {"tag": "nightly"}}),
        "jobs",
        1,
        {"filter": {"tag": "nightly"}},
    ),
    "jobs.retry": (
        lambda api: api.act("/api/jobs/retry", {"filter": {"state": ["cancelled"]}}),
        "jobs",
        1,
        {"filter": {"states": ["cancelled"]}},
    ),
    "jobs.run": (
        lambda api: api.act("/api/jobs/run", {"filter": {"tag": "nightly"}}),
        "jobs",
        1,
        {"filter": {"tag": "nightly"}},
    ),
    "schedule.change": (change_schedule, "schedule", 1, {"fields": ["cron"]}),
    "schedule.disable": (lambda api: on_schedule(api, "disable"), "schedule", 1, {}),
    "schedule.run": (lambda api: on_schedule(api, "run"), "schedule", 1, {}),
    "schedule.state": (set_state, "schedule", 0, {}),
    "schedule.delete": (delete_schedule, "schedule", 1, {}),
    "pause": (lambda api: api.act("/api/pause", {"host": "a.test"}), "target", 0, {}),
    "key.create": (
        lambda api: api.act("/api/keys", {"name": "deploy", "scope": "read"}),
        "key",
        0,
        {"name": "deploy", "scope": "read"},
    ),
}
"""By action: a change, the kind of its object, how many jobs it changes, and its detail."""


@pytest.mark.parametrize("action", CHANGES)
async def test_a_change_is_one_entry_with_its_key_and_its_time(
    action: str, prepared: Api, admin: Api, clock: VirtualClock
) -> None:
    """It is written once, with what was changed; the creates before it are not in the audit."""
    act, kind, jobs, detail = CHANGES[action]
    clock.advance(MINUTE)
    await act(prepared)
    first, *found = await entries(admin)
    assert first["action"] == "job.cancel"
    assert first["at"] == wire(START)
    (entry,) = found
    assert (entry["action"], entry["kind"], entry["jobs"]) == (action, kind, jobs)
    assert (entry["key_name"], entry["at"]) == (KEY_NAME, wire(START + MINUTE))
    assert entry["detail"] == detail


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/api/pause", "/api/resume"),
        ("schedule.disable", "schedule.enable"),
        ("key.create", "key.revoke"),
    ],
)
async def test_a_change_and_its_reverse_are_two_entries(
    first: str, second: str, prepared: Api, admin: Api
) -> None:
    """A second change of the same is none: no entry is written for it."""
    for _ in range(2):
        if first == "/api/pause":
            await prepared.act(first)
        elif first == "schedule.disable":
            await on_schedule(prepared, "disable")
    if first == "key.create":
        made = await prepared.act("/api/keys", {"name": "deploy"})
    for _ in range(2):
        if second == "/api/resume":
            await prepared.act(second)
        elif second == "schedule.enable":
            await on_schedule(prepared, "enable")
        else:
            await prepared.delete(f"/api/keys/{made['id']}")
    actions = [one["action"] for one in (await entries(admin))[1:]]
    assert actions == [first.removeprefix("/api/"), second.removeprefix("/api/")]


@pytest.mark.parametrize(
    "path", ["/api/jobs/2/cancel", "/api/jobs/1/retry", "/api/jobs/2/run", "/api/jobs/99/cancel"]
)
async def test_what_changes_nothing_leaves_no_entry(path: str, prepared: Api, admin: Api) -> None:
    """A finished job is not cancelled, and what is refused is undone with its entry."""
    before = await entries(admin)
    await prepared.post(path)
    await prepared.post("/api/jobs/cancel", json={"all": True, "dry_run": True})
    assert await entries(admin) == before


async def test_a_change_of_many_jobs_is_one_entry(api: Api, admin: Api) -> None:
    """250 jobs are cancelled in three transactions, of at most 100 each."""
    jobs = [{"url": "https://target.test/", "schedule_in": 3600}] * 250
    assert (await api.post("/api/jobs/batch", json={"jobs": jobs})).status_code == 201
    await api.act("/api/jobs/cancel", {"all": True})
    (entry,) = await entries(admin)
    assert (entry["action"], entry["object"], entry["jobs"]) == ("jobs.cancel", None, 250)
    for job_id in (1, 250):
        *_, last = await api.read(f"/api/jobs/{job_id}/timeline")
        assert last["event"] == "cancelled"
        assert last["text"].startswith(f"cancelled by the key {KEY_NAME}")


async def test_without_a_key_the_administrator_is_named(api: Api, admin: Api) -> None:
    """Whoever can open the socket beside the database needs no key."""
    await api.create(cron="0 * * * *")
    await admin.act("/api/pause")
    (entry,) = await entries(admin)
    assert (entry["key_id"], entry["key_name"], entry["object"]) == (None, None, "*")


async def test_the_audit_is_read_page_by_page(api: Api, admin: Api) -> None:
    """Newest first by default, each entry once."""
    for number in range(5):
        await api.act("/api/pause", {"host": f"{number}.test"})
    path, seen = "/api/audit?limit=2", list[str]()
    while path:
        response = (await admin.get(path)).json()
        seen += [one["object"] for one in response["data"] if one["kind"] == "target"]
        cursor = response.get("next_cursor")
        path = f"/api/audit?limit=2&cursor={cursor}" if cursor else ""
    assert seen == [f"{number}.test" for number in reversed(range(5))]


async def test_the_audit_is_filtered(booper: Booper, api: Api, admin: Api) -> None:
    """By the kind of thing, by what was done, by whose key; and by all of them together."""
    made = await admin.act("/api/keys", {"name": "other", "scope": "admin"})
    await api.act("/api/pause", {"host": "a.test"})
    await api.act("/api/resume", {"host": "a.test"})
    async with Api(booper.asgi, made["key"]) as other:
        await other.act("/api/pause", {"host": "b.test"})
    for query, expected in {
        "kind=target": ["pause", "resume", "pause"],
        "kind=target,key": ["pause", "resume", "pause", "key.create", "key.create"],
        "action=pause": ["pause", "pause"],
        f"key_id={made['id']}": ["pause"],
        f"action=resume&key_id={made['id']}": [],
        "kind=job": [],
    }.items():
        found = await admin.read("/api/audit", query)
        assert [each["action"] for each in found] == expected, query


async def test_a_filter_of_the_audit_that_cannot_be_is_explained(admin: Api) -> None:
    """Each parameter that is wrong."""
    response = await admin.get("/api/audit?kind=jobz&action=kill&key_id=7")
    assert response.status_code == 422
    assert {each["pointer"] for each in response.json()["errors"]} == {
        "/kind",
        "/action",
        "/key_id",
    }


async def test_a_timeline_belongs_to_its_user(booper: Booper, api: Api, admin: Api) -> None:
    """Another user's job and schedule are not there, and a wrong time is an error."""
    schedule = await api.create_schedule()
    made = await admin.act("/api/keys", {"name": "other", "user": "other"})
    async with Api(booper.asgi, made["key"]) as other:
        for path in ("/api/jobs/1/timeline", f"{schedule}/timeline"):
            assert (await other.get(path)).status_code == 404
            assert (await api.get(path)).status_code == 200
            refused = await api.get(f"{path}?at=yesterday")
            assert refused.json()["errors"][0]["pointer"] == "/at"


async def test_a_retry_by_hand_is_told_as_one(
    booper: Booper, api: Api, target: FakeTarget, clock: VirtualClock
) -> None:
    """The second attempt was asked for by a key; no backoff is named as its reason."""
    target.respond(httpx.Response(410))
    job_id = await api.create_id()
    await booper.wait_idle()
    clock.advance(MINUTE)
    await api.act(f"/api/jobs/{job_id}/retry")
    await booper.wait_idle()
    told = await api.read(f"/api/jobs/{job_id}/timeline")
    assert [one["event"] for one in told] == [
        "created",
        "attempted",
        "responded",
        "changed",
        "attempted",
        "responded",
        "completed",
    ]
    assert told[3]["text"] == f"sent again by the key {KEY_NAME}"
