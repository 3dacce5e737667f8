"""The Python client: its operations against a running booper, its retries, its errors."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio.from_thread
import anyio.to_thread
import httpx
import pytest

from booper.api.application import OPERATIONS
from booper.app import Booper
from booper.client import (
    AsyncClient,
    Client,
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    InvalidArgument,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthenticated,
    Unreachable,
    Unreadable,
)
from booper.client.arguments import DEFAULT_URL
from booper.client.calls import Call
from booper.client.resources.audit import Audit
from booper.client.resources.jobs import Jobs
from booper.client.resources.keys import Keys
from booper.client.resources.logs import Logs
from booper.client.resources.root import Root
from booper.client.resources.schedules import Schedules
from tests.conftest import KEY, START

pytestmark = pytest.mark.anyio
NO_LIST: Any = {"backoff": 60}
ID = "41d7f28b-dfbe-44b8-b716-b91898bb0ce0"
URL = "https://target.test/hook"
LEFT_OUT = {
    "DELETE /api/jobs/{job_id}": "the older spelling of cancel",
    "POST /api/channels/{name}": "the older form of broadcast",
    "GET /api/channels/ping": "the older form of ping",
    "GET /api/channels/{name}/events": "a stream for browsers",
    "POST /api/echo": "a target to try",
    "GET /healthz": "for what watches the process",
    "GET /openapi.json": "for tools",
    "GET /api/pause": "another spelling of GET /api/pauses",
}


def calls() -> list[Call[Any]]:
    """Return one call of each operation of the client."""
    jobs: list[Call[Any]] = [
        Jobs.create.build(None, url=URL),
        Jobs.create_many.build(None, [{"url": URL}]),
        *(build(None, ID) for build in (Jobs.get.build, Jobs.cancel.build, Jobs.retry.build)),
        Jobs.run.build(None, ID),
        Jobs.list.build(None),
        Jobs.timeline.build(None, ID),
        Jobs.cancel_many.build(None, tag="x"),
        Jobs.retry_many.build(None, tag="x"),
        Jobs.run_many.build(None, tag="x"),
    ]
    schedules: list[Call[Any]] = [
        Schedules.list.build(None),
        Schedules.get.build(None, ID),
        Schedules.timeline.build(None, ID),
        Schedules.runs.build(None, ID),
        Schedules.update.build(None, ID, name="x"),
        Schedules.disable.build(None, ID),
        Schedules.enable.build(None, ID),
        Schedules.delete.build(None, ID),
        Schedules.run.build(None, ID),
        Schedules.set_state.build(None, ID, {"n": 1}),
    ]
    others: list[Call[Any]] = [
        Logs.list.build(None),
        Logs.get.build(None, ID),
        Keys.create.build(None, "x"),
        Keys.list.build(None),
        Keys.revoke.build(None, ID),
        Audit.list.build(None),
        Root.ping.build(None),
        Root.status.build(None),
        Root.overview.build(None),
        Root.nodes.build(None),
        Root.counts.build(None),
        Root.rates.build(None),
        Root.events.build(None),
        Root.pause.build(None),
        Root.resume.build(None),
        Root.pauses.build(None),
        Root.breakers.build(None),
        Root.origins.build(None),
        Root.reset_breakers.build(None),
        Root.prune.build(None),
        Root.broadcast.build(None, "x"),
    ]
    return [*jobs, *schedules, *others]


def test_every_operation_of_the_api_has_a_method_or_a_reason() -> None:
    """What the API can do, the client can ask for."""
    asked = {str(call) for call in calls()}
    known = {f"{op.method} {op.path}" for op in OPERATIONS}
    names = ("job_id", "schedule_id", "log_id", "key_id")

    def filled(operation: str) -> str:
        for name in names:
            operation = operation.replace(f"{{{name}}}", ID)
        return operation

    assert asked == {filled(operation) for operation in known - LEFT_OUT.keys()}
    assert LEFT_OUT.keys() <= known


@pytest.fixture
async def client(booper: Booper) -> AsyncIterator[AsyncClient]:
    """Return an asynchronous client of the running booper."""
    async with AsyncClient(
        "http://booper.test", KEY, transport=httpx.ASGITransport(booper.asgi)
    ) as asynchronous:
        yield asynchronous


async def test_a_job_is_created_read_listed_and_called_off(client: AsyncClient) -> None:
    """Times are aware datetimes, and a duration is a timedelta."""
    job = await client.jobs.create(
        method="post", url=URL, body={"a": 1}, schedule_in=timedelta(minutes=45), tags=["mail"]
    )
    assert (job.state, job.inserted_at) == ("scheduled", START)
    assert job.scheduled_at == START + timedelta(minutes=45)
    assert (await client.jobs.get(job.job_id)).id == job.id
    assert [found.id for found in await client.jobs.list(tag="mail", limit=5)] == [job.id]
    cancelled = await client.jobs.cancel(job.id)
    assert (cancelled.state, cancelled.is_finished) == ("cancelled", True)
    assert not (await client.jobs.retry(job.id)).is_finished


async def test_a_job_that_waits_can_be_sent_now_and_found_in_the_logs(
    client: AsyncClient, booper: Booper
) -> None:
    """Its request and the response are two entries."""
    job = await client.jobs.create(url=URL, schedule_in=(3, "days"))
    await client.jobs.run(job.id)
    await booper.wait_idle()
    assert (await client.jobs.get(job.id)).state == "completed"
    assert [each.id for each in await client.jobs.list(kind=["request", "callback"])] == [job.id]
    assert len(await client.jobs.list(kind="callback")) == 0
    entries = [entry async for entry in client.logs.iterate(job_id=job.job_id)]
    assert {entry.event for entry in entries} == {"worker.http.request", "worker.http.response"}
    assert await client.logs.get(entries[0].id) == entries[0]


async def test_all_pages_are_iterated_over(client: AsyncClient) -> None:
    """205 jobs are three pages of at most 100, and each comes once."""
    made = await client.jobs.create_many([{"url": URL, "schedule_in": 60}] * 205)
    assert {response.status for response in made} == {201}
    ids = [job.job_id async for job in client.jobs.iterate(order_by="id,asc")]
    assert ids == [response.data.job_id for response in made if response.data is not None]
    assert (await client.jobs.cancel_many(state="scheduled")).changed == 205
    assert (await client.jobs.retry_many(all=True, dry_run=True)).matched == 205
    counted = await client.jobs.retry_many(all=True, dry_run=True, through=ids[4], max_count=3)
    assert (counted.matched, counted.through, counted.is_partial) == (3, ids[4], True)
    assert (await client.jobs.retry_many(all=True, through=ids[4])).changed == 5
    assert (await client.jobs.run_many(tag="none")).matched == 0
    with pytest.raises(Invalid, match="every job"):
        await client.jobs.retry_many(dry_run=True)


async def test_one_wrong_job_of_many_has_its_own_answer(client: AsyncClient) -> None:
    """The others are created; with `atomic` none is."""
    jobs: Any = [{"url": URL, "schedule_in": 60}, {"url": "ftp://target.test"}]
    sound, wrong = await client.jobs.create_many(jobs)
    assert (sound.status, wrong.status) == (201, 422)
    assert wrong.error is not None
    assert [field.pointer for field in wrong.error.errors] == ["/url"]
    with pytest.raises(Invalid):
        await client.jobs.create_many(jobs, atomic=True)
    assert len(await client.jobs.list()) == 1


async def test_the_same_key_gives_the_first_job(client: AsyncClient) -> None:
    """The second create says so by `has_conflict`; without keys there are two jobs."""
    first = await client.jobs.create(url=URL, schedule_in=60, idempotency_key="k")
    again = await client.jobs.create(url=URL, schedule_in=60, idempotency_key="k")
    assert (again.id, again.has_conflict, first.has_conflict) == (first.id, True, False)
    with pytest.raises(Conflict):
        await client.jobs.create(url=URL, idempotency_key="k", on_conflict="reject")
    one, two = [await client.jobs.create(url=URL, schedule_in=60) for _ in range(2)]
    assert one.id != two.id


async def test_a_preview_stores_nothing(client: AsyncClient) -> None:
    """It tells the next times of a schedule: 12:00 is START itself, so the next hours."""
    preview = await client.jobs.preview(url="https://93.184.215.14/", cron="0 * * * *")
    assert preview.next_runs[0] == START + timedelta(hours=1)
    assert preview.guard.allowed
    assert len(await client.jobs.list()) == 0


async def test_a_schedule_lives_its_life(client: AsyncClient, booper: Booper) -> None:
    """It is read, changed, stopped, started, run and deleted."""
    first = await client.jobs.create(url=URL, cron="0 9 * * *")
    assert first.schedule_id is not None
    detail = await client.schedules.get(first.schedule_id, next_runs=2)
    tomorrow = datetime(2030, 1, 2, 9, tzinfo=UTC)
    assert detail.next_runs == (tomorrow, tomorrow + timedelta(days=1))
    changed = await client.schedules.update(detail.id, name="standup")
    assert (changed.name, changed.next_runs[0]) == ("standup", tomorrow)
    version = detail.state_version
    assert (await client.schedules.set_state(detail.id, {"n": 1.5})).state == {"n": 1.5}
    with pytest.raises(Conflict):
        await client.schedules.set_state(detail.id, {}, if_version=version)
    assert (await client.schedules.disable(detail.id)).disabled_at == START
    assert (await client.schedules.enable(detail.id)).disabled_at is None
    assert (await client.schedules.run(detail.id)).schedule_id == detail.id
    await booper.wait_idle()
    run, cancelled = await client.schedules.runs(detail.id)
    assert (run.state, run.planned_at, run.attempt) == ("completed", START, 1)
    assert (cancelled.state, cancelled.planned_at) == ("cancelled", tomorrow)
    assert [each.id for each in await client.schedules.list()] == [detail.id]
    assert [each.id async for each in client.schedules.iterate()] == [detail.id]
    await client.schedules.delete(detail.id)
    with pytest.raises(NotFound):
        await client.schedules.get(detail.id)


async def test_keys_are_made_used_and_revoked(client: AsyncClient, booper: Booper) -> None:
    """A key that reads is refused a create; a revoked one everything."""
    made = await client.keys.create("dashboard", scope="read")
    transport = httpx.ASGITransport(booper.asgi)
    async with AsyncClient("http://booper.test", made.key, transport=transport) as reader:
        assert len(await reader.jobs.list()) == 0
        with pytest.raises(Forbidden, match="booper keys create"):
            await reader.jobs.create(url=URL)
        await client.keys.revoke(made.id)
        with pytest.raises(Unauthenticated, match="api_key"):
            await reader.jobs.list()
    assert {key.name for key in await client.keys.list()} >= {"dashboard"}
    assert "dashboard" in [key.name async for key in client.keys.iterate()]


async def test_what_belongs_to_no_resource(client: AsyncClient) -> None:
    """The probes, the pauses, the breakers and the channels answer."""
    assert await client.ping() == {"message": "Pong"}
    assert await client.status() == {"status": "ready"}
    assert await client.pause("example.com") == {"paused": ["example.com"]}
    assert await client.resume("example.com") == {"paused": []}
    assert await client.breakers() == []
    (node,) = await client.nodes()
    assert (node.is_this, node.lease_age_seconds, node.clock_offset_seconds) == (True, None, 0.0)
    await client.pause(origin="https://paused.test")
    (paused,) = await client.pauses()
    assert paused.target == "https://paused.test"
    await client.resume(origin="https://paused.test")
    assert await client.reset_breakers("paused.test") == {"reset": []}
    assert (await client.broadcast("Hello", channel="toast")).content == "Hello"


async def test_the_blocking_client_does_the_same(booper: Booper) -> None:
    """One definition has both faces: here the other one, in a thread."""

    class Bridge(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return anyio.from_thread.run(ask, request)

    async def ask(request: httpx.Request) -> httpx.Response:
        inside = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.read()
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(booper.asgi)) as http:
            response = await http.send(inside)
        return httpx.Response(
            response.status_code, headers=response.headers, content=response.content
        )

    def work() -> list[int]:
        with Client("http://booper.test", KEY, transport=Bridge()) as client:
            client.jobs.create_many([{"url": URL, "schedule_in": 60}] * 101)
            with pytest.raises(NotFound):
                client.jobs.get(10**9)
            return [job.job_id for job in client.jobs.iterate()]

    assert len(set(await anyio.to_thread.run_sync(work))) == 101


JOB = {
    "id": ID,
    "job_id": 1,
    "inserted_at": "2030-01-01T12:00:00",
    "user_id": ID,
    "args": {},
    "surprise": "of a newer server",
    "job": {
        "id": 1,
        "state": "scheduled",
        "scheduled_at": "2030-01-01T12:00:00.000000Z",
        "inserted_at": "2030-01-01T12:00:00.000000Z",
    },
}
GOOD = httpx.Response(201, json={"data": JOB})


class Script:
    """A server that answers, or breaks off, as it is told; and what it saw."""

    def __init__(self, *outcomes: httpx.Response | Exception) -> None:
        self.outcomes = list(outcomes)
        self.bodies: list[Any] = []
        self.pauses: list[float] = []
        self.client = Client(
            "http://booper.test",
            KEY,
            transport=httpx.MockTransport(self._answer),
            sleep=self.pauses.append,
            now=lambda: START,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        self.bodies.append(json.loads(request.content or b"null"))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def refused(status: int, **headers: str) -> httpx.Response:
    """Return a response that says no."""
    return httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_a_create_is_tried_again_with_the_same_key() -> None:
    """Whether the first was carried out is unknown, so the key, kept an hour, is the same."""
    script = Script(httpx.ReadError("reset"), refused(503), httpx.ReadTimeout("slow"), GOOD)
    assert script.client.jobs.create(url=URL).job_id == 1
    first, *others = script.bodies
    assert first["idempotency_ttl"] == [1, "hour"]
    assert others == [first] * 3
    assert script.pauses == [0.25, 1.0, 4.0]


def test_it_gives_up_after_the_fourth_try() -> None:
    """The last error is the one that is told."""
    script = Script(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(Unreachable, match="booper serve") as told:
        script.client.jobs.create(url=URL)
    assert not told.value.may_have_happened
    assert script.outcomes == []


def test_what_must_not_happen_twice_is_not_tried_twice() -> None:
    """A run that may have left is the caller's to decide; one that has not left is repeated."""
    script = Script(httpx.ReadError("reset"))
    with pytest.raises(Unreachable, match="check before") as told:
        script.client.schedules.run(ID)
    assert told.value.may_have_happened
    with pytest.raises(ServerError):
        Script(refused(503)).client.schedules.run(ID)
    again = Script(httpx.ConnectError("refused"), refused(429), GOOD)
    assert again.client.schedules.run(ID).job_id == 1


