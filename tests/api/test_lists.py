"""Lists over HTTP: jobs and log entries, their order, their pages, their filters (§2 and §7)."""

import re
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.support.api import URL, Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
PRECISE = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z"
LISTS = ["/api/jobs", "/api/logs"]


async def entries(api: Api, path: str, query: str = "") -> Any:
    """Return a list's entries."""
    response = await api.get(f"{path}?{query}")
    assert response.status_code == 200, response.text
    assert set(response.json()) - {"next_cursor"} == {"data"}
    return response.json()["data"]


async def numbers(api: Api, query: str = "") -> list[int]:
    """Return the numbers of the listed jobs."""
    return [entry["job_id"] for entry in await entries(api, "/api/jobs", query)]


async def other_user(admin: Api) -> dict[str, str]:
    """Return the headers of another user."""
    response = await admin.post("/api/keys", json={"name": "second", "user": "somebody else"})
    return {"Authorization": f"Bearer {response.json()['data']['key']}"}


def pointers(response: httpx.Response) -> list[str]:
    """Return where the errors of a 422 point."""
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in response.json()["errors"]]


@pytest.fixture
async def three(api: Api, clock: VirtualClock) -> list[int]:
    """Make three jobs a second apart, due in the order second, third, first; return them so."""
    made = []
    for hours in (3, 1, 2):
        made.append(await api.create_id(schedule_in=[hours, "hours"]))
        clock.advance(timedelta(seconds=1))
    first, second, third = made
    return [second, third, first]


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", "321"),
        ("order_by=", "321"),
        ("order_by=inserted_at", "321"),
        ("order_by=inserted_at,desc", "321"),
        ("order_by=inserted_at,asc", "123"),
        ("order_by=inserted_at,ASC", "123"),
        ("order_by[]=inserted_at&order_by[]=asc", "123"),
        ("order_by%5B%5D=inserted_at&order_by%5B%5D=desc", "321"),
        ('order_by=["inserted_at","asc"]', "123"),
        ("order_by=%5B%22inserted_at%22%2C%22desc%22%5D", "321"),
        ("order_by=id", "321"),
        ("order_by=id,asc", "123"),
        ("order_by[]=id&order_by[]=asc", "123"),
        ('order_by=["id","asc"]', "123"),
        ("order_by=scheduled_at,asc", "231"),
        ("order_by=scheduled_at,desc", "132"),
        ("order_by[]=scheduled_at&order_by[]=asc", "231"),
        ('order_by=["scheduled_at","desc"]', "132"),
    ],
)
async def test_jobs_are_listed_in_the_order_asked_for(
    api: Api, three: list[int], query: str, order: str
) -> None:
    """All four spellings of `order_by` mean the same; the default is newest first (§2)."""
    second, third, first = three
    made = {"1": first, "2": second, "3": third}
    assert await numbers(api, query) == [made[which] for which in order]


@pytest.mark.parametrize(
    "value",
    [
        "name",
        "state",
        "args",
        "inserted_at;drop",
        "inserted_at,up",
        "inserted_at,asc,id",
        ",",
        ",asc",
        "asc",
        "id desc",
        "1",
        "[",
        "[1]",
        '["inserted_at"',
        '["inserted_at",null]',
        '["inserted_at","asc","id"]',
        '{"inserted_at":"asc"}',
        "\x00",
        "[" * 2_000,
        "inserted_at," * 500,
    ],
)
async def test_another_order_is_refused(api: Api, value: str) -> None:
    """A field or a direction that a list does not know is 422, never a guess."""
    for path in LISTS:
        response = await api.get(path, params={"order_by": value})
        assert pointers(response) == ["/order_by"]
        assert len(response.content) < 2_000


async def test_pages_follow_each_other(api: Api) -> None:
    """`limit` is 10 by default and 100 at most; pages neither overlap nor leave gaps (§2)."""
    made = [await api.create_id(schedule_in=60) for _ in range(12)]
    made.reverse()
    assert await numbers(api) == made[:10]
    assert await numbers(api, "limit=100") == made
    assert await numbers(api, "limit=1") == made[:1]
    assert await numbers(api, "limit=5&offset=5") == made[5:10]
    assert await numbers(api, "limit=5&offset=10") == made[10:]
    assert await numbers(api, "offset=12") == []
    assert await numbers(api, "offset=10000") == []


