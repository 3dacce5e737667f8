"""`booper dev` without its process: the clock, the map, the reset, the console."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec.structs import replace

from booper.clock import RunningClock
from booper.config import Config, Delivery, Server
from booper.dev.bench import PUBLIC_KEY, Bench
from booper.dev.console import MAX_LINES_PER_SECOND, Console, Screen
from booper.model.message import Message
from tests.conftest import START
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

MAPPED = "https://api.example.com=http://localhost:3000"
PATHS = (
    ("GET", "/api/dev/clock"),
    ("POST", "/api/dev/clock"),
    ("GET", "/api/dev/sink"),
    ("GET", "/api/dev/sink/hello"),
    ("DELETE", "/api/dev/sink"),
    ("POST", "/api/dev/reset"),
    ("GET", "/dev/sink/hello"),
    ("POST", "/dev/sink/hello"),
)


@pytest.fixture
def lines() -> list[str]:
    """Return what the console has printed."""
    return []


@pytest.fixture
async def bench(config: Config, target: FakeTarget, lines: list[str]) -> AsyncIterator[Bench]:
    """Run a bench on a frozen clock."""
    clock = RunningClock(START, is_frozen=True)
    console = Console(clock, Screen(lines.append))
    async with Bench(
        replace(config, delivery=Delivery(grace_seconds=0)),
        clock,
        address=("127.0.0.1", 2667),
        url="http://127.0.0.1:2667",
        maps=[MAPPED],
        watcher=console,
        transport=target,
    ) as running:
        yield running


@pytest.fixture
async def dev(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of it, with the published key."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(bench.asgi),
        base_url="http://localhost",
        headers={"Authorization": f"Bearer {PUBLIC_KEY}"},
    ) as client:
        yield client


async def create(dev: httpx.AsyncClient, url: str = "http://a.test/", **fields: object) -> None:
    """Create a job."""
    response = await dev.post("/api/jobs", json={"method": "post", "url": url, **fields})
    assert response.status_code == 201, response.text


async def move(dev: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    """Move the clock and return what is told of that."""
    response = await dev.post("/api/dev/clock", json=fields)
    assert response.status_code == 200, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


async def test_a_journey_tells_what_ran(dev: httpx.AsyncClient, target: FakeTarget) -> None:
    """Each attempt with its job, its times, its response and the job's state."""
    target.respond(httpx.Response(500))
    await create(dev, schedule_in=[1, "day"], backoff=[60])

    journey = await move(dev, advance=[3, "days"])

    assert journey["began_at"] == "2030-01-01T12:00:00.000000Z"
    assert journey["now"] == "2030-01-04T12:00:00.000000Z"
    assert (journey["count"], journey["states"]) == (2, {"retryable": 1, "completed": 1})
    first, second = journey["ran"]
    assert 0 <= first.pop("duration_seconds") < 30
    assert len(first.pop("uuid")) == 36
    assert first == {
        "job_id": 1,
        "schedule_id": None,
        "kind": "request",
        "method": "POST",
        "url": "http://a.test/",
        "attempt": 1,
        "scheduled_at": "2030-01-02T12:00:00.000000Z",
        "late_seconds": 0.0,
        "status": 500,
        "error": None,
        "state": "retryable",
    }
    assert second["scheduled_at"] == "2030-01-02T12:01:00.000000Z"
    assert (second["attempt"], second["status"], second["state"]) == (2, 200, "completed")


async def test_the_clock_can_be_read_and_moved_in_each_way(dev: httpx.AsyncClient) -> None:
    """By a duration, to a moment, to the next job; it can be let go and stopped."""
    await create(dev, schedule_in=3_600)
    await move(dev, advance=0)  # the loop has then seen the job
    clock = (await dev.get("/api/dev/clock")).json()["data"]
    assert clock == {
        "now": "2030-01-01T12:00:00.000000Z",
        "is_frozen": True,
        "next_at": "2030-01-01T13:00:00.000000Z",
    }
    assert (await move(dev, advance=60))["now"] == "2030-01-01T12:01:00.000000Z"
    assert (await move(dev, to="2030-01-01T12:30:00Z"))["count"] == 0
    journey = await move(dev, run="next")
    assert (journey["now"], journey["count"]) == ("2030-01-01T13:00:00.000000Z", 1)
    assert (await move(dev, freeze=False))["is_frozen"] is False
    assert (await move(dev, freeze=True))["is_frozen"] is True


