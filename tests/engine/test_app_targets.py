"""Jobs delivered to the program around booper, `app:/…`: no socket, all else as for any target."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Delivery
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.configs import one_sends
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

GOOD = "https://8.8.8.8/"
INSIDE = "app:/tasks"
DEADLINE_SECONDS = 10.0

Handler = Callable[[Request], Awaitable[Response]]


class Program:
    """A program around booper: records what arrives at `/tasks` and answers as it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[Request, bytes]] = []
        self.handler: Handler = ok
        self.app = Starlette(
            routes=[Route("/{path:path}", self._take, methods=["GET", "POST", "PUT", "DELETE"])]
        )

    async def _take(self, request: Request) -> Response:
        self.received.append((request, await request.body()))
        return await self.handler(request)


async def ok(request: Request) -> Response:
    """Answer some JSON."""
    return JSONResponse({"done": True})


@pytest.fixture
def program() -> Program:
    """Return the program that is around booper."""
    return Program()


@pytest.fixture
async def booper(
    config: Config, clock: VirtualClock, target: FakeTarget, program: Program
) -> AsyncIterator[Booper]:
    """Run a booper inside the program."""
    async with (
        Booper(
            config,
            api_key=KEY,
            clock=clock,
            random=Random(1),
            transport=target,
            app=program.app,
        ) as running,
        asyncio.timeout(DEADLINE_SECONDS),
    ):
        yield running


def inside(application: ASGIApp, user: str = "app") -> Api:
    """Return a client that calls as the program around booper does."""
    client = Api(application)
    client.headers["Booper-User"] = user
    return client


@pytest.fixture
async def own(booper: Booper) -> AsyncIterator[Api]:
    """Return the program's own way to its booper."""
    async with inside(booper.administration) as client:
        yield client


async def delivered(
    booper: Booper, own: Api, url: str = INSIDE, **fields: object
) -> dict[str, Any]:
    """Create a job as the program does, let it be sent, and return its inner state."""
    response = await own.post("/api/jobs", json={"url": url, "max_attempts": 1, **fields})
    assert response.status_code == 201, response.text
    await booper.wait_idle()
    shown = await own.get(f"/api/jobs/{response.json()['data']['job_id']}")
    job: dict[str, Any] = shown.json()["data"]["job"]
    return job


async def entry(own: Api, event: str) -> dict[str, Any]:
    """Return the payload of the only log entry of an event."""
    [found] = (await own.get("/api/logs", params={"event": event})).json()["data"]
    payload: dict[str, Any] = found["payload"]
    return payload


# --- what arrives ---------------------------------------------------------------------------------


async def test_a_job_is_delivered_to_the_program(
    booper: Booper, own: Api, program: Program, target: FakeTarget
) -> None:
    """Method, path, query, headers and body are the job's; nothing leaves over the transport."""
    job = await delivered(
        booper,
        own,
        "app:/tasks/send%20mail?to=a&to=b",
        method="post",
        body={"to": "jane"},
        headers={"X-Own": "1"},
    )
    [(request, body)] = program.received
    assert (request.method, request.scope["path"]) == ("POST", "/tasks/send mail")
    assert request.scope["raw_path"] == b"/tasks/send%20mail"
    assert request.query_params.getlist("to") == ["a", "b"]
    assert (body, request.headers["content-length"]) == (b'{"to":"jane"}', "13")
    assert request.headers["x-own"] == "1"
    assert request.headers["booper-attempt"] == "1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == "localhost"
    assert job["state"] == "completed"
    assert target.received == []


@pytest.mark.parametrize("host", ["app.example", "localhost:8000", "[::1]:8000"])
async def test_the_host_header_is_what_the_program_expects(
    config: Config, clock: VirtualClock, program: Program, host: str
) -> None:
    """`[delivery] app_host` passes the host checks of Django and Starlette."""
    checked = TrustedHostMiddleware(
        program.app, allowed_hosts=[host.rpartition(":")[0] or host, host]
    )
    config = replace(config, delivery=Delivery(app_host=host))
    async with Booper(config, clock=clock, transport=FakeTarget(), app=checked) as booper:
        job = await booper.jobs.create(url=INSIDE, max_attempts=1)
        await booper.wait_idle()
        [(request, _)] = program.received
        assert request.headers.getlist("host") == [host]
        assert (await booper.jobs.get(job.job_id)).state == "completed"