async def test_a_full_page_of_jobs_carries_a_cursor(api: Api) -> None:
    """`next_cursor` leads on from a full page; a page that is not full is the last (§2)."""
    for _ in range(3):
        await api.create_id(schedule_in=60)
    full = (await api.get("/api/jobs?limit=3")).json()
    assert set(full) == {"data", "next_cursor"}
    assert isinstance(full["next_cursor"], str)
    assert set((await api.get("/api/jobs?limit=4")).json()) == {"data"}


BAD_NUMBERS = [
    "-1",
    "abc",
    "1.0",
    "1e1",
    "0x10",
    "+5",
    " 5",
    "5 ",
    "",
    "\x00",
    "\u0661",  # an Arabic digit one: a digit, but not a number of HTTP
    "9" * 30,
    "9" * 5_000,
    "0" * 12 + "9" * 30,
    "0" * 12 + "9" * 5_000,
]


@pytest.mark.parametrize("value", ["0", "101", "0000000000010000", *BAD_NUMBERS])
async def test_a_limit_out_of_bounds_is_refused(api: Api, value: str) -> None:
    """`limit` is a number from 1 to 100; anything else is 422 (§2)."""
    for path in LISTS:
        response = await api.get(path, params={"limit": value})
        assert pointers(response) == ["/limit"]
        assert len(response.content) < 2_000


@pytest.mark.parametrize("value", ["10001", *BAD_NUMBERS])
async def test_an_offset_out_of_bounds_is_refused(api: Api, value: str) -> None:
    """`offset` is a number from 0 to 10,000; anything else is 422 (§2)."""
    for path in LISTS:
        response = await api.get(path, params={"offset": value})
        assert pointers(response) == ["/offset"]
        assert len(response.content) < 2_000


async def test_an_offset_too_far_names_the_cursor(api: Api) -> None:
    """Whoever pages past 10,000 is told how to go on (§2)."""
    response = await api.get("/api/jobs", params={"offset": "10001"})
    assert pointers(response) == ["/offset"]
    assert "cursor" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize("path", LISTS)
async def test_an_unknown_parameter_is_refused_with_the_near_one(api: Api, path: str) -> None:
    """A typo in a parameter is 422 with a did-you-mean, not a silently different list."""
    response = await api.get(path, params={"limmit": "5"})
    assert pointers(response) == ["/limmit"]
    assert "'limit'" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize("path", LISTS)
async def test_a_pointer_escapes_what_json_pointer_reserves(api: Api, path: str) -> None:
    """`~` and `/` in a parameter's name become `~0` and `~1` (RFC 6901 §3)."""
    assert pointers(await api.get(path, params={"a/b~c": "1"})) == ["/a~1b~0c"]


@pytest.mark.parametrize("path", LISTS)
async def test_all_wrong_parameters_are_told_at_once(api: Api, path: str) -> None:
    """One response names every unknown parameter, another every wrong value."""
    response = await api.get(path, params={"limit": "0", "nonsense": "1", "rubbish": "2"})
    assert sorted(pointers(response)) == ["/nonsense", "/rubbish"]
    response = await api.get(path, params={"limit": "0", "offset": "x", "order_by": "y"})
    assert sorted(pointers(response)) == ["/limit", "/offset", "/order_by"]


@pytest.mark.parametrize(
    ("path", "name"), [("/api/jobs", "state"), ("/api/logs", "event"), ("/api/logs", "job_id")]
)
async def test_a_wrong_filter_is_told_beside_a_wrong_page(api: Api, path: str, name: str) -> None:
    """One response names a wrong filter together with a wrong limit."""
    response = await api.get(path, params={"limit": "0", name: "nonsense"})
    assert sorted(pointers(response)) == sorted(["/limit", f"/{name}"])