@pytest.mark.parametrize("text", ["20300131", "20300131120000", "20300131120000Z", "12345"])
async def test_the_clock_refuses_a_text_that_is_no_one_time(
    dev: httpx.AsyncClient, text: str
) -> None:
    """`{"to": …}` is read as any other time."""
    response = await dev.post("/api/dev/clock", json={"to": text})
    assert response.status_code == 422
    assert text in response.json()["errors"][0]["detail"]


async def test_a_moment_that_has_passed_is_refused(dev: httpx.AsyncClient) -> None:
    """The problem says what time it is and what was asked for."""
    response = await dev.post("/api/dev/clock", json={"to": "2029-01-01T00:00:00Z"})
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert "2030-01-01T12:00:00" in response.json()["detail"]
    assert "2029-01-01T00:00:00" in response.json()["detail"]


async def test_what_is_wrong_with_all_of_a_body_needs_no_pointer(dev: httpx.AsyncClient) -> None:
    """The empty pointer is there for programs (RFC 6901 §5); people read what was expected."""
    problem = (await dev.post("/api/dev/clock", json={})).json()
    assert problem["detail"].startswith("expected one of")
    assert problem["errors"] == [{"pointer": "", "detail": problem["detail"]}]


async def test_urls_of_others_go_where_the_map_says(
    dev: httpx.AsyncClient, target: FakeTarget
) -> None:
    """The published service is booper itself, and so are its redirects; other hosts are mapped."""
    target.respond(httpx.Response(302, headers={"Location": "https://scheduler.booper.dev/x"}))
    await create(dev, "https://api.example.com/a?b=c", follow_redirects=True)
    await create(dev, "https://scheduler.booper.dev/api/ping")

    journey = await move(dev, advance=0)

    assert sorted(str(request.url) for request in target.received) == [
        "http://127.0.0.1:2667/api/ping",
        "http://127.0.0.1:2667/x",
        "http://localhost:3000/a?b=c",
    ]
    assert {ran["url"] for ran in journey["ran"]} == {
        "https://api.example.com/a?b=c",
        "https://scheduler.booper.dev/api/ping",
    }


async def test_a_reset_leaves_nothing(dev: httpx.AsyncClient) -> None:
    """Jobs, schedules, logs and the sink are empty, the clock is back, and it all works again."""
    for _ in range(2):
        await create(dev, cron="0 * * * *")
        assert (await move(dev, advance=[1, "day"]))["count"] == 24
        await dev.post("/dev/sink/hello")
        assert len((await dev.get("/api/dev/sink/hello")).json()["data"]) == 1

        reset = await dev.post("/api/dev/reset")

        assert reset.json()["data"]["now"] == "2030-01-01T12:00:00.000000Z"
        for path in ("/api/jobs", "/api/schedules", "/api/logs", "/api/dev/sink"):
            assert (await dev.get(path)).json()["data"] == []


async def test_a_reset_waits_for_no_target(dev: httpx.AsyncClient, target: FakeTarget) -> None:
    """What is on its way is forgotten like the rest."""
    target.hold()
    await create(dev)
    await target.arrived.wait()
    assert (await dev.post("/api/dev/reset")).status_code == 200
    assert (await dev.get("/api/jobs")).json()["data"] == []


async def test_these_operations_need_a_key_and_stand_in_the_document(
    dev: httpx.AsyncClient,
) -> None:
    """The API describes them like all others."""
    for method, path in PATHS:
        if path.startswith("/api"):
            response = await dev.request(method, path, headers={"Authorization": "Bearer sk_no"})
            assert response.status_code == 401
    paths = (await dev.get("/openapi.json")).json()["paths"]
    assert {path for path in paths if path.startswith("/api/dev")} == {
        "/api/dev/clock",
        "/api/dev/sink",
        "/api/dev/sink/{name}",
        "/api/dev/reset",
    }
    (name,) = paths["/api/dev/sink/{name}"]["get"]["parameters"]
    assert (name["name"], name["in"], name["required"]) == ("name", "path", True)


NAMES = ("hello", "a", "a/b", "a/b/", "a//b", "", "path:x", "a b", "%C3%BC", "a%3Fb%23c", "a%2Fc")


