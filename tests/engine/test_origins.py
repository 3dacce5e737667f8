"""Origins: what shares slots, a breaker and pauses, and what does not."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.guard.target import parse_target
from booper.model.breaker import FIRST_REST
from booper.model.origin import names_of, path_key, stored_origin
from booper.store.sqlite import schema
from tests.support.api import Api
from tests.support.target import FakeTarget

# A URL, its origin (RFC 6454 §6.1, the port left out where it is the scheme's), and the names by
# which a pause may mean it.
ORIGINS = [
    ("https://a.test/x", "https://a.test", ("a.test:443", "a.test")),
    ("https://A.test:443/x", "https://a.test", ("a.test:443", "a.test")),
    ("http://a.test/x", "http://a.test", ("a.test:80", "a.test")),
    ("http://a.test:443/x", "http://a.test:443", ("a.test:443", "a.test")),
    ("https://a.test:8443?q=1:2", "https://a.test:8443", ("a.test:8443", "a.test")),
    ("https://a.test.:8443#f:1", "https://a.test:8443", ("a.test:8443", "a.test")),
    ("http://127.0.0.1:9999/", "http://127.0.0.1:9999", ("127.0.0.1:9999", "127.0.0.1")),
    ("http://[::1]/", "http://[::1]", ("[::1]:80", "[::1]")),
    ("http://[::1]:81/", "http://[::1]:81", ("[::1]:81", "[::1]")),
    ("https://Bücher.test/", "https://xn--bcher-kva.test", ("xn--bcher-kva.test:443",)),
    ("app:/tasks", "app:", ()),
]


@pytest.mark.parametrize(("url", "origin", "names"), ORIGINS)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str, names: Iterable[str]) -> None:
    """As the target is read now, and as it is told from what was stored before origins were."""
    target = parse_target(url)
    assert target.origin == origin
    assert stored_origin(url, target.host) == origin
    assert set(names) < {*names_of(origin), "more"}


def test_a_report_whose_url_was_refused_has_no_origin() -> None:
    """It is discarded when it is sent."""
    assert stored_origin("nonsense", "") == ""


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://a.test/x", "https://a.test/x?q=1", True),
        ("https://a.test/x", "https://a.test/x#f", True),
        ("https://a.test", "https://a.test/", True),
        ("https://a.test/x", "https://a.test/y", False),
        ("https://a.test/x", "https://a.test/x/", False),
        ("app:/x", "app:/y", False),
        ("https://a.test?/x", "https://a.test?/y", True),
    ],
)
def test_paths_of_an_origin_are_told_apart(one: str, other: str, is_same: bool) -> None:
    """By everything before the query."""
    assert (path_key(one) == path_key(other)) is is_same


def test_an_older_file_gets_origins_for_its_hosts(tmp_path: Path) -> None:
    """Every job and schedule of a file of version 2 has its origin and its path afterwards."""
    path = tmp_path / "booper.db"
    with closing(sqlite3.connect(path)) as opened:
        opened.executescript("".join(schema.migrations()[:2]))
        opened.executescript(
            f"PRAGMA user_version = 2; PRAGMA application_id = {schema.APPLICATION_ID}"
        )
        opened.executescript(OLD_ROWS)
        schema.migrate(opened, str(path))
        jobs = opened.execute("SELECT origin, path FROM jobs ORDER BY id").fetchall()
        schedules = opened.execute("SELECT origin FROM schedules").fetchall()
        paused = opened.execute("SELECT target FROM pauses").fetchall()
    assert jobs == [
        ("https://a.test:8443", path_key("https://a.test:8443/x")),
        ("http://[::1]", path_key("http://[::1]/y")),
        ("app:", path_key("app:/tasks")),
        ("", path_key("nonsense")),
    ]
    assert (schedules, paused) == ([("https://a.test",)], [("a.test",)])


_JOB = """
INSERT INTO jobs (uuid, user_id, kind, host, args, state, attempt, max_attempts, interruptions,
    inserted_at, scheduled_at, planned_at)
