"""Work on many jobs: batch, filters, cursors, run and retry, pause and resume (contract §10)."""

import asyncio
import json
from datetime import timedelta
from itertools import chain
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.support.api import URL, Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
BATCH_LIMIT = 16 << 20  # bytes (§12)


async def batch(api: Api, jobs: object, query: str = "") -> httpx.Response:
    """Post a batch."""
    return await api.post(f"/api/jobs/batch{query}", content=json.dumps({"jobs": jobs}))


async def change(api: Api, verb: str, **body: object) -> Any:
    """Cancel or retry by filter and return the counts; a change that never ends is a fault."""
    async with asyncio.timeout(2):
        response = await api.post(f"/api/jobs/{verb}", json=body)
    assert response.status_code == 200, response.text
    assert set(response.json()) == {"data"}
    return response.json()["data"]


async def listed(api: Api, query: str) -> set[int]:
    """Return the numbers of the jobs that a filter lets through."""
    response = await api.get(f"/api/jobs?limit=100&{query}")
    assert response.status_code == 200, response.text
    return {entry["job_id"] for entry in response.json()["data"]}


def problem(response: httpx.Response, status: int) -> Any:
    """Return the problem details of a response."""
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    return response.json()


def pointers(response: httpx.Response) -> list[str]:
    """Return where the errors of a 422 point."""
    return [error["pointer"] for error in problem(response, 422)["errors"]]


async def other_user(admin: Api) -> dict[str, str]:
    """Return the headers of another user."""
    response = await admin.post("/api/keys", json={"name": "second", "user": "somebody else"})
    return {"Authorization": f"Bearer {response.json()['data']['key']}"}


async def arrivals(target: FakeTarget, count: int) -> None:
    """Return when that many requests have reached the target."""
    while len(target.received) < count:
        target.arrived.clear()
        await target.arrived.wait()


# Batches.


async def test_each_item_of_a_batch_gets_its_response_in_order(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """A bad item does not stop the others: 201, and one response per item."""
    items: list[object] = [
        {"url": URL, "name": "first"},
        {"url": "ftp://target.test/", "method": "fetch"},
        {"url": URL, "repeat_every": 60, "name": "schedule"},
        5,
        {"url": URL, "idempotency_key": "k", "schedule_in": 60},
        {"url": URL, "idempotency_key": "k", "schedule_in": 60},
        {"url": URL, "idempotency_key": "k", "on_conflict": "reject"},
    ]
    response = await batch(api, items)
    assert response.status_code == 201
    results = response.json()["data"]
    assert [result["status"] for result in results] == [201, 422, 201, 422, 201, 200, 409]
    for result in results:
        assert set(result) == {"status", "data" if result["status"] < 400 else "error"}
    first, bad, schedule, no_object, key, duplicate, rejected = results
    assert first["data"] == {
        **(await api.get(f"/api/jobs/{first['data']['job_id']}")).json()["data"],
        "job": first["data"]["job"],
    }
    assert schedule["data"]["schedule_id"] is not None
    assert {error["pointer"] for error in bad["error"]["errors"]} == {"/url", "/method"}
    assert [error["pointer"] for error in no_object["error"]["errors"]] == [""]
    assert duplicate["data"]["id"] == key["data"]["id"]
    assert duplicate["data"]["job"]["has_confict"] is True
    for refused in (bad, no_object, rejected):
        assert {"type", "title", "status", "detail"} <= set(refused["error"])
        assert refused["error"]["status"] == refused["status"]
    await booper.wait_idle()
    assert len(target.received) == 2  # the one-off and the schedule's first run


async def test_a_batch_shows_secrets_in_its_own_answer_alone(api: Api) -> None:
    """A batch is a create: its response shows `args` as they came, later ones hide secrets (§4)."""
    item = {"url": URL, "schedule_in": 60, "headers": {"Authorization": "Bearer hidden"}}
    [made] = (await batch(api, [item])).json()["data"]
    assert made["data"]["args"] == item
    assert "hidden" not in (await api.get("/api/jobs")).text


async def test_an_atomic_batch_is_all_or_nothing(api: Api) -> None:
    """With `atomic=true` one bad item refuses the batch, pointed at by its index (§10)."""
    good: dict[str, object] = {"url": URL, "schedule_in": 60}
    bad = {"url": URL, "schedule_in": [1, "moment"], "method": "fetch"}
    response = await batch(api, [good, bad, good, 5], "?atomic=true")
    assert sorted(pointers(response)) == ["/jobs/1/method", "/jobs/1/schedule_in/1", "/jobs/3"]
    assert await listed(api, "") == set()
    response = await batch(api, [good, good], "?atomic=true")
    assert [item["status"] for item in response.json()["data"]] == [201, 201]
    assert len(await listed(api, "")) == 2


async def test_a_conflict_refuses_an_atomic_batch(api: Api) -> None:
    """A taken key that rejects is as wrong as a bad field where all must hold: 422, nothing."""
    taken = {"url": URL, "schedule_in": 60, "idempotency_key": "k"}
    first = await api.create(**taken)
    items = [{"url": URL, "schedule_in": 60}, {**taken, "on_conflict": "reject"}]
    assert [item[:7] for item in pointers(await batch(api, items, "?atomic=true"))] == ["/jobs/1"]
    assert await listed(api, "") == {first["job_id"]}


async def test_a_duplicate_does_not_refuse_an_atomic_batch(api: Api) -> None:
    """An ignored duplicate is no error, with `atomic` neither."""
    item = {"url": URL, "schedule_in": 60, "idempotency_key": "k"}
    response = await batch(api, [item, item], "?atomic=true")
    assert [result["status"] for result in response.json()["data"]] == [201, 200]


@pytest.mark.parametrize("query", ["?atomic=false", ""])
async def test_a_batch_is_not_atomic_unless_asked(api: Api, query: str) -> None:
    """Good items are kept beside a bad one."""
    response = await batch(api, [{"url": URL, "schedule_in": 60}, {}], query)
    assert [result["status"] for result in response.json()["data"]] == [201, 422]
    assert len(await listed(api, "")) == 1


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("?atomic=yes", "/atomic"), ("?atomic=", "/atomic"), ("?atomc=true", "/atomc")],
)
async def test_a_wrong_parameter_of_a_batch_is_refused(api: Api, query: str, pointer: str) -> None:
    """A misspelt `atomic` must not make half a batch."""
    response = await batch(api, [{"url": URL, "schedule_in": 60}, {}], query)
    assert pointers(response) == [pointer]
    assert await listed(api, "") == set()