@pytest.mark.parametrize(
    ("fields", "tries"),
    [
        ({}, 4),
        ({"idempotency_key": "k"}, 1),
        ({"idempotency_key": "k", "idempotency_ttl": 3600}, 4),
        ({"idempotency_key": "k", "cron": "@daily"}, 4),
        ({"idempotency_key": "k", "repeat_every": 60}, 4),
        ({"idempotency_key": "k", "idempotency_ttl": 3600, "on_conflict": "reject"}, 1),
    ],
)
def test_a_create_is_tried_again_only_under_a_key_that_stays_taken(fields: Any, tries: int) -> None:
    """A job's own key is free once it has finished (contract §5): a second try would be a second
    job; and one that is rejected would be told of as an error."""
    alone, among_others = (Script(*[httpx.ReadError("reset")] * 4) for _ in range(2))
    with pytest.raises(Unreachable, match="check before"):
        alone.client.jobs.create(url=URL, **fields)
    jobs: Any = [{"url": URL}, {"url": URL, **fields}]
    with pytest.raises(Unreachable, match="check before"):
        among_others.client.jobs.create_many(jobs)
    assert (len(alone.bodies), len(among_others.bodies)) == (tries, tries)


def test_retrying_many_is_not_tried_twice() -> None:
    """What failed again in between would be sent once more; counting them does no harm."""
    for dry_run, tries in ((False, 1), (True, 4)):
        script = Script(*[httpx.ReadError("reset")] * 4)
        with pytest.raises(Unreachable):
            script.client.jobs.retry_many(tag="x", dry_run=dry_run)
        assert len(script.bodies) == tries