VALUES (randomblob(16), zeroblob(16), 'request', '{host}', '{{"url": "{url}"}}', 'scheduled', 0, 1,
    0, 0, 0, 0);
"""
OLD_ROWS = (
    "INSERT INTO users VALUES (zeroblob(16), 'alice', 0);"
    + _JOB.format(host="a.test", url="https://A.test:8443/x?q")
    + _JOB.format(host="::1", url="http://[::1]:80/y")
    + _JOB.format(host="app:", url="app:/tasks")
    + _JOB.format(host="", url="nonsense")
    + """
    INSERT INTO schedules (id, user_id, host, args, anchor, runs, state, previous, inserted_at)
    VALUES (randomblob(16), zeroblob(16), 'a.test', '{"url": "https://a.test/"}', 0, 0, '{}', '{}',
        0);
    INSERT INTO pauses VALUES ('a.test', 0);
    """
)


# --- one target's trouble ------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_dead_port_holds_nothing_back_from_another_port(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Its breaker is open; what goes to another port of the same host leaves at once."""
    target.respond(
        *[lambda request: httpx.Response(503 if request.url.port == 9999 else 200)] * 1000
    )
    for _ in range(40):
        await api.create_id(url="https://target.test:9999/", backoff=[1])
    await booper.wait_idle()
    await api.create_id(url="https://target.test/", backoff=[1])
    await booper.wait_idle()
    assert [request.url.port for request in target.received][-1] is None