@pytest.fixture
async def one_of_each(api: Api, booper: Booper, target: FakeTarget) -> dict[str, list[int]]:
    """Make jobs in all seven states, 16 of them executing, and return their numbers by state."""
    made: dict[str, list[int]] = {}
    for state, status in [("completed", 200), ("discarded", 410), ("retryable", 500)]:
        target.respond(httpx.Response(status))
        made[state] = [await api.create_id()]
        await booper.wait_idle()
    made["scheduled"] = [await api.create_id(schedule_in=60)]
    made["cancelled"] = [await api.create_id(schedule_in=60)]
    await api.delete(f"/api/jobs/{made['cancelled'][0]}")
    target.hold()
    # 16 requests per host are in flight at most (§12); the next one waits for a slot.
    made["executing"] = [await api.create_id() for _ in range(16)]
    while len(target.received) < 3 + 16:
        target.arrived.clear()
        await target.arrived.wait()
    made["available"] = [await api.create_id()]
    return made


async def test_jobs_are_listed_by_state(
    api: Api, target: FakeTarget, one_of_each: dict[str, list[int]]
) -> None:
    """Each of Oban's seven states can be asked for, and shows just the jobs in it (§4)."""
    listed = {state: await entries(api, "/api/jobs", f"state={state}") for state in one_of_each}
    everything = await entries(api, "/api/jobs", "limit=100")
    target.release()
    for state, made in one_of_each.items():
        assert {entry["job"]["state"] for entry in listed[state]} == {state}
        newest = sorted(made, reverse=True)[:10]
        assert [entry["job_id"] for entry in listed[state]] == newest
    assert {entry["job"]["state"] for entry in everything} == set(one_of_each)
    assert len(everything) == sum(len(made) for made in one_of_each.values())


async def test_a_listed_job_is_the_job_that_is_read(
    api: Api, target: FakeTarget, one_of_each: dict[str, list[int]]
) -> None:
    """A list shows each job as its own page does, whatever its state."""
    listed = await entries(api, "/api/jobs", "limit=100")
    single = [(await api.get(f"/api/jobs/{entry['job_id']}")).json()["data"] for entry in listed]
    target.release()
    assert listed == single