async def test_a_create_whose_answer_is_lost_makes_one_job(booper: Booper) -> None:
    """Whoever's key it has, and though its job has finished before a second try could come."""
    inside = httpx.ASGITransport(booper.asgi)

    class Lossy(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await inside.handle_async_request(request)
            if request.method == "POST" and response.status_code == 201:
                await booper.wait_idle()
                raise httpx.ReadError("reset")
            return response

    async def no_time(seconds: float) -> None: ...

    async with AsyncClient("http://booper.test", KEY, transport=Lossy(), sleep=no_time) as client:
        assert (await client.jobs.create(url=URL)).state == "completed"
        with pytest.raises(Unreachable, match="check before"):
            await client.jobs.create(url=URL, idempotency_key="mine")
        assert len(await client.jobs.list()) == 2


@pytest.mark.parametrize(
    ("header", "pauses"),
    [("7", [7.0]), ("Tue, 01 Jan 2030 12:00:09 GMT", [9.0]), ("soon", [0.25]), ("", [0.25])],
)
def test_retry_after_is_heeded(header: str, pauses: list[float]) -> None:
    """In seconds or as a date (RFC 9110 §10.2.3); what is neither counts as absent."""
    script = Script(refused(429, retry_after=header), GOOD)
    script.client.jobs.create(url=URL)
    assert script.pauses == pauses


def test_a_long_wait_is_the_callers_to_decide() -> None:
    """More than half a minute is not slept through."""
    script = Script(refused(429, retry_after="3600"))
    with pytest.raises(TooManyRequests) as told:
        script.client.jobs.create(url=URL)
    assert (told.value.retry_after, script.pauses) == (3600.0, [])


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (413, Invalid),
        (415, Invalid),
        (422, Invalid),
        (500, ServerError),
    ],
)
def test_each_refusal_has_its_error(status: int, kind: type[ClientError]) -> None:
    """A problem's text is in it, and it is not tried again."""
    problem = {"title": "T", "detail": "D", "errors": [{"pointer": "/url", "detail": "W"}]}
    script = Script(httpx.Response(status, json=problem))
    with pytest.raises(kind, match=f"POST /api/jobs: {status} T: D"):
        script.client.jobs.create(url=URL)
    assert script.pauses == []