async def test_a_batch_has_up_to_a_thousand_jobs(api: Api) -> None:
    """A thousand are taken in one transaction; one more, or none, is 422 (§10)."""
    item = {"url": URL, "schedule_in": 60}
    response = await batch(api, [item] * 1_000)
    assert response.status_code == 201
    numbers = [result["data"]["job_id"] for result in response.json()["data"]]
    assert len(set(numbers)) == 1_000
    assert numbers == sorted(numbers)
    assert pointers(await batch(api, [item] * 1_001)) == ["/jobs"]
    assert pointers(await batch(api, [])) == ["/jobs"]


async def test_a_batch_may_have_16_mib(api: Api) -> None:
    """The body of a batch is bounded by 16 MiB rather than 1 MiB (§12)."""
    start, end = b'{"jobs": [{"url": "https://target.test/", "schedule_in": 60}', b"]}"
    exact = start + b" " * (BATCH_LIMIT - len(start) - len(end)) + end
    assert (await api.post("/api/jobs/batch", content=exact, headers=JSON)).status_code == 201
    response = await api.post("/api/jobs/batch", content=exact + b" ", headers=JSON)
    problem(response, 413)
    assert len(await listed(api, "")) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ("{}", "/jobs"),
        ("[]", ""),
        ("null", ""),
        ('{"jobs": 5}', "/jobs"),
        ('{"jobs": {"url": "https://target.test/"}}', "/jobs"),
        ('{"jobs": null}', "/jobs"),
        ('{"jobs": [{"url": "https://target.test/"}], "atomic": true}', "/atomic"),
    ],
)
async def test_a_batch_of_another_shape_is_refused(api: Api, body: str, pointer: str) -> None:
    """What is no list of creates is 422 as a whole."""
    response = await api.post("/api/jobs/batch", content=body, headers=JSON)
    assert pointers(response) == [pointer]