async def test_a_scheduled_job_becomes_available_when_its_time_has_come(
    api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """`available` is read off the clock: a due job that waits for a slot is no longer scheduled."""
    target.hold()
    for _ in range(16):
        await api.create_id()
    while len(target.received) < 16:
        target.arrived.clear()
        await target.arrived.wait()
    number = await api.create_id(schedule_in=60)
    before = [await numbers(api, f"state={state}") for state in ("scheduled", "available")]
    clock.advance(timedelta(seconds=60))
    after = [await numbers(api, f"state={state}") for state in ("scheduled", "available")]
    target.release()
    assert before == [[number], []]
    assert after == [[], [number]]


@pytest.mark.parametrize("value", ["", "done", "Scheduled", ",", "\x00", "x" * 10_000])
async def test_another_state_is_refused(api: Api, value: str) -> None:
    """A state that no job can have is 422 and names those there are."""
    response = await api.get("/api/jobs", params={"state": value})
    assert pointers(response) == ["/state"]
    assert "available" in response.json()["errors"][0]["detail"]
    assert len(response.content) < 2_000


async def test_lists_show_nothing_of_other_users(api: Api, admin: Api, booper: Booper) -> None:
    """Another user's lists are empty, also when they ask for the very job."""
    number = await api.create_id()
    await booper.wait_idle()
    theirs = await other_user(admin)
    for path in ("/api/jobs", "/api/logs", f"/api/logs?job_id={number}"):
        assert (await api.get(path, headers=theirs)).json() == {"data": []}
    [entry, _] = await entries(api, "/api/logs")
    response = await api.get(f"/api/logs/{entry['id']}", headers=theirs)
    assert response.status_code == 404


async def test_log_entries_have_exactly_the_documented_keys(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """A request and its response are an entry each, with just the keys of §7."""
    target.respond(httpx.Response(200, json={"ok": [True]}))
    fields = {"method": "post", "body": {"a": 1}, "query": {"q": "x"}, "headers": {"X-A": "b"}}
    created = await api.post("/api/jobs", json={"url": URL, **fields})
    job = created.json()["data"]
    await booper.wait_idle()
    response, request = await entries(api, "/api/logs")
    for entry in (response, request):
        assert set(entry) == {"event", "id", "inserted_at", "job_id", "payload", "user_id"}
        assert re.fullmatch(UUID, entry["id"])
        assert re.fullmatch(PRECISE, entry["inserted_at"])
        assert (entry["job_id"], entry["user_id"]) == (job["job_id"], job["user_id"])
    assert request["event"] == "worker.http.request"
    assert request["payload"] == {
        "body": {"a": 1},
        "headers": {"X-A": "b"},
        "query": {"q": "x"},
        "url": URL,
    }
    assert response["event"] == "worker.http.response"
    assert set(response["payload"]) == {"status", "headers", "body", "duration_ms"}
    assert response["payload"]["status"] == 200
    assert response["payload"]["body"] == {"ok": [True]}
    assert response["payload"]["headers"]["content-type"] == "application/json"
    assert response["payload"]["duration_ms"] >= 0


async def test_a_bare_request_is_logged_with_empty_objects(api: Api, booper: Booper) -> None:
    """Absent headers and query are shown as `{}`, and there is no `method` (§7)."""
    await api.create_id()
    await booper.wait_idle()
    [entry] = await entries(api, "/api/logs", "event=worker.http.request")
    assert set(entry["payload"]) == {"body", "headers", "query", "url"}
    assert entry["payload"]["headers"] == entry["payload"]["query"] == {}


async def test_a_network_error_is_logged_as_such(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """An attempt without a response leaves `worker.http.error` with its three payload keys."""
    target.respond(httpx.ConnectError("refused"))
    await api.create_id(max_attempts=1)
    await booper.wait_idle()
    error, _ = await entries(api, "/api/logs")
    assert error["event"] == "worker.http.error"
    assert set(error["payload"]) == {"error", "message", "duration_ms"}


async def test_response_cookies_are_hidden_in_the_log(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """A session that a target sets does not stand in the log."""
    target.respond(httpx.Response(200, headers={"Set-Cookie": "session=hidden"}))
    await api.create_id()
    await booper.wait_idle()
    assert "hidden" not in (await api.get("/api/logs")).text


async def test_log_entries_are_filtered_and_read_one_by_one(api: Api, booper: Booper) -> None:
    """`job_id` and `event` narrow the list, alone and together; an entry is read by its UUID."""
    first, second = await api.create_id(), await api.create_id()
    await booper.wait_idle()
    everything = await entries(api, "/api/logs")
    assert len(everything) == 4
    of_first = await entries(api, "/api/logs", f"job_id={first}")
    assert of_first == [entry for entry in everything if entry["job_id"] == first]
    requests = await entries(api, "/api/logs", "event=worker.http.request")
    assert sorted(entry["job_id"] for entry in requests) == [first, second]
    [one] = await entries(api, "/api/logs", f"job_id={second}&event=worker.http.response")
    assert (await api.get(f"/api/logs/{one['id']}")).json() == {"data": one}
    assert await entries(api, "/api/logs", "job_id=999999") == []


@pytest.mark.parametrize(
    ("query", "is_rising"),
    [
        ("", False),
        ("order_by=inserted_at", False),
        ("order_by=inserted_at,asc", True),
        ("order_by[]=inserted_at&order_by[]=asc", True),
        ('order_by=["inserted_at","asc"]', True),
        ('order_by=["inserted_at","desc"]', False),
    ],
)
async def test_log_entries_are_listed_newest_first_unless_asked(
    api: Api, booper: Booper, clock: VirtualClock, query: str, is_rising: bool
) -> None:
    """The log takes the same spellings of `order_by`, and pages like every list."""
    made = []
    for _ in range(3):
        made.append(await api.create_id())
        await booper.wait_idle()
        clock.advance(timedelta(seconds=1))
    expected = made if is_rising else made[::-1]
    only = "event=worker.http.request&" + query
    assert [entry["job_id"] for entry in await entries(api, "/api/logs", only)] == expected
    paged = await entries(api, "/api/logs", only + "&limit=1&offset=1")
    assert [entry["job_id"] for entry in paged] == expected[1:2]


@pytest.mark.parametrize(
    "value", ["", "abc", "-1", "1.5", "\x00", "\u0661", "9" * 30, "0" * 12 + "9" * 30, "9" * 5_000]
)
async def test_a_job_filter_that_is_no_number_is_refused(api: Api, value: str) -> None:
    """`job_id` is the integer id of a job; anything else is 422."""
    assert pointers(await api.get("/api/logs", params={"job_id": value})) == ["/job_id"]


@pytest.mark.parametrize("value", ["", "worker", "WORKER.HTTP.REQUEST", "\x00", "x" * 10_000])
async def test_an_event_that_is_never_logged_is_refused(api: Api, value: str) -> None:
    """`event` is one of the events of §7; anything else is 422."""
    response = await api.get("/api/logs", params={"event": value})
    assert pointers(response) == ["/event"]
    assert len(response.content) < 2_000


async def paged(api: Api, path: str, query: str) -> list[list[str]]:
    """Return the ids of each page of a list, from the first to the last, led on by cursors."""
    pages, cursor = list[list[str]](), ""
    while len(pages) < 20:
        response = (await api.get(f"{path}?{query}{cursor}")).json()
        pages.append([item["id"] for item in response["data"]])
        if "next_cursor" not in response:
            return pages
        cursor = f"&cursor={response['next_cursor']}"
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("order", ["inserted_at,desc", "inserted_at,asc", "id,desc", "id,asc"])
@pytest.mark.parametrize("query", ["", "&event=worker.http.request", "&job_id=2"])
async def test_pages_of_the_log_lead_on(api: Api, booper: Booper, order: str, query: str) -> None:
    """Cursors lead through all entries once, in the order of one long page (§2)."""
    for _ in range(3):
        await api.create_id()
        await booper.wait_idle()
    pages = await paged(api, "/api/logs", f"limit=2&order_by={order}{query}")
    assert [len(page) for page in pages[:-1]] == [2] * (len(pages) - 1)
    everything = await entries(api, "/api/logs", f"limit=100&order_by={order}{query}")
    assert [item for page in pages for item in page] == [entry["id"] for entry in everything] != []


@pytest.mark.parametrize("order", ["inserted_at,desc", "id,asc"])
async def test_pages_of_schedules_lead_on(api: Api, order: str) -> None:
    """Cursors lead through all schedules once, in the order of one long page (§2)."""
    for _ in range(5):
        await api.create_id(repeat_every=60)
    pages = await paged(api, "/api/schedules", f"limit=2&order_by={order}")
    assert [len(page) for page in pages] == [2, 2, 1]
    everything = await entries(api, "/api/schedules", f"order_by={order}")
    assert [item for page in pages for item in page] == [entry["id"] for entry in everything]


@pytest.mark.parametrize("path", ["/api/jobs", "/api/logs", "/api/schedules"])
async def test_a_cursor_that_no_page_has_carried_is_refused(api: Api, path: str) -> None:
    """Text of another kind, and numbers that nothing can have, are 422."""
    for cursor in ("", "x", "?", '["inserted_at",true,0,-1]', f'["inserted_at",true,0,{2**128}]'):
        encoded = urlsafe_b64encode(cursor.encode()).decode()
        for text in (cursor, encoded):
            assert pointers(await api.get(path, params={"cursor": text})) == ["/cursor"]


@pytest.mark.parametrize("path", ["/api/logs", "/api/schedules"])
async def test_an_offset_too_far_names_the_cursor_of_every_list(api: Api, path: str) -> None:
    """Whoever pages past 10,000 is told how to go on (§2)."""
    response = await api.get(path, params={"offset": "10001"})
    assert pointers(response) == ["/offset"]
    assert "cursor" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("a.example", {1, 2, 3}),
        ("A.Example", {1, 2, 3}),
        ("a.example:443", {1}),
        ("a.example:80", {3}),
        ("a.example:8443", {2}),
        ("https://a.example", {1}),
        ("https://a.example/", {1}),
        ("http://a.example", {3}),
        ("https://a.example:8443", {2}),
        ("example", set()),
        ("a.exampl", set()),
        ("a.example:844", set()),
    ],
)
async def test_jobs_are_found_by_their_host(api: Api, host: str, found: set[int]) -> None:
    """A host means all its origins; a default port is the one of its scheme (RFC 9110 4.2)."""
    urls = ("https://a.example/x", "https://a.example:8443/", "http://a.example/")
    for url in (*urls, "https://b.example/", "https://a.example.org/"):
        response = await api.post("/api/jobs", json={"url": url, "schedule_in": 60})
        assert response.status_code == 201, response.text
    response = await api.get("/api/jobs", params={"host": host})
    assert {job["job_id"] for job in response.json()["data"]} == found
    dry = {"filter": {"host": host.removesuffix("/")}, "dry_run": True}
    changed = (await api.post("/api/jobs/cancel", json=dry)).json()["data"]["matched"]
    assert changed == len(found)


async def test_jobs_are_found_by_a_text(api: Api) -> None:
    """In its URL, name, key or body, in any case; changes of many mean the same."""
    made = [
        await api.create_id(url="https://a.test/Orders/7", schedule_in=60),
        await api.create_id(name="the ORDERS of today", schedule_in=60),
        await api.create_id(idempotency_key="orders-1", schedule_in=60),
        await api.create_id(method="post", body={"about": ["new orders"]}, schedule_in=60),
        await api.create_id(headers={"X-About": "orders"}, schedule_in=60),
        await api.create_id(schedule_in=60),
    ]
    found = (await api.get("/api/jobs?text=orders&order_by=id,asc")).json()
    assert [job["job_id"] for job in found["data"]] == made[:4]
    assert found.keys() == {"data"}
    wanted = {"filter": {"text": "orders"}}
    assert (await api.act("/api/jobs/cancel", {**wanted, "dry_run": True}))["matched"] == 4
    assert (await api.act("/api/jobs/cancel", wanted))["changed"] == 4
    assert [(await api.job(number))["state"] for number in made[4:]] == ["scheduled"] * 2


@pytest.mark.parametrize("text", ["", "x" * 201])
async def test_a_text_to_look_for_is_of_some_length(api: Api, text: str) -> None:
    """1 to 200 characters, in the list as in a change of many."""
    response = await api.get("/api/jobs", params={"text": text})
    assert response.json()["errors"][0]["pointer"] == "/text"
    response = await api.post("/api/jobs/cancel", json={"filter": {"text": text}})
    assert response.json()["errors"][0]["pointer"] == "/filter/text"


async def test_no_text_tells_what_a_hidden_header_has(api: Api) -> None:
    """Whoever may only read cannot guess its value letter by letter: nothing is found by it."""
    secret = "Bearer sk_0123456789"
    await api.create(headers={"Authorization": secret}, schedule_in=60)
    for end in range(1, len(secret) + 1):
        found = await api.get("/api/jobs", params={"text": secret[:end]})
        assert found.json() == {"data": []}, secret[:end]


async def test_a_search_says_how_far_it_has_looked(api: Api) -> None:
    """5,000 jobs a page, the time of the last of them, and where to go on."""
    hit = await api.create_id(name="needle", schedule_in=60)
    for _ in range(6):
        jobs = [{"url": URL, "schedule_in": 60}] * 1_000
        assert (await api.post("/api/jobs/batch", json={"jobs": jobs})).status_code == 201
    found = (await api.get("/api/jobs?text=needle")).json()
    assert (found["data"], found["is_partial"]) == ([], True)
    assert found["searched_to"] == "2030-01-01T12:00:00.000000Z"
    found = (await api.get(f"/api/jobs?text=needle&cursor={found['next_cursor']}")).json()
    assert [job["job_id"] for job in found["data"]] == [hit]
    assert found.keys() == {"data"}


async def test_a_brief_list_shows_of_args_the_method_and_the_url(api: Api) -> None:
    """Everything else of a job stays."""
    await api.create(method="post", body={"a": 1}, headers={"X": "y"}, name="n", schedule_in=60)
    await api.create(schedule_in=60, tags=["t"])
    whole = await api.read("/api/jobs")
    brief = await api.read("/api/jobs", "brief=true")
    names = ("method", "url")
    assert brief == [
        {**job, "args": {name: job["args"][name] for name in names if name in job["args"]}}
        for job in whole
    ]
    assert await api.read("/api/jobs", "brief=false") == whole
    response = await api.get("/api/jobs?brief=yes")
    assert response.json()["errors"][0]["pointer"] == "/brief"