async def test_the_sink_tells_what_it_caught_at_a_name(dev: httpx.AsyncClient) -> None:
    """A name is all that follows the sink's path, slashes too (contract §10)."""
    for name in NAMES:
        await dev.post(f"/dev/sink/{name}?respond=503", content=name)
    for name in NAMES:
        caught = (await dev.get(f"/api/dev/sink/{name}")).json()["data"]
        assert [one["body"] for one in caught] == [name]
    assert len((await dev.get("/api/dev/sink")).json()["data"]) == len(NAMES)
    assert (await dev.get("/api/dev/sink/other")).json()["data"] == []


async def test_the_sink_forgets(dev: httpx.AsyncClient) -> None:
    """Its scripts begin anew, and later requests have later numbers."""
    for status in (500, 200):
        assert (await dev.get("/dev/sink/a?respond=500,200")).status_code == status
    caught = (await dev.get("/api/dev/sink")).json()["data"]
    assert [one["number"] for one in caught] == [1, 2]
    response = await dev.delete("/api/dev/sink")
    assert (response.status_code, response.json()) == (200, {"data": []})
    assert (await dev.get("/dev/sink/a?respond=500,200")).status_code == 500
    assert [one["number"] for one in (await dev.get("/api/dev/sink")).json()["data"]] == [3]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/broadcast", {"content": "Testing 123", "author": "Jane", "channel": "discord"}),
        ("/api/broadcast", {"content": "Testing 123"}),
        ("/api/channels/discord", {"content": "Testing 123"}),
        ("/api/channels/toast", {"content": "Testing 123"}),
        ("/api/channels/demo", {"content": "Testing 123"}),
    ],
)
async def test_a_message_to_a_channel_needs_no_key(
    bench: Bench, dev: httpx.AsyncClient, path: str, body: dict[str, str]
) -> None:
    """As at the hosted service; its reader is who has the published key."""
    channel = body.get("channel", path.rpartition("/")[2] if "channels" in path else "demo")
    user = (await dev.get("/api/keys")).json()["data"][0]["user_id"]
    with bench.booper._holder._kept.channels.subscribe(UUID(user), channel) as feed:
        response = await dev.post(path, json=body, headers={"Authorization": ""})
        assert response.status_code == 401, "an empty key is a wrong one"
        del dev.headers["Authorization"]
        response = await dev.post(path, json=body)
        assert (response.status_code, response.json()) == (200, body)
        message = await anext(feed)
        assert isinstance(message, Message)
        assert message.content == "Testing 123"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 401),
        ("http://localhost:3000", 401),
        ("null", 401),
        ("http://localhost", 200),
    ],
)
async def test_a_page_of_another_origin_needs_a_key(
    dev: httpx.AsyncClient, origin: str, status: int
) -> None:
    """Any page that is open in a browser here can post a form without being asked."""
    del dev.headers["Authorization"]
    response = await dev.post("/api/broadcast", data={"content": "x"}, headers={"Origin": origin})
    assert response.status_code == status


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/jobs"), ("GET", "/api/jobs"), ("GET", "/api/channels/demo/events")],
)
async def test_all_else_needs_a_key(dev: httpx.AsyncClient, method: str, path: str) -> None:
    """Only what the hosted service takes without one."""
    del dev.headers["Authorization"]
    assert (await dev.request(method, path)).status_code == 401


@pytest.mark.parametrize(("method", "path"), [each for each in PATHS if "/api/" in each[1]])
async def test_an_unknown_parameter_is_422(dev: httpx.AsyncClient, method: str, path: str) -> None:
    """Of the clock and the reset as of the rest of the API."""
    response = await dev.request(method, path, params={"colour": "red"})
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/colour"]


@pytest.mark.parametrize("path", ["/api/dev/sink", "/api/dev/sink/hello"])
async def test_no_parameter_picks_a_part_of_what_the_sink_caught(
    dev: httpx.AsyncClient, path: str
) -> None:
    """One that was ignored would make the response seem to be that part."""
    response = await dev.get(path, params={"path": "/hello"})
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"pointer": "/path", "detail": "unknown parameter; there are no parameters here"}
    ]


async def test_no_other_booper_has_any_of_it(api: httpx.AsyncClient) -> None:
    """Each path is a 404 elsewhere, with a key or without, and the document is silent."""
    for method, path in PATHS:
        assert (await api.request(method, path, json={})).status_code == 404
    assert "/dev/" not in (await api.get("/openapi.json")).text
    response = await api.get("/api/jobs", headers={"Authorization": f"Bearer {PUBLIC_KEY}"})
    assert response.status_code == 401