@pytest.mark.parametrize(
    ("allowed", "state"), [("localhost", "completed"), ("app.example", "discarded")]
)
async def test_the_host_header_passes_a_check_for_this_machine(
    config: Config, clock: VirtualClock, program: Program, allowed: str, state: str
) -> None:
    """`localhost`, the default, is what such checks allow while a program is written.

    Django's allows it where DEBUG is set and ALLOWED_HOSTS is not. Where a program expects another
    name, its check refuses the request, and `[delivery] app_host` is to be that name.
    """
    checked = TrustedHostMiddleware(program.app, allowed_hosts=[allowed])
    async with Booper(config, clock=clock, transport=FakeTarget(), app=checked) as booper:
        job = await booper.jobs.create(url=INSIDE, max_attempts=1)
        await booper.wait_idle()
        assert (await booper.jobs.get(job.job_id)).state == state


async def test_what_a_program_raises_is_logged_with_job_and_path(
    booper: Booper, own: Api, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    """The query is left out: it may hold secrets."""

    async def fail(request: Request) -> Response:
        raise RuntimeError("no such table")

    program.handler = fail
    job = await delivered(booper, own, "app:/tasks/send%20mail?key=secret", method="post")
    [record] = [each for each in caplog.records if each.exc_info]
    assert record.getMessage() == (
        f"job {job['id']}: the app raised while it handled POST /tasks/send mail"
    )
    assert "secret" not in caplog.text


@pytest.mark.parametrize("status", [404, 405, 307, 403])
async def test_a_path_that_the_program_does_not_have_is_in_its_log(
    booper: Booper,
    own: Api,
    program: Program,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    """A typo in `app:/…` is a warning that names job, method and path, without the query."""

    async def response(request: Request) -> Response:
        return Response(status_code=status)

    program.handler = response
    job = await delivered(booper, own, "app:/taks?key=secret", method="post", max_attempts=2)
    [line] = [each for each in caplog.records if "responded" in each.getMessage()]
    assert line.levelno == logging.WARNING
    assert line.getMessage().startswith(
        f"job {job['id']} attempt 1: POST app:/taks responded {status} in "
    )
    assert "secret" not in caplog.text


async def test_a_booper_inside_a_program_adds_no_lines_of_a_server(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """Its sockets beside the database come and go in silence; the program's own server tells."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "uvicorn")  # which a command of an earlier test has set
    async with Booper(config, transport=FakeTarget()):
        logging.getLogger("uvicorn.error").info("Started server process")
    assert [each.getMessage() for each in caplog.records if each.name.startswith("uvicorn")] == [
        "Started server process"
    ]


async def test_what_was_delivered_is_logged(booper: Booper, own: Api, program: Program) -> None:
    """Request and answer are log entries like any other's."""
    await delivered(booper, own)
    assert (await entry(own, "worker.http.request"))["url"] == "app:/tasks"
    response = await entry(own, "worker.http.response")
    assert (response["status"], response["body"]) == (200, {"done": True})


async def test_the_program_can_tell_its_own_jobs(
    booper: Booper, own: Api, program: Program
) -> None:
    """A delivery has a mark in its scope, where nothing that comes over a socket can put one."""
    await delivered(booper, own)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(program.app), base_url="https://program.test"
    ) as stranger:
        await stranger.get("/tasks", headers={"booper.delivered": "1"})
    marks = [request.scope.get("booper.delivered") for request, _ in program.received]
    assert marks == [True, None]


async def test_a_schedule_remembers_what_the_program_answers(
    booper: Booper, own: Api, program: Program, clock: VirtualClock
) -> None:
    """Dynamic fields and `$set` work as with any target."""

    async def count(request: Request) -> Response:
        return JSONResponse({"$set": {"seen": len(program.received)}})

    program.handler = count
    body = {"seen": "$state.seen"}
    await delivered(booper, own, method="post", body=body, metadata=False, repeat_every=60)
    clock.advance(timedelta(seconds=60))
    await booper.wait_idle()
    assert [body for _, body in program.received] == [b'{"seen":null}', b'{"seen":1}']


async def test_reports_can_come_home(
    booper: Booper, own: Api, program: Program, target: FakeTarget
) -> None:
    """Callback and webhook of the program's own job may be its own paths."""
    await delivered(booper, own, GOOD, callback_url="app:/called", webhook_url="app:/hook")
    paths = [request.url.path for request, _ in program.received]
    assert sorted(paths) == ["/called", "/hook", "/hook", "/hook", "/hook"]
    assert [str(request.url) for request in target.received] == [GOOD]


# --- outcomes -------------------------------------------------------------------------------------


async def test_a_failure_is_tried_again(
    booper: Booper, own: Api, program: Program, clock: VirtualClock
) -> None:
    """A 500 fails the attempt; the next one has the same key and the next number."""

    async def fail_once(request: Request) -> Response:
        return Response(status_code=500 if len(program.received) == 1 else 200)

    program.handler = fail_once
    job = await delivered(booper, own, max_attempts=2, backoff=[10])
    assert (job["state"], job["last_error"]) == ("retryable", "the target responded 500")
    clock.advance(timedelta(seconds=10))
    await booper.wait_idle()
    headers = [request.headers for request, _ in program.received]
    assert [each["booper-attempt"] for each in headers] == ["1", "2"]
    assert headers[0]["idempotency-key"] == headers[1]["idempotency-key"]


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    """A program that does not even respond with 500."""
    raise RuntimeError("a mistake")


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """A program that ends without a response."""


@pytest.mark.parametrize("app", [raising, silent])
async def test_a_program_that_does_not_answer_has_answered_500(
    config: Config, clock: VirtualClock, app: ASGIApp, caplog: pytest.LogCaptureFixture
) -> None:
    """That is what any server makes of it; what was raised is in the process's log."""
    async with (
        Booper(config, clock=clock, transport=FakeTarget(), app=app) as booper,
        inside(booper.administration) as own,
    ):
        with caplog.at_level(logging.ERROR):
            job = await delivered(booper, own)
    assert job["last_error"] == "the target responded 500"
    assert ("a mistake" in caplog.text) == (app is raising)


async def test_a_response_that_breaks_off_is_a_failure(
    booper: Booper, own: Api, program: Program
) -> None:
    """Half a response is none."""

    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the rest is lost")

    async def break_off(request: Request) -> Response:
        return StreamingResponse(half())

    program.handler = break_off
    job = await delivered(booper, own)
    assert job["state"] == "discarded"
    error = await entry(own, "worker.http.error")
    assert (error["error"], error["message"]) == ("read", "the app ended before its response did")


async def test_a_timeout_cuts_the_program_off(booper: Booper, own: Api, program: Program) -> None:
    """The attempt ends at its time, and what it had begun does not go on beside the next one."""
    ended = asyncio.Event()

    async def hang(request: Request) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Response()

    program.handler = hang
    job = await delivered(booper, own, timeout=0.05)
    assert job["last_error"] == "timeout: no response within 0.05 s"
    await ended.wait()


async def test_a_timeout_holds_for_the_body_too(booper: Booper, own: Api, program: Program) -> None:
    """A response that begins and then stands still is cut off as well."""
    ended = asyncio.Event()

    async def stand_still() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def begin(request: Request) -> Response:
        return StreamingResponse(stand_still())

    program.handler = begin
    job = await delivered(booper, own, timeout=0.05)
    assert job["last_error"] == "timeout: no response within 0.05 s"
    await ended.wait()


async def test_a_response_without_end_is_cut(
    booper: Booper,
    own: Api,
    program: Program,
    config: Config,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is kept up to `max_response_bytes`; the program is told that nobody reads on."""
    ended = asyncio.Event()

    class Endless(StreamingResponse):
        async def stream_response(self, send: Send) -> None:
            try:
                await super().stream_response(send)
            finally:
                ended.set()

    async def for_ever() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    async def stream(request: Request) -> Response:
        return Endless(for_ever())

    program.handler = stream
    job = await delivered(booper, own)
    assert job["state"] == "completed"
    response = await entry(own, "worker.http.response")
    assert len(response["body"]) == config.delivery.max_response_bytes
    await ended.wait()
    assert "the app raised" not in caplog.text


async def test_what_follows_a_response_is_done(booper: Booper, own: Api, program: Program) -> None:
    """A background task goes on after the job has ended, and holds up nothing."""
    go, done = asyncio.Event(), asyncio.Event()

    async def afterwards() -> None:
        await go.wait()
        done.set()

    async def answer_first(request: Request) -> Response:
        return Response(background=BackgroundTask(afterwards))

    program.handler = answer_first
    assert (await delivered(booper, own))["state"] == "completed"
    assert not done.is_set()
    go.set()
    await done.wait()


async def test_a_stop_waits_for_what_follows_a_response(
    config: Config, clock: VirtualClock, program: Program
) -> None:
    """It has the grace of any attempt; what it still asks of booper is done."""
    go, done = asyncio.Event(), asyncio.Event()
    booper = Booper(config, clock=clock, transport=FakeTarget(), app=program.app)
    own = inside(booper.administration)

    async def afterwards() -> None:
        await go.wait()
        response = await own.post("/api/jobs", json={"url": GOOD, "schedule_in": 60})
        assert response.status_code == 201
        done.set()

    async def answer_first(request: Request) -> Response:
        return Response(background=BackgroundTask(afterwards))

    program.handler = answer_first
    async with own, booper:
        await delivered(booper, own)
        asyncio.get_running_loop().call_later(0.05, go.set)
    assert done.is_set()


async def test_a_failing_program_is_spared_as_a_host(
    booper: Booper, own: Api, program: Program
) -> None:
    """Twenty 503 in a row, and it is only probed; it is known as `app:`, which no host can be."""

    async def busy(request: Request) -> Response:
        return Response(status_code=503)

    program.handler = busy
    for _ in range(20):
        await delivered(booper, own)
    [breaker] = (await own.get("/api/breakers")).json()["data"]
    assert breaker["origin"] == "app:"


async def test_the_program_can_be_paused(
    booper: Booper, own: Api, program: Program, target: FakeTarget
) -> None:
    """By the same name; other targets go on."""
    await own.post("/api/pause", json={"host": "app:"})
    await delivered(booper, own)
    await delivered(booper, own, GOOD)
    assert (len(program.received), len(target.received)) == (0, 1)
    await own.post("/api/resume", json={"host": "app:"})
    await booper.wait_idle()
    assert len(program.received) == 1


# --- who may --------------------------------------------------------------------------------------


def refused(response: httpx.Response, pointer: str) -> None:
    """Check that a URL was refused, and that the response says what would be right."""
    assert response.status_code == 422, response.text
    [error] = response.json()["errors"]
    assert error["pointer"] == pointer
    assert "Booper(config, app=…)" in error["detail"]
    assert "https://" in error["detail"]


@pytest.mark.parametrize("key_user", ["default", "app"])
@pytest.mark.parametrize("field", ["url", "callback_url", "webhook_url"])
async def test_nobody_from_outside_reaches_the_program(
    booper: Booper, own: Api, program: Program, field: str, key_user: str
) -> None:
    """No way in takes such a URL with a key, were it an administrator's and of the same user."""
    asked = {"name": "outside", "user": key_user, "scope": "admin"}
    key = (await own.post("/api/keys", json=asked)).json()["data"]["key"]
    fields = {"url": GOOD, "schedule_in": 3600, field: INSIDE}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(booper.asgi),
        base_url="http://booper.test",
        headers={"Authorization": f"Bearer {key}", "Booper-User": "app"},
    ) as api:
        refused(await api.post("/api/jobs", json=fields), f"/{field}")
        refused(await api.post("/api/jobs?dry_run=true", json=fields), f"/{field}")
        [response] = (await api.post("/api/jobs/batch", json={"jobs": [fields]})).json()["data"]
        assert response["error"]["errors"][0]["pointer"] == f"/{field}"
        made = await api.post("/api/jobs", json=fields | {field: GOOD, "repeat_every": 3600})
        schedule = f"/api/schedules/{made.json()['data']['schedule_id']}"
        refused(await api.patch(schedule, json={field: INSIDE}), f"/{field}")
    assert program.received == []


async def test_the_name_of_a_user_opens_nothing_outside(booper: Booper) -> None:
    """The header has an effect only behind the administrator's socket."""
    async with inside(booper.asgi) as stranger:
        assert (await stranger.get("/api/jobs")).status_code == 401
        assert (await stranger.post("/api/jobs", json={"url": GOOD})).status_code == 401


async def test_a_schedule_of_the_program_is_not_bent_from_outside(
    booper: Booper, own: Api, program: Program
) -> None:
    """A key of the same user may run it as it is, but with no body of its own, nor change it."""
    made = await own.post(
        "/api/jobs", json={"url": INSIDE, "method": "post", "schedule_in": 60, "repeat_every": 60}
    )
    schedule = f"/api/schedules/{made.json()['data']['schedule_id']}"
    asked = {"name": "outside", "user": "app"}
    key = (await own.post("/api/keys", json=asked)).json()["data"]["key"]
    async with Api(booper.asgi, key) as api:
        refused(await api.post(f"{schedule}/run", json={"body": {"amount": 1}}), "/url")
        refused(await api.patch(schedule, json={"body": {"amount": 1}}), "/url")
        refused(await api.patch(schedule, json={"headers": {"X-Amount": "1"}}), "/url")
        assert (await api.post(f"{schedule}/run")).status_code == 201
    assert (await own.post(f"{schedule}/run", json={"body": {"amount": 2}})).status_code == 201
    await booper.wait_idle()
    assert len(program.received) == 2


async def test_a_redirect_never_leads_into_the_program(
    booper: Booper, own: Api, program: Program, target: FakeTarget
) -> None:
    """A target that answers with such a location has its job discarded, and nothing arrives."""
    target.respond(httpx.Response(302, headers={"Location": INSIDE}))
    job = await delivered(booper, own, GOOD, follow_redirects=True, max_attempts=3)
    assert job["state"] == "discarded"
    assert program.received == []


@pytest.mark.parametrize("location", ["/other", "app:/other", GOOD])
async def test_a_redirect_of_the_program_is_not_followed(
    booper: Booper, own: Api, program: Program, target: FakeTarget, location: str
) -> None:
    """It is a response that is not 2xx; the program says itself where its jobs go."""

    async def redirect(request: Request) -> Response:
        return RedirectResponse(location)

    program.handler = redirect
    job = await delivered(booper, own, follow_redirects=True)
    assert job["last_error"] == "the target responded 307"
    assert (len(program.received), target.received) == (1, [])


@pytest.mark.parametrize(
    "url", ["app:", "app:tasks", "app://tasks", "app://tasks/x", "app:?x", "APP:x", "app:/a b"]
)
async def test_a_url_inside_is_a_path(own: Api, url: str) -> None:
    """There is one program, and so no host; a path begins with a slash."""
    response = await own.post("/api/jobs", json={"url": url})
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == ["/url"]


async def test_a_dry_run_tells_what_would_arrive(own: Api, program: Program) -> None:
    """The guard lets it in, and looks no name up."""
    response = await own.post("/api/jobs?dry_run=true", json={"url": "APP:/tasks"})
    shown = response.json()["data"]
    assert shown["guard"] == {"allowed": True, "reason": None}
    assert program.received == []


# --- where there is a program ---------------------------------------------------------------------


async def test_without_a_program_such_a_url_is_refused(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """Even from inside: what could not be delivered is not accepted."""
    async with (
        Booper(config, clock=clock, transport=target) as booper,
        inside(booper.administration) as own,
    ):
        refused(await own.post("/api/jobs", json={"url": INSIDE}), "/url")


@one_sends
async def test_a_job_waits_for_the_program_to_be_back(
    config: Config, clock: VirtualClock, program: Program
) -> None:
    """A process without it (a script over the same database) fails the attempt, no more."""
    async with (
        Booper(config, clock=clock, transport=FakeTarget(), app=program.app) as booper,
        inside(booper.administration) as own,
    ):
        response = await own.post("/api/jobs", json={"url": INSIDE, "schedule_in": 1})
        path = response.headers["location"]
    clock.advance(timedelta(seconds=1))
    async with (
        Booper(config, clock=clock, transport=FakeTarget()) as booper,
        inside(booper.administration) as own,
    ):
        await booper.wait_idle()
        job = (await own.get(path)).json()["data"]["job"]
        assert job["state"] == "retryable"
        assert "this process has no app" in job["last_error"]
        assert "this process has no app" in (await entry(own, "worker.http.error"))["message"]
    assert program.received == []


async def test_a_lifespan_brings_its_program(
    config: Config, clock: VirtualClock, program: Program
) -> None:
    """booper is there before the program it will be inside, and then delivers to that."""
    booper = Booper(config, clock=clock, transport=FakeTarget())
    app = Starlette(routes=[Mount("/inner", program.app)], lifespan=booper.lifespan)
    async with app.router.lifespan_context(app), inside(booper.administration) as own:
        await delivered(booper, own, "app:/inner/tasks")
    [(request, _)] = program.received
    assert request.scope["app"] is program.app
    assert request.url.path == "/inner/tasks"


async def test_a_given_program_goes_over_that_of_the_lifespan(
    config: Config, clock: VirtualClock, program: Program
) -> None:
    """Such as one with more middleware around it."""
    booper = Booper(config, clock=clock, transport=FakeTarget(), app=program.app)
    app = Starlette(lifespan=booper.lifespan)
    async with app.router.lifespan_context(app), inside(booper.administration) as own:
        await delivered(booper, own)
    assert len(program.received) == 1


@one_sends
async def test_of_several_workers_the_holder_delivers_to_itself(
    config: Config, program: Program
) -> None:
    """A follower's create is handed to it; all of them run the same program."""
    other = Program()
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        Booper(config, transport=FakeTarget(), app=program.app) as holder,
        Booper(config, transport=FakeTarget(), app=other.app) as follower,
        inside(follower.administration) as own,
    ):
        assert (await own.post("/api/jobs", json={"url": INSIDE})).status_code == 201
        await holder.wait_idle()
        async with inside(follower.asgi) as stranger:
            assert (await stranger.post("/api/jobs", json={"url": INSIDE})).status_code == 401
    assert (len(program.received), len(other.received)) == (1, 0)