def test_a_response_that_is_not_boopers_is_told() -> None:
    """A page of something else that listens there is no job."""
    with pytest.raises(Unreadable, match="is it booper"):
        Script(httpx.Response(200, text="<html>")).client.jobs.get(1)
    broken = httpx.ByteStream(b"plain")
    with pytest.raises(Unreadable, match="encodes"):
        Script(
            httpx.Response(200, headers={"content-encoding": "gzip"}, stream=broken)
        ).client.ping()
    with pytest.raises(ServerError, match="500 Internal Server Error"):
        Script(httpx.Response(500, text="<html>")).client.jobs.get(1)


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (httpx.Response(200, text="<html>"), "the response is not JSON; is it booper"),
        (httpx.Response(200, json=[]), "the response is JSON, but not what booper responds"),
        (httpx.Response(200, json={"data": {"id": 5}}), "the response is JSON, but not what"),
        (httpx.Response(404, text="<html>"), "404 Not Found; booper did not write this response"),
        (
            httpx.Response(404, json={"detail": "No such page"}),
            "404 Not Found: No such page; booper did not write this response",
        ),
        (httpx.Response(405), "405 Method Not Allowed; booper did not write this response"),
    ],
)
def test_what_another_server_answers_is_told_in_plain_words(
    response: httpx.Response, told: str
) -> None:
    """Nothing of the types that the library reads JSON as, nor of how it reads."""
    with pytest.raises(ClientError) as caught:
        Script(response).client.jobs.get(1)
    assert told in str(caught.value)
    assert "`" not in str(caught.value)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda: Client("booper.test"), "base_url"),
        (lambda: Client("ftp://booper.test"), "base_url"),
        (lambda: Client(api_key="sk_a\n"), "api_key"),
        (lambda: Client().jobs.get(".."), "expected an id"),
        (lambda: Client().jobs.create(url=URL, scheduled_at=datetime(2030, 1, 1)), "zone"),
        (lambda: Client().jobs.create(url=URL, schedule_in="soon"), "45 minutes"),
        (lambda: Client().jobs.create(url=URL, body=object()), "JSON"),
        (lambda: Client().jobs.create(url=URL, **NO_LIST), "list of waits"),
    ],
)
def test_what_cannot_be_sent_is_told_before(act: Callable[[], Any], told: str) -> None:
    """Each says what was expected; nothing is asked of a server."""
    with pytest.raises(InvalidArgument, match=told):
        act()


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("api_key", 123, "api_key: expected a key such as sk_… as text, got an int"),
        ("api_key", b"sk_secret", "api_key: expected a key such as sk_… as text, got a bytes"),
        ("api_key", ("sk_secret",), "api_key: expected a key such as sk_… as text, got a tuple"),
        ("base_url", 2667, f"base_url: expected a URL such as {DEFAULT_URL}, got 2667"),
        ("base_url", None, f"base_url: expected a URL such as {DEFAULT_URL}, got None"),
        ("base_url", b"http://a.test", f"base_url: expected a URL such as {DEFAULT_URL}, got b'"),
        ("base_url", ("a.test", 80), f"base_url: expected a URL such as {DEFAULT_URL}, got ('a."),
    ],
)
def test_an_argument_of_another_type_is_named(
    kind: Callable[..., Any], name: str, value: Any, told: str
) -> None:
    """With what would be right; a key is never quoted."""
    with pytest.raises(InvalidArgument) as caught:
        kind(**{name: value})
    assert str(caught.value).startswith(told)
    assert "secret" not in str(caught.value)


def test_a_key_is_never_in_an_error() -> None:
    """Errors end in logs."""
    with pytest.raises(InvalidArgument) as told:
        Client(api_key="sk_secret\n")
    assert "secret" not in str(told.value)


def test_from_env_reads_two_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one counts as absent."""
    monkeypatch.setenv("BOOPER_URL", "http://10.0.0.1:1")
    monkeypatch.setenv("BOOPER_API_KEY", "")
    with Client.from_env() as client:
        http = client._sender.http
        assert (str(http.base_url), http.headers.get("authorization")) == (
            "http://10.0.0.1:1",
            None,
        )