async def test_the_console_has_a_line_for_each_step_of_a_job(
    dev: httpx.AsyncClient, target: FakeTarget, lines: list[str]
) -> None:
    """Created and answered: request, duration, name, the target's words, and what is next."""
    target.respond(httpx.Response(503, text="over\nloaded \x1b[31m"))
    await create(dev, schedule_in=60, backoff=[60], name="ada\x07")
    await move(dev, advance=3_600)
    await dev.post("/api/dev/clock", json={"freeze": True})
    await dev.post("/api/dev/reset")

    stable = [re.sub(r"\d+ ms", "N ms", line) for line in lines]
    assert stable == [
        "2030-01-01T12:00:00Z created #1 POST http://a.test/"
        '; "ada\\x07"; for Tue 2030-01-01 12:01:00; in 1 min',
        "2030-01-01T12:01:00Z 503 #1 POST http://a.test/"
        '; "ada\\x07"; over loaded \\x1b[31m; N ms; attempt 1 of 15; again at 12:02:00, in 1 min',
        '2030-01-01T12:02:00Z 200 #1 POST http://a.test/; "ada\\x07"; N ms; attempt 2 of 15',
        "it is Tue 2030-01-01 13:00:00 UTC; 1 h on; 2 attempts: 1 retryable, 1 completed",
        "it is Tue 2030-01-01 13:00:00 UTC; the clock stands still",
        "reset: all jobs, schedules, logs and keys are gone; 1 created, 2 attempts, 0 in the sink"
        "; it is Tue 2030-01-01 12:00:00 UTC",
    ]


async def test_the_console_keeps_reports_apart(dev: httpx.AsyncClient, lines: list[str]) -> None:
    """A callback and webhook events stand behind an arrow, with the number of their job."""
    reports = {name: f"http://a.test/{name}" for name in ("callback_url", "webhook_url")}
    await create(dev, schedule_in=60, **reports)
    await move(dev, advance=3_600)

    told = [line.split("; ")[0].removeprefix("2030-01-01T12:01:00Z ") for line in lines[1:-1]]
    assert Counter(told) == {
        "200 #1 POST http://a.test/": 1,
        "-> callback 200 #1 POST http://a.test/callback_url": 1,
        "-> webhook 200 #1 POST http://a.test/webhook_url": 4,
    }


async def test_the_console_shows_a_schedule_once_and_each_of_its_runs(
    dev: httpx.AsyncClient, lines: list[str]
) -> None:
    """The run that is planned next is no news."""
    await create(dev, cron="0 * * * *", timezone="Europe/Berlin")
    await move(dev, advance=[3, "hours"])
    assert [line.split()[1] for line in lines[:-1]] == ["created", "200", "200", "200"]
    assert "; cron 0 * * * * Europe/Berlin; " in lines[0]


async def test_the_console_leaves_out_what_nobody_could_read(
    dev: httpx.AsyncClient, lines: list[str]
) -> None:
    """A week of minutes is 10,000 lines; the console says how many it did not print."""
    await create(dev, cron="* * * * *")
    await move(dev, advance=[12, "hours"])
    assert MAX_LINES_PER_SECOND <= len(lines) <= 722
    assert lines[-1].endswith(" UTC; 12 h on; 720 attempts: 720 completed")


WRONG_MOVES = [
    ({}, "", "got none"),
    ({"advance": 1, "to": "2030-01-02T00:00:00Z"}, "", 'got "advance" and "to"'),
    ({"advance": 1, "freeze": True}, "", 'got "advance" and "freeze"'),
    ({"advance": None}, "", "got none"),
    ({"advance": -1}, "/advance", "-1"),
    ({"advance": [3, "yards"]}, "/advance", "'yards'"),
    ({"advance": "3 dayz"}, "/advance", "dayz"),
    ({"advance": True}, "/advance", ""),
    ({"advance": [101 * 365, "days"]}, "/advance", "century"),
    ({"to": "tomorrow"}, "/to", "tomorrow"),
    ({"to": "2131-01-01T00:00:00Z"}, "/to", "century"),
    ({"to": True}, "/to", ""),
    ({"run": "all"}, "/run", 'must be "next", got "all"'),
    ({"run": 1}, "/run", ""),
    ({"freeze": "yes"}, "/freeze", ""),
    ({"freeze": 1}, "/freeze", ""),
    ({"rewind": 1}, "/rewind", ""),
]