async def test_a_malformed_batch_is_400_and_a_form_is_415(api: Api) -> None:
    """A batch is JSON."""
    for body in (b"", b'{"jobs": [', b'{"jobs": [\xff]}', b'{"jobs": [NaN]}'):
        problem(await api.post("/api/jobs/batch", content=body, headers=JSON), 400)
    response = await api.post(
        "/api/jobs/batch",
        content="jobs[]=1",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    problem(response, 415)


async def test_an_item_of_a_batch_may_hold_what_its_json_holds(api: Api) -> None:
    """A bad value deep in one item is that item's error: the others stay."""
    good = f'{{"url": "{URL}", "schedule_in": 60}}'
    deep = f'{{"url": "{URL}", "body": {"[" * 5_000}{"]" * 5_000}}}'
    body = f'{{"jobs": [{good}, {deep}, {good}]}}'
    response = await api.post("/api/jobs/batch", content=body, headers=JSON)
    if response.status_code == 201:  # or the whole is refused as nested too deeply
        statuses = [result["status"] for result in response.json()["data"]]
        assert (statuses[0], statuses[2]) == (201, 201)
        assert statuses[1] in (400, 422)
    else:
        problem(response, 400)


# Filters of the list.


@pytest.fixture
async def varied(api: Api, booper: Booper, target: FakeTarget) -> dict[str, int]:
    """Make jobs that differ, and return their numbers by name; the clock stands at noon."""
    made: dict[str, int] = {}
    for name, status in [("completed", 200), ("discarded", 410), ("retryable", 500)]:
        target.respond(httpx.Response(status))
        made[name] = (await api.create(tags=["past"], backoff=[300]))["job_id"]
        await booper.wait_idle()
    far: dict[str, object] = {"schedule_in": [1, "hour"]}
    made["tagged"] = (await api.create(**far, tags=["a", "b"]))["job_id"]
    made["other tag"] = (await api.create(**far, tags=["A", "ab"]))["job_id"]
    made["other url"] = (await api.create(**far, url="https://other.test/%_x"))["job_id"]
    made["later"] = (await api.create(schedule_in=[2, "hours"]))["job_id"]
    made["run"] = (await api.create(**far, repeat_every=60, tags=["a"]))["job_id"]
    made["cancelled"] = (await api.create(**far))["job_id"]
    await api.post(f"/api/jobs/{made['cancelled']}/cancel")
    return made


WAITING = {"tagged", "other tag", "other url", "later", "run"}
PAST = {"completed", "discarded", "retryable"}

# a query, and the names of the jobs it lets through
FILTERS: list[tuple[str, set[str]]] = [
    ("", WAITING | PAST | {"cancelled"}),
    ("state=completed", {"completed"}),
    ("state=completed,discarded", {"completed", "discarded"}),
    ("state=completed&state=retryable", {"completed", "retryable"}),
    ("state[]=completed&state[]=cancelled", {"completed", "cancelled"}),
    ("state=executing", set()),
    ("tag=a", {"tagged", "run"}),
    ("tag=A", {"other tag"}),
    ("tag=b", {"tagged"}),
    ("tag=none", set()),
    ("tag=a%25", set()),
    ("url_prefix=https://target.test/", WAITING - {"other url"} | PAST | {"cancelled"}),
    ("url_prefix=https://other.test/%25_", {"other url"}),
    ("url_prefix=https://other.test/_", set()),
    ("url_prefix=https://OTHER.test/", set()),
    ("url_prefix=other", set()),
    # All bound `scheduled_at`: from `after` on, and before `before`. Retried in 300 s: 12:05.
    ("after=2030-01-01T13:00:00Z", WAITING | {"cancelled"}),
    ("after=2030-01-01T13:00:00.000001Z", {"later"}),
    ("before=2030-01-01T13:00:00Z", PAST),
    ("before=2030-01-01T12:05:00Z", {"completed", "discarded"}),
    ("after=2030-01-01T12:01:00Z&before=2030-01-01T12:30:00", {"retryable"}),
    # 1893456000 is 2030-01-01T00:00:00Z, 13:30 is 48,600 s later.
    ("after=1893504600", {"later"}),
    ("after=1893504600000", {"later"}),
    ("before=2030-01-01T14:00:00%2B01:00", PAST),
    ("tag=past&state=discarded,cancelled", {"discarded"}),
    ("tag=a&url_prefix=https://target.test/&state=scheduled&after=2030-01-01", {"tagged", "run"}),
    ("kind=run", {"run"}),
    ("kind=request&tag=a", {"tagged"}),
    ("kind=request,run&tag=a", {"tagged", "run"}),
    ("kind=callback", set()),
]


async def test_a_filter_shows_the_jobs_that_match_in_every_part(
    api: Api, varied: dict[str, int]
) -> None:
    """`state` one or several, `tag`, `url_prefix`, `before`, `after` and `kind` narrow the list."""
    names = {number: name for name, number in varied.items()}
    for query, expected in FILTERS:
        assert {names[number] for number in await listed(api, query)} == expected, query


async def test_jobs_are_filtered_by_their_schedule(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """`schedule_id` shows the runs of one schedule, past and waiting."""
    first = await api.create(repeat_every=60)
    await api.create(repeat_every=60)
    await api.create(schedule_in=60)
    await booper.wait_idle()
    found = (await api.get(f"/api/jobs?schedule_id={first['schedule_id']}")).json()["data"]
    assert [entry["job"]["state"] for entry in found] == ["scheduled", "completed"]
    assert {entry["schedule_id"] for entry in found} == {first["schedule_id"]}
    nothing = "01890000-0000-7000-8000-000000000000"
    assert await listed(api, f"schedule_id={nothing}") == set()


async def test_reports_are_listed_only_when_asked_for(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """Callbacks and webhook events are jobs too, but not the user's own (`kind=callback`)."""
    job = await api.create(callback_url="https://target.test/callback")
    await booper.wait_idle()
    assert await listed(api, "") == {job["job_id"]}
    [callback] = (await api.get("/api/jobs?kind=callback")).json()["data"]
    assert callback["args"]["url"] == "https://target.test/callback"
    assert callback["job"]["state"] == "completed"
    assert len(target.received) == 2


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("state=completed,nonsense", "/state"),
        ("state[]=nonsense", "/state"),
        ("kind=nonsense", "/kind"),
        ("schedule_id=1", "/schedule_id"),
        ("schedule_id=", "/schedule_id"),
        ("before=tomorrow", "/before"),
        ("after=", "/after"),
        ("after=-1", "/after"),
        ("after=nan", "/after"),
        ("before=" + "9" * 400, "/before"),
        ("cursor=nonsense", "/cursor"),
        ("cursor=", "/cursor"),
        ("cursor=W10", "/cursor"),  # the base64 of []
        ("cursor=" + "A" * 5_000, "/cursor"),
        ("cursor=%C3%A9", "/cursor"),
        ("tags=a", "/tags"),
    ],
)
async def test_a_wrong_filter_is_refused(api: Api, query: str, pointer: str) -> None:
    """A filter that cannot be read is 422, never a longer list."""
    assert pointers(await api.get(f"/api/jobs?{query}")) == [pointer]


# Cursors.


@pytest.mark.parametrize("field", ["inserted_at", "scheduled_at", "id"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_cursors_lead_through_every_order(
    api: Api, clock: VirtualClock, field: str, direction: str
) -> None:
    """Page by page each job comes once, in the order of the whole list, equal times included."""
    for seconds in (50, 20, 20, 20, 90, 20, 10):
        await api.create(schedule_in=seconds)
        if seconds == 90:
            clock.advance(timedelta(seconds=1))
    order = f"order_by={field},{direction}"
    whole = (await api.get(f"/api/jobs?limit=100&{order}")).json()["data"]
    pages, query = [], f"limit=2&{order}"
    for _ in range(5):
        page = (await api.get(f"/api/jobs?{query}")).json()
        pages.append([entry["job_id"] for entry in page["data"]])
        if "next_cursor" not in page:
            break
        query = f"limit=2&{order}&cursor={page['next_cursor']}"
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert list(chain.from_iterable(pages)) == [entry["job_id"] for entry in whole]


async def test_a_cursor_holds_while_jobs_come_and_go(api: Api) -> None:
    """Newer jobs do not shift the pages behind a cursor, as they would with `offset`."""
    made = [(await api.create(schedule_in=60))["job_id"] for _ in range(4)]
    first = (await api.get("/api/jobs?limit=2")).json()
    await api.create(schedule_in=60)
    second = (await api.get(f"/api/jobs?limit=2&cursor={first['next_cursor']}")).json()
    assert [entry["job_id"] for entry in second["data"]] == [made[1], made[0]]


async def test_a_cursor_keeps_within_its_filter(api: Api) -> None:
    """Filters hold on every page; a last page that is full leads to an empty one."""
    made = [(await api.create(schedule_in=60, tags=[tag]))["job_id"] for tag in "abababa"]
    page = (await api.get("/api/jobs?limit=2&tag=a")).json()
    cursor = page["next_cursor"]
    page = (await api.get(f"/api/jobs?limit=2&tag=a&cursor={cursor}")).json()
    assert [entry["job_id"] for entry in page["data"]] == [made[2], made[0]]
    if "next_cursor" in page:
        cursor = page["next_cursor"]
        page = (await api.get(f"/api/jobs?limit=2&tag=a&cursor={cursor}")).json()
        assert page == {"data": []}


async def test_a_cursor_of_another_order_is_refused(api: Api) -> None:
    """A cursor goes on in the order of its own list alone: anything else would lose jobs."""
    await api.create(schedule_in=60)
    cursor = (await api.get("/api/jobs?limit=1")).json()["next_cursor"]
    for order in ("inserted_at,asc", "scheduled_at", "id"):
        response = await api.get(f"/api/jobs?limit=1&order_by={order}&cursor={cursor}")
        assert pointers(response) == ["/cursor"]


@pytest.mark.parametrize("path", ["/api/logs", "/api/schedules"])
async def test_other_lists_follow_a_cursor_or_refuse_it(
    api: Api, booper: Booper, path: str
) -> None:
    """A cursor that a list takes must move it on: one that is ignored repeats the same page."""
    for _ in range(2):
        await api.create(repeat_every=3_600)
    await booper.wait_idle()
    cursor = (await api.get("/api/jobs?limit=1")).json()["next_cursor"]
    first = (await api.get(f"{path}?limit=1")).json()
    response = await api.get(f"{path}?limit=1&cursor={first.get('next_cursor', cursor)}")
    if "next_cursor" in first:
        assert response.json()["data"] != first["data"]
    else:
        assert pointers(response) == ["/cursor"]


# Cancel and retry by filter.

# a filter of a body, and the names of the unfinished jobs it cancels
CANCELLED: list[tuple[dict[str, object], set[str]]] = [
    ({"tag": "a"}, {"tagged", "run"}),
    ({"state": "retryable"}, {"retryable"}),
    ({"state": ["scheduled", "retryable"]}, WAITING | {"retryable"}),
    ({"state": "completed"}, set()),
    ({"url_prefix": "https://other.test/"}, {"other url"}),
    ({"before": "2030-01-01T13:00:00Z"}, {"retryable"}),
    ({"after": 1893504600}, {"later"}),
    ({"tag": "a", "state": "scheduled", "before": "2030-01-01"}, set()),
    ({"tag": "a", "schedule_id": "01890000-0000-7000-8000-000000000000"}, set()),
    ({"tag": "b", "state": None}, {"tagged"}),
]


@pytest.mark.parametrize(("wanted", "names"), CANCELLED)
async def test_jobs_are_cancelled_by_filter(
    api: Api, varied: dict[str, int], wanted: dict[str, object], names: set[str]
) -> None:
    """Every unfinished job that matches is cancelled, no other; a dry run only counts them."""
    count = len(names)
    before = {name: await api.job(number) for name, number in varied.items()}
    counted = await change(api, "cancel", filter=wanted, dry_run=True)
    # Of what no job can be, none is looked at.
    through = 0 if wanted.get("state") == "completed" else varied["cancelled"]
    assert counted == {"matched": count, "changed": 0, "through": through}
    assert {name: await api.job(number) for name, number in varied.items()} == before
    done = await change(api, "cancel", filter=wanted)
    assert done == {"matched": count, "changed": count}
    for name, number in varied.items():
        after = await api.job(number)
        assert (after["state"] == "cancelled") == (name in names or name == "cancelled"), name
        assert after == before[name] or name in names, name


@pytest.mark.parametrize("body", [{"all": True}, {"filter": {"all": True}}])
async def test_all_jobs_are_cancelled_when_that_is_said(
    api: Api, varied: dict[str, int], body: dict[str, object]
) -> None:
    """`{"all": true}` means every unfinished job, once each: a schedule goes on (§10)."""
    done = await change(api, "cancel", **body)
    count = len(WAITING | {"retryable"})
    assert done == {"matched": count, "changed": count}
    for name in WAITING | {"retryable"}:
        assert (await api.job(varied[name]))["state"] == "cancelled"
    # Of the schedule, the run that comes after the cancelled one waits now.
    assert len(await listed(api, "state=scheduled&kind=run")) == 1


async def test_cancelling_by_filter_stops_what_is_waiting(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Nothing that was cancelled is sent; other users' jobs are."""
    for _ in range(3):
        await api.create(schedule_in=60)
    await change(api, "cancel", all=True)
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    assert target.received == []


async def test_users_change_their_own_jobs_alone(api: Api, admin: Api) -> None:
    """`{"all": true}` is all of one's own."""
    job = await api.create(schedule_in=60)
    theirs = await other_user(admin)
    response = await api.post("/api/jobs/cancel", json={"all": True}, headers=theirs)
    assert response.json() == {"data": {"matched": 0, "changed": 0}}
    assert (await api.job(job["job_id"]))["state"] == "scheduled"
    await api.post(f"/api/jobs/{job['job_id']}/cancel")
    response = await api.post("/api/jobs/retry", json={"all": True}, headers=theirs)
    assert response.json() == {"data": {"matched": 0, "changed": 0}}


# a body that names no jobs, and where the error points
NO_FILTERS: list[tuple[object, str]] = [
    ({}, "/filter"),
    ({"filter": {}}, "/filter"),
    ({"filter": None}, "/filter"),
    ({"all": False}, "/filter"),
    ({"dry_run": True}, "/filter"),
    ({"filter": {"tag": None, "state": None}}, "/filter"),
    ({"filter": {"state": []}}, "/filter"),
    ({"filter": {"all": False}}, "/filter"),
    ({"filter": {"url_prefix": ""}}, "/filter/url_prefix"),
    ({"filter": {"state": "nonsense"}}, "/filter/state"),
    ({"filter": {"state": ["completed", "x"]}}, "/filter/state"),
    ({"filter": {"schedule_id": "1"}}, "/filter/schedule_id"),
    ({"filter": {"before": "soon"}}, "/filter/before"),
    ({"filter": {"after": -1}}, "/filter/after"),
    ({"filter": {"tags": "a"}}, "/filter"),
    ({"filter": {"tag": 5}}, "/filter/tag"),
    ({"filter": []}, "/filter"),
    ({"filter": "all"}, "/filter"),
    ({"all": "true"}, "/all"),
    ({"all": True, "dry_run": "yes"}, "/dry_run"),
    ({"all": True, "filtr": {}}, "/filtr"),
    ([], ""),
    (None, ""),
]


@pytest.mark.parametrize("verb", ["cancel", "retry", "run"])
async def test_a_filter_that_says_nothing_changes_nothing(api: Api, verb: str) -> None:
    """An empty or unreadable filter is 422: it must never come to mean every job (§10)."""
    waiting = await api.create(schedule_in=60)
    cancelled = await api.create(schedule_in=60)
    await api.delete(f"/api/jobs/{cancelled['job_id']}")
    misses = []
    for body, expected in NO_FILTERS:
        response = await api.post(f"/api/jobs/{verb}", content=json.dumps(body), headers=JSON)
        found = pointers(response) if response.status_code == 422 else response.status_code
        if not isinstance(found, list) or [each[: len(expected)] for each in found] != [expected]:
            misses.append((body, expected, found))
    assert misses == []
    assert (await api.job(waiting["job_id"]))["state"] == "scheduled"
    assert (await api.job(cancelled["job_id"]))["state"] == "cancelled"


@pytest.mark.parametrize("verb", ["cancel", "retry", "run"])
@pytest.mark.parametrize("all_", [True, False])
async def test_all_beside_a_filter_does_not_widen_it(api: Api, verb: str, all_: bool) -> None:
    """Whoever sends both a filter and `all` gets the filter's jobs or 422, never every job."""
    waiting = await api.create(schedule_in=60)
    cancelled = await api.create(schedule_in=60)
    await api.delete(f"/api/jobs/{cancelled['job_id']}")
    body = {"filter": {"tag": "a"}, "all": all_}
    response = await api.post(f"/api/jobs/{verb}", json=body)
    assert response.status_code in (200, 422)
    assert (await api.job(waiting["job_id"]))["state"] == "scheduled"
    assert (await api.job(cancelled["job_id"]))["state"] == "cancelled"


async def test_finished_jobs_are_retried_by_filter(
    api: Api, booper: Booper, varied: dict[str, int], target: FakeTarget
) -> None:
    """Discarded and cancelled jobs that match go again, now; completed ones do not."""
    before = len(target.received)
    wanted = {"state": ["completed", "discarded", "cancelled"]}
    counted = await change(api, "retry", filter=wanted, dry_run=True)
    assert counted == {"matched": 2, "changed": 0, "through": varied["cancelled"]}
    assert await change(api, "retry", filter=wanted) == {"matched": 2, "changed": 2}
    await booper.wait_idle()
    assert len(target.received) == before + 2
    for name in ("discarded", "cancelled"):
        after = await api.job(varied[name])
        assert after["state"] == "completed"
        assert (after["discarded_at"], after["cancelled_at"]) == (None, None)


async def test_one_that_cannot_go_again_does_not_stop_the_others(api: Api) -> None:
    """Two cancelled jobs of one key: one goes again and holds it, the other stays (§5)."""
    made = []
    for _ in range(2):
        made.append((await api.create(schedule_in=60, idempotency_key="k"))["job_id"])
        await api.delete(f"/api/jobs/{made[-1]}")
    made.append((await api.create(schedule_in=60))["job_id"])
    await api.delete(f"/api/jobs/{made[-1]}")
    assert await change(api, "retry", all=True) == {"matched": 3, "changed": 2}


async def test_jobs_that_wait_for_their_time_run_now_by_filter(
    api: Api, booper: Booper, varied: dict[str, int], target: FakeTarget
) -> None:
    """Scheduled and retryable jobs that match are sent; those due already and finished are not."""
    before = len(target.received)
    target.respond(httpx.Response(200))
    counted = await change(api, "run", filter={"url_prefix": URL}, dry_run=True)
    assert counted == {"matched": 5, "changed": 0, "through": varied["cancelled"]}
    assert await change(api, "run", filter={"url_prefix": URL}) == {"matched": 5, "changed": 5}
    await booper.wait_idle()
    assert len(target.received) == before + 5
    for name in ("retryable", "tagged", "other tag", "later", "run"):
        assert (await api.job(varied[name]))["state"] == "completed", name
    assert (await api.job(varied["other url"]))["state"] == "scheduled"


async def test_a_job_that_is_due_already_is_not_run_now(api: Api, booper: Booper) -> None:
    """It is sent as soon as it may be; who asks for such jobs alone asks for none."""
    await api.act("/api/pause", {"host": "target.test"})
    await api.create()
    assert await change(api, "run", all=True) == {"matched": 0, "changed": 0}
    assert await change(api, "run", filter={"state": "available"}) == {"matched": 0, "changed": 0}


@pytest.mark.parametrize("verb", ["cancel", "run"])
async def test_a_change_of_many_ends_at_a_number(api: Api, verb: str) -> None:
    """What came after the count is not touched: `through` bounds both (§10)."""
    first = [await api.create_id(schedule_in=60) for _ in range(3)]
    counted = await change(api, verb, all=True, dry_run=True)
    assert counted == {"matched": 3, "changed": 0, "through": first[-1]}
    later = await api.create_id(schedule_in=60)
    again = await change(api, verb, all=True, dry_run=True, through=counted["through"])
    assert again == counted
    done = await change(api, verb, all=True, through=counted["through"])
    assert done == {"matched": 3, "changed": 3}
    job = await api.job(later)
    assert (job["state"], job["scheduled_at"]) == ("scheduled", "2030-01-01T12:01:00.000000Z")


# Filters that indexes count, and one for which rows are read: the same bound.
@pytest.mark.parametrize("wanted", [{"state": "scheduled"}, {"url_prefix": URL}, {"tag": "a"}])
async def test_a_count_stops_where_it_is_told(api: Api, wanted: dict[str, object]) -> None:
    """`max_count` bounds the work of a dry run, which says that there are others."""
    numbers = [await api.create_id(schedule_in=60, tags=["a"]) for _ in range(3)]
    for most, is_partial in ((1, True), (2, True), (3, False), (4, False)):
        counted = await change(api, "cancel", filter=wanted, dry_run=True, max_count=most)
        expected = {"matched": min(most, 3), "changed": 0, "through": numbers[-1]}
        assert counted == expected | ({"is_partial": True} if is_partial else {}), most


FROM_0 = "expected a whole number from 0 to 9223372036854775807"
FROM_1 = "expected a whole number from 1 to 100000"


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({"max_count": 5}, "/max_count", "only a dry run can stop there; give it with"),
        ({"dry_run": True, "max_count": 0}, "/max_count", f"{FROM_1}, got 0"),
        ({"dry_run": True, "max_count": 100_001}, "/max_count", f"{FROM_1}, got 100001"),
        ({"dry_run": True, "max_count": 2.5}, "/max_count", f"{FROM_1}, got 2.5"),
        ({"through": -1}, "/through", f"{FROM_0}, got -1"),
        ({"through": 2**63}, "/through", f"{FROM_0}, got 9223372036854775808"),
        ({"through": "7"}, "/through", f'{FROM_0}, got "7"'),
    ],
)
async def test_a_wrong_bound_of_a_change_of_many_is_refused(
    api: Api, body: dict[str, object], pointer: str, detail: str
) -> None:
    """The error says what would be right, and nothing is changed."""
    job = await api.create_id(schedule_in=60)
    response = await api.post("/api/jobs/cancel", json={"all": True, **body})
    assert pointers(response) == [pointer]
    assert response.json()["errors"][0]["detail"].startswith(detail)
    assert (await api.job(job))["state"] == "scheduled"


# One job: run now, retry.


async def test_a_waiting_job_runs_now(api: Api, booper: Booper, target: FakeTarget) -> None:
    """`run` sends a scheduled or a retryable job at once; the planned time stays what it was."""
    job = await api.create(schedule_in=[1, "hour"])
    response = await api.post(f"/api/jobs/{job['job_id']}/run")
    assert response.status_code == 200
    assert response.json()["data"]["job"]["scheduled_at"] == "2030-01-01T12:00:00.000000Z"
    target.respond(httpx.Response(500))
    await booper.wait_idle()
    assert (await api.job(job["job_id"]))["state"] == "retryable"
    assert target.received[0].headers["booper-scheduled-at"] == "2030-01-01T13:00:00.000000Z"
    await api.post(f"/api/jobs/{job['id']}/run")
    await booper.wait_idle()
    after = await api.job(job["job_id"])
    assert (after["state"], after["attempt"], len(target.received)) == ("completed", 2, 2)


async def test_running_a_schedules_run_now_keeps_its_plan(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """The waiting run goes early, and the next one waits for the next planned time."""
    job = await api.create(schedule_in=[1, "hour"], repeat_every=[1, "hour"])
    await api.post(f"/api/jobs/{job['job_id']}/run")
    await booper.wait_idle()
    assert len(target.received) == 1
    [waiting] = (await api.get("/api/jobs?state=scheduled")).json()["data"]
    assert waiting["job"]["scheduled_at"] == "2030-01-01T14:00:00.000000Z"


@pytest.mark.parametrize("state", ["executing", "completed", "discarded", "cancelled"])
async def test_only_a_waiting_job_runs_now(
    api: Api, booper: Booper, target: FakeTarget, state: str
) -> None:
    """Any other state is 409 and stays as it is."""
    number = await reach(state, api, booper, target)
    before, sent = await api.job(number), len(target.received)
    details = problem(await api.post(f"/api/jobs/{number}/run"), 409)
    assert state in details["detail"]
    after = await api.job(number)
    target.release()
    await booper.wait_idle()
    assert (after, len(target.received)) == (before, sent)


@pytest.mark.parametrize("state", ["scheduled", "executing", "retryable", "completed"])
async def test_only_a_discarded_or_cancelled_job_is_retried(
    api: Api, booper: Booper, target: FakeTarget, state: str
) -> None:
    """Any other state is 409 and stays as it is."""
    number = await reach(state, api, booper, target)
    before, sent = await api.job(number), len(target.received)
    details = problem(await api.post(f"/api/jobs/{number}/retry"), 409)
    wanted = "only a discarded or cancelled one can be sent again"
    assert details["detail"] == f"job {number} is {state}; {wanted}"
    after = await api.job(number)
    target.release()
    await booper.wait_idle()
    assert (after, len(target.received)) == (before, sent)


async def reach(state: str, api: Api, booper: Booper, target: FakeTarget) -> int:
    """Move a job to a state and return its number."""
    script = {"retryable": 500, "completed": 200, "discarded": 410}
    wait: dict[str, object] = {"schedule_in": 60} if state in ("scheduled", "cancelled") else {}
    if state == "executing":
        target.hold()
    if state in script:
        target.respond(httpx.Response(script[state]))
    number = int((await api.create(**wait))["job_id"])
    if state == "executing":
        await arrivals(target, 1)
    elif state == "cancelled":
        await api.delete(f"/api/jobs/{number}")
    elif not wait:
        await booper.wait_idle()
    return number


async def test_a_discarded_job_gets_one_attempt_more(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """A retry of a job that has used up its attempts makes one more, and ends as that does."""
    target.respond(httpx.Response(500), httpx.Response(500))
    number = (await api.create(max_attempts=1))["job_id"]
    await booper.wait_idle()
    for attempt, state in [(2, "discarded"), (3, "completed")]:
        response = await api.post(f"/api/jobs/{number}/retry")
        assert response.status_code == 200
        inner = response.json()["data"]["job"]
        assert (inner["discarded_at"], inner["completed_at"]) == (None, None)
        assert inner["scheduled_at"] == "2030-01-01T12:00:00.000000Z"
        await booper.wait_idle()
        after = await api.job(number)
        assert (after["attempt"], after["state"]) == (attempt, state)
    keys = {request.headers["idempotency-key"] for request in target.received}
    assert len(keys) == 1  # the same on every attempt of one job (§8)


async def test_a_retry_does_not_take_a_key_that_another_holds(api: Api) -> None:
    """A cancelled job whose key was given on cannot come back while that is held: 409 (§5)."""
    first = await api.create(schedule_in=60, idempotency_key="k")
    await api.delete(f"/api/jobs/{first['job_id']}")
    second = await api.create(schedule_in=60, idempotency_key="k")
    problem(await api.post(f"/api/jobs/{first['job_id']}/retry"), 409)
    assert (await api.job(first["job_id"]))["state"] == "cancelled"
    await api.delete(f"/api/jobs/{second['job_id']}")
    assert (await api.post(f"/api/jobs/{first['job_id']}/retry")).status_code == 200


async def test_another_users_job_is_neither_run_nor_retried(api: Api, admin: Api) -> None:
    """It is not there: 404."""
    job = await api.create(schedule_in=60)
    theirs = await other_user(admin)
    for verb in ("run", "retry"):
        problem(await api.post(f"/api/jobs/{job['job_id']}/{verb}", headers=theirs), 404)


# Pause and resume.


async def paused(api: Api, verb: str, **body: object) -> list[str]:
    """Pause or resume and return what is paused then."""
    response = await api.post(f"/api/{verb}", json=body)
    assert response.status_code == 200, response.text
    found: list[str] = response.json()["data"]["paused"]
    return found


async def test_a_pause_holds_everything_back_and_keeps_states(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Due jobs wait as `available`, others as they are; once resumed, one-offs go however late."""
    due, later = await api.create(schedule_in=60), await api.create(schedule_in=[1, "day"])
    target.respond(httpx.Response(500))
    failed = await api.create(backoff=[60])
    await booper.wait_idle()
    await paused(api, "pause")
    new = await api.create()
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    assert len(target.received) == 1
    states = [(await api.job(job["job_id"]))["state"] for job in (due, later, failed, new)]
    assert states == ["available", "scheduled", "retryable", "available"]
    assert await paused(api, "resume") == []
    await booper.wait_idle()
    states = [(await api.job(job["job_id"]))["state"] for job in (due, later, failed, new)]
    assert states == ["completed", "scheduled", "completed", "completed"]


async def test_one_host_is_paused_alone(api: Api, booper: Booper, target: FakeTarget) -> None:
    """A pause of a host holds back what goes there, in any letter case and to any port."""
    assert len(await paused(api, "pause", host="Slow.Test")) == 1
    await api.create(url="https://slow.test:8443/")
    await api.create(url="https://fast.test/")
    await booper.wait_idle()
    assert [request.url.host for request in target.received] == ["fast.test"]
    await paused(api, "resume", host="fast.test")
    await booper.wait_idle()
    assert len(target.received) == 1
    assert await paused(api, "resume", host="slow.test") == []
    await booper.wait_idle()
    assert [request.url.host for request in target.received] == ["fast.test", "slow.test"]


async def test_resuming_all_ends_the_pauses_of_hosts(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """`resume` without a host opens everything; pausing twice is one pause."""
    for host in ("target.test", "target.test", "other.test"):
        await paused(api, "pause", host=host)
    await api.create()
    await booper.wait_idle()
    assert target.received == []
    assert await paused(api, "resume") == []
    await booper.wait_idle()
    assert len(target.received) == 1


async def test_a_host_stays_paused_while_all_are(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """Resuming one host does not open it while everything is paused."""
    await paused(api, "pause")
    await paused(api, "pause", host="target.test")
    await api.create()
    assert len(await paused(api, "resume", host="target.test")) == 1
    await booper.wait_idle()
    assert target.received == []


async def test_a_running_request_outlives_a_pause(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """What is on its way is finished and recorded: a pause holds back what has not begun."""
    target.hold()
    job = await api.create()
    await arrivals(target, 1)
    await paused(api, "pause")
    target.release()
    await booper.wait_idle()
    assert (await api.job(job["job_id"]))["state"] == "completed"


@pytest.mark.parametrize(
    ("misfire", "ran", "skipped"),
    # Paused until 12:17, a run every 5 minutes: 12:05, 12:10 and 12:15 are over 60 s late (§12).
    [("latest", ["12:15"], 2), ("skip", [], 3), ("all", ["12:05", "12:10", "12:15"], 0)],
)
async def test_runs_that_a_pause_held_back_are_misfires(
    api: Api,
    booper: Booper,
    clock: VirtualClock,
    target: FakeTarget,
    misfire: str,
    ran: list[str],
    skipped: int,
) -> None:
    """A paused run over 60 s late is missed (§6): `misfire` decides, and the log accounts."""
    await api.create(schedule_in=300, repeat_every=300, misfire=misfire)
    await paused(api, "pause")
    clock.advance(timedelta(minutes=17))
    await booper.wait_idle()
    await paused(api, "resume")
    await booper.wait_idle()
    at = [request.headers["booper-scheduled-at"][11:16] for request in target.received]
    assert at == ran
    logs = (await api.get("/api/logs?event=schedule.skipped")).json()["data"]
    assert sum(entry["payload"]["count"] for entry in logs) == skipped
    assert {entry["payload"]["reason"] for entry in logs} <= {"misfire"}
    clock.advance(timedelta(minutes=3))
    await booper.wait_idle()
    assert target.received[-1].headers["booper-scheduled-at"][11:16] == "12:20"


async def test_a_run_that_a_pause_held_back_briefly_is_not_missed(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Up to 60 s of lateness is none (§12), with `misfire: skip` neither."""
    await api.create(schedule_in=300, repeat_every=300, misfire="skip")
    await paused(api, "pause")
    clock.advance(timedelta(minutes=6))
    await booper.wait_idle()
    await paused(api, "resume")
    await booper.wait_idle()
    assert len(target.received) == 1


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"host": 5}', "/host"),
        ('{"host": "https://target.test/"}', "/host"),
        ('{"host": "a b"}', "/host"),
        ('{"host": "a/b"}', "/host"),
        ('{"host": "\\u0000"}', "/host"),
        (json.dumps({"host": "x" * 100_000}), "/host"),
        ('{"hst": "target.test"}', "/hst"),
        ("[]", ""),
        ('"target.test"', ""),
    ],
)
async def test_a_wrong_host_is_refused(api: Api, verb: str, body: str, pointer: str) -> None:
    """What names no host must not come to mean all of them."""
    response = await api.post(f"/api/{verb}", content=body, headers=JSON)
    assert pointers(response) == [pointer]
    assert len(response.content) < 2_000


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_an_empty_host_is_refused(api: Api, verb: str) -> None:
    """An empty text is no host and not all of them either; a variable may have been unset."""
    assert pointers(await api.post(f"/api/{verb}", json={"host": ""})) == ["/host"]


async def test_a_pause_outlives_a_restart(booper: Booper, api: Api, target: FakeTarget) -> None:
    """What was paused stays so after a stop and a start, until it is resumed."""
    await paused(api, "pause")
    await api.create()
    await booper.__aexit__(None, None, None)
    async with booper:
        await booper.wait_idle()
        assert target.received == []
        assert await paused(api, "resume") == []
        await booper.wait_idle()
        assert len(target.received) == 1