@pytest.mark.anyio
async def test_a_failing_path_hides_no_healthy_one(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """However long the breaker rests by now, a job on another path is the probe in a second."""
    target.respond(
        *[lambda request: httpx.Response(502 if request.url.path == "/bad" else 200)] * 1000
    )
    for _ in range(40):
        await api.create_id(url="https://target.test/bad", max_attempts=1000, backoff=[1])
    for _ in range(40):
        await booper.wait_idle()
        clock.advance(FIRST_REST)
    number = await api.create_id(url="https://target.test/good", backoff=[1])
    await booper.wait_idle()
    clock.advance(FIRST_REST)
    await booper.wait_idle()
    shown = (await api.get(f"/api/jobs/{number}")).json()["data"]["job"]
    assert shown["state"] == "completed"


@pytest.mark.anyio
async def test_what_holds_a_job_back_is_shown(
    booper: Booper, api: Api, admin: Api, target: FakeTarget
) -> None:
    """A pause, or an open breaker: in the job and in a dry run; nothing once it has ended."""
    await admin.post("/api/pause", json={"host": "target.test:443"})
    number = await api.create_id(url="https://target.test/", backoff=[1])
    (listed,) = (await admin.get("/api/pauses")).json()["data"]
    held = {"reason": "pause", "target": "target.test:443", "since": listed["paused_at"]}
    assert (await api.get(f"/api/jobs/{number}")).json()["data"]["job"]["held_by"] == held
    dry = await api.post("/api/jobs?dry_run=true", json={"url": "https://target.test/"})
    assert dry.json()["data"]["held_by"] == held
    await admin.post("/api/resume")
    await booper.wait_idle()
    assert "held_by" not in (await api.get(f"/api/jobs/{number}")).json()["data"]["job"]
    target.respond(*[lambda _: httpx.Response(503)] * 1000)
    for _ in range(40):
        number = await api.create_id(url="https://target.test/", backoff=[1])
    await booper.wait_idle()
    shown = (await api.get(f"/api/jobs/{number}")).json()["data"]["job"]
    assert shown["held_by"]["reason"] == "breaker"
    assert shown["held_by"]["target"] == "https://target.test"


@pytest.mark.anyio
async def test_breakers_can_be_reset(
    booper: Booper, api: Api, admin: Api, target: FakeTarget
) -> None:
    """By any name of the origin; what waits for it goes then."""
    target.respond(*[lambda _: httpx.Response(503)] * 1000)
    for _ in range(40):
        await api.create_id(url="https://target.test/", backoff=[3600])
    await booper.wait_idle()
    sent = len(target.received)
    target.clear()
    other = await admin.post("/api/breakers/reset", json={"host": "target.test:8443"})
    assert other.json() == {"data": {"reset": []}}
    done = await admin.post("/api/breakers/reset", json={"host": "target.test"})
    assert done.json() == {"data": {"reset": ["https://target.test"]}}
    await booper.wait_idle()
    assert len(target.received) == 40 > sent


# What is named, what is paused by that, and of three URLs the ports that are held back.
NAMES: list[tuple[dict[str, str], str, set[int | None]]] = [
    ({"host": "target.test"}, "target.test", {None, 8443}),
    ({"host": "Target.Test."}, "target.test", {None, 8443}),
    ({"host": "target.test:8443"}, "target.test:8443", {8443}),
    ({"host": "target.test:443"}, "target.test:443", {None}),
    ({"origin": "https://target.test"}, "https://target.test", {None}),
    ({"origin": "https://TARGET.test:443/"}, "https://target.test", {None}),
    ({"origin": "https://target.test:8443"}, "https://target.test:8443", {8443}),
    ({"origin": "http://target.test"}, "http://target.test", set()),
    ({"host": "*"}, "*", {None, 8443, 7}),
    ({}, "*", {None, 8443, 7}),
    ({"host": "::1"}, "[::1]", set()),
    ({"host": "[::1]:81"}, "[::1]:81", set()),
    ({"host": "app:"}, "app:", set()),
    ({"origin": "app:"}, "app:", set()),
    ({"host": "127.0.0.1:9999"}, "127.0.0.1:9999", set()),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("body", "name", "held"), NAMES)
async def test_a_pause_means_an_origin_a_port_a_host_or_everything(
    booper: Booper,
    api: Api,
    admin: Api,
    target: FakeTarget,
    body: dict[str, str],
    name: str,
    held: set[int | None],
) -> None:
    """A host without scheme and port means all its origins; `GET /api/pause` lists it too."""
    response = await admin.post("/api/pause", json=body)
    assert response.json() == {"data": {"paused": [name]}}
    assert (await admin.get("/api/pause")).json() == (await admin.get("/api/pauses")).json()
    for url in ("https://target.test/", "https://target.test:8443/", "https://other.test:7/"):
        await api.create_id(url=url, backoff=[1])
    await booper.wait_idle()
    assert {None, 8443, 7} - {request.url.port for request in target.received} == held
    assert (await admin.post("/api/resume", json=body)).json() == {"data": {"paused": []}}
    await booper.wait_idle()
    assert len(target.received) == 3


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["pause", "resume", "breakers/reset"])
@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({"host": "https://a.test"}, "/host", "goes into the field origin; got 'https://a.test'"),
        ({"host": "a.test/x"}, "/host", "got 'a.test/x'"),
        ({"host": "a.test:0"}, "/host", "got 'a.test:0'"),
        ({"host": ""}, "/host", "got ''"),
        ({"origin": "a.test"}, "/origin", "got 'a.test'"),
        ({"origin": "https://a.test/x"}, "/origin", "without a path"),
        ({"origin": "https://a.test?x=1"}, "/origin", "without a path"),
        ({"host": "a.test", "origin": "https://a.test"}, "/origin", "not both"),
        ({"hosts": "a.test"}, "/hosts", "host"),
    ],
)
async def test_a_target_that_is_none_is_refused(
    admin: Api, path: str, body: dict[str, str], pointer: str, says: str
) -> None:
    """422, with what it was and what would be right; nothing is paused by it."""
    response = await admin.post(f"/api/{path}", json=body)
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["pointer"] == pointer
    assert says in error["detail"]
    assert (await admin.get("/api/pauses")).json() == {"data": []}