@pytest.mark.parametrize(("body", "pointer", "told"), WRONG_MOVES)
async def test_a_wrong_move_is_told_by_its_field(
    dev: httpx.AsyncClient, body: object, pointer: str, told: str
) -> None:
    """The problem points to the field and says its value; the clock stays."""
    response = await dev.post("/api/dev/clock", json=body)
    assert response.status_code == 422, response.text
    error = response.json()["errors"][0]
    # The unit of a duration has a pointer of its own.
    assert error["pointer"].startswith(pointer)
    assert told in error["detail"]
    assert (await dev.get("/api/dev/clock")).json()["data"]["now"].startswith("2030-01-01T12:00")


async def test_time_ends_with_the_year_8999(dev: httpx.AsyncClient) -> None:
    """Centuries on, the clock stops where what is planned still has a date; a reset helps."""
    for century in range(21, 90):
        await move(dev, to=f"{century}29-01-01T00:00:00Z")
    response = await dev.post("/api/dev/clock", json={"advance": [36_525, "days"]})
    assert response.status_code == 409
    assert "time ends with the year 8999" in response.json()["detail"]
    await create(dev, cron="0 0 1 1 *")
    assert (await move(dev, run="next"))["now"] == "8930-01-01T00:00:00.000000Z"
    await dev.post("/api/dev/reset")
    assert (await move(dev, advance=1))["began_at"] == "2030-01-01T12:00:00.000000Z"


@pytest.mark.parametrize("is_frozen", [True, False])
async def test_a_freeze_during_a_journey_holds_after_it(
    dev: httpx.AsyncClient, bench: Bench, target: FakeTarget, *, is_frozen: bool
) -> None:
    """It takes effect at the journey's end, and not until then is it answered."""
    await dev.post("/api/dev/clock", json={"freeze": not is_frozen})
    target.hold()
    await create(dev)
    going = asyncio.create_task(dev.post("/api/dev/clock", json={"advance": 3_600}))
    await target.arrived.wait()
    freezing = asyncio.create_task(dev.post("/api/dev/clock", json={"freeze": is_frozen}))
    target.release()
    assert (await going).json()["data"]["count"] == 1
    assert (await freezing).json()["data"]["is_frozen"] is is_frozen
    assert bench.clock.is_frozen is is_frozen


async def test_a_reset_ends_a_journey(dev: httpx.AsyncClient, target: FakeTarget) -> None:
    """Who waits for the end of a journey is told that there is none, and the next one goes."""
    target.hold()
    await create(dev, schedule_in=60)
    going = asyncio.create_task(dev.post("/api/dev/clock", json={"advance": 3_600}))
    await target.arrived.wait()
    assert (await dev.post("/api/dev/reset")).status_code == 200
    ended = await going
    assert ended.status_code == 503
    assert ended.json()["detail"] == "a reset has ended this move of the clock"
    assert (await move(dev, advance=3_600))["count"] == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:2667", 200),
        ("127.0.0.1:2667", 200),
        ("[::1]:2667", 200),
        ("scheduler.booper.dev", 200),
        ("evil.example:2667", 403),
        ("localhost.evil.example", 403),
        ("a b", 403),
    ],
)
async def test_names_of_others_are_not_answered(
    dev: httpx.AsyncClient, host: str, status: int
) -> None:
    """A web page that leads its own name here does not get to use the key everybody knows."""
    for path in ("/api/jobs", "/dev/sink/hello"):
        response = await dev.get(path, headers={"Host": host})
        assert response.status_code == status


@pytest.mark.parametrize(
    ("host", "status"), [("booper.test:8443", 200), ("booper.test", 403), ("evil.example", 403)]
)
async def test_its_public_name_is_answered(
    config: Config, target: FakeTarget, host: str, status: int
) -> None:
    """The one that a developer's proxy gives it, by `public_url`; its own pages need no key."""
    config = replace(config, server=Server(public_url="https://booper.test:8443"))
    clock = RunningClock(START, is_frozen=True)
    url = "http://127.0.0.1:2667"
    async with (
        Bench(config, clock, address=("127.0.0.1", 2667), url=url, transport=target) as bench,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(bench.asgi), base_url="http://localhost"
        ) as client,
    ):
        assert (await client.get("/api/ping", headers={"Host": host})).status_code == status
        headers = {"Origin": f"https://{host}", "Host": "127.0.0.1:2667"}
        posted = await client.post("/api/broadcast", data={"content": "x"}, headers=headers)
        assert posted.status_code == (200 if status == 200 else 401)
