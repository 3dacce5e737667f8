"""booper inside a program: the README's examples as they stand, and the calls that need no HTTP."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from booper.app import Booper
from booper.client import Conflict, NotFound
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import ConfigError
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.documents import BLOCKS
from tests.support.processes import DEADLINE_SECONDS, listening_target, run, until
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

STARLETTE, FASTAPI, SCRIPT = (
    text for kind, text in BLOCKS if kind == "python" and "from booper.app" in text
)
URL = "https://example.com/x"
_RUNNING = re.compile(r"running on (http://\S+)")


# --- the README -----------------------------------------------------------------------------------


@contextmanager
def uvicorn(folder: Path, program: str) -> Iterator[tuple[httpx.Client, Path]]:
    """Save a program as `main.py` and serve it as its writer would; return a client and the log."""
    (folder / "main.py").write_text(program)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "main:app", "--port", "0"],
            cwd=folder,
            stdout=output,
            stderr=output,
        )
        try:
            url = until(lambda: _RUNNING.search(log.read_text()), "it said where it listens")[1]  # type: ignore[index]
            with httpx.Client(base_url=url, trust_env=False) as client:
                yield client, log
        finally:
            process.terminate()
            process.wait(timeout=DEADLINE_SECONDS)


def test_the_starlette_program_sends_its_mail(tmp_path: Path) -> None:
    """It runs as it stands: the mail is sent once, and nobody but the program is let in."""
    with uvicorn(tmp_path, STARLETTE) as (client, log):
        for _ in range(2):
            response = client.post("/sign-up", json={"email": "jane@example.com"})
            assert (response.status_code, response.json()) == (202, {"job": 1})
        key = run(tmp_path, "keys", "create", "test", "--user", "app").stdout.split()[-1]
        run_now = client.post("/booper/api/jobs/1/run", headers={"Authorization": f"Bearer {key}"})
        assert run_now.status_code == 200
        until(lambda: "a mail to jane@example.com" in log.read_text(), "the mail was sent")
        assert client.post("/tasks/welcome", json={"to": "x"}).status_code == 403
        assert client.get("/booper/api/ping").json() == {"message": "Pong"}
        assert client.get("/booper/api/jobs").status_code == 401
    assert log.read_text().count("a mail to") == 1
    assert "Traceback" not in log.read_text()


async def test_the_fastapi_program_has_its_schedule_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it starts there is one schedule, whose run the program answers itself."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        names: dict[str, Any] = {"__name__": "main"}
        exec(compile(FASTAPI, "main.py", "exec"), names)
        app, booper = names["app"], names["booper"]
        assert isinstance(app, FastAPI)
        assert isinstance(booper, Booper)
        async with app.router.lifespan_context(app):
            [schedule] = await booper.schedules.list()
            job = await booper.schedules.run(schedule.id)
            await booper.wait_idle()
            assert (await booper.jobs.get(job.job_id)).state == "completed"
            entries = await booper.logs.list(job_id=job.job_id, event="worker.http.response")
            assert [entry.payload["body"] for entry in entries] == [{"report": "all is well"}]
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://main.test"
            ) as stranger:
                assert (await stranger.post("/tasks/report")).status_code == 403
                assert "/tasks/report" not in (await stranger.get("/openapi.json")).text


def test_the_script_tells_what_became_of_its_job(tmp_path: Path) -> None:
    """It sends one request to this machine, prints the end of it, and ends."""
    with listening_target() as target:
        script = SCRIPT.replace("http://127.0.0.1:3000", target.url)
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert (done.stdout, done.returncode) == ("completed\n", 0), done.stderr
        assert target.paths() == ["/ready"]


# --- calls without HTTP ---------------------------------------------------------------------------


async def test_a_program_creates_and_reads_its_jobs(booper: Booper, clock: VirtualClock) -> None:
    """What is created is there, with its time, and a second one of the same key is the first."""
    job = await booper.jobs.create(
        url=URL, schedule_in=timedelta(minutes=45), idempotency_key="once"
    )
    assert job.scheduled_at == clock.now() + timedelta(minutes=45)
    assert await booper.jobs.get(job.job_id) == job
    again = await booper.jobs.create(url=URL, idempotency_key="once")
    assert (again.id, again.has_conflict) == (job.id, True)
    assert [each.id for each in await booper.jobs.list()] == [job.id]


async def test_a_program_is_told_what_is_wrong(booper: Booper) -> None:
    """By the errors of the client, as if there were HTTP between."""
    with pytest.raises(NotFound):
        await booper.jobs.get(999)
    await booper.jobs.create(url=URL, schedule_in=60, idempotency_key="once")
    with pytest.raises(Conflict):
        await booper.jobs.create(url=URL, idempotency_key="once", on_conflict="reject")


async def test_a_program_acts_for_a_user_of_its_own(booper: Booper, api: Api) -> None:
    """Who has a key of another user sees nothing of it; one of that user sees all."""
    await booper.jobs.create(url=URL, schedule_in=60)
    assert (await api.get("/api/jobs")).json()["data"] == []
    key = (await booper.keys.create(name="to look", user="app")).key
    shown = await api.get("/api/jobs", headers={"Authorization": f"Bearer {key}"})
    assert [job["args"]["url"] for job in shown.json()["data"]] == [URL]


@pytest.mark.parametrize("user", ["default", "jörg & co"])
async def test_a_program_may_act_for_another_user(
    config: Config, clock: VirtualClock, user: str
) -> None:
    """Such as the one whose keys are there already; any name will do that a user can have."""
    booper = Booper(config, api_key=KEY, clock=clock, transport=FakeTarget(), user=user)
    async with booper:
        await booper.jobs.create(url=URL, schedule_in=60)
        key = (await booper.keys.create(name="to look", user=user)).key
        async with Api(booper.asgi, key) as api:
            assert len((await api.get("/api/jobs")).json()["data"]) == 1


@pytest.mark.parametrize("user", ["", " ", "a\nb", "x" * 101])
def test_a_user_has_a_name(config: Config, user: str) -> None:
    """What can name no user is refused at once."""
    with pytest.raises(ConfigError, match="user: must have 1 to 100 printable characters"):
        Booper(config, user=user)


# An argument and a value that it cannot have, with what the message says.
WRONG: list[tuple[str, Any, str]] = [
    ("api_key", 123, "api_key: expected text such as 'sk_…', got int"),
    ("api_key", b"sk_secret_0123456789", "api_key: expected text such as 'sk_…', got bytes"),
    ("api_key", ["sk_secret_0123456789"], "api_key: expected text such as 'sk_…', got list"),
    ("user", 123, "user: expected the name of a user as text, got 123"),
    ("user", None, "user: expected the name of a user as text, got None"),
    ("user", b"app", "user: expected the name of a user as text, got b'app'"),
    ("address", 8080, "address: expected a host and a port"),
    ("address", "127.0.0.1:80", 'such as ("127.0.0.1", 2667)'),
    ("address", ("127.0.0.1", "80"), "got ('127.0.0.1', '80')"),
    ("address", ("", 80), "got ('', 80)"),
    ("address", ("127.0.0.1", 65_536), "got ('127.0.0.1', 65536)"),
    ("address", ("127.0.0.1", -1), "got ('127.0.0.1', -1)"),
    ("address", ("127.0.0.1", True), "got ('127.0.0.1', True)"),
    ("address", [("127.0.0.1", 80), ("::1",)], "got ('::1',)"),
    ("address", [b"127.0.0.1"], "got b'127.0.0.1'"),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG)
def test_an_argument_of_another_type_is_named(
    config: Config, name: str, value: Any, told: str
) -> None:
    """Before anything is opened; a key is never quoted."""
    with pytest.raises(ConfigError) as caught:
        Booper(config, **{name: value})
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{name}: expected")
    assert "secret" not in str(caught.value)


async def test_there_is_nobody_to_ask_before_the_start_and_after_the_stop(
    config: Config, clock: VirtualClock
) -> None:
    """A call then says what to do."""
    booper = Booper(config, clock=clock, transport=FakeTarget())
    with pytest.raises(RuntimeError, match="async with booper"):
        _ = booper.jobs
    async with booper:
        assert len(await booper.jobs.list()) == 0
    with pytest.raises(RuntimeError, match="async with booper"):
        _ = booper.jobs


# --- several workers ------------------------------------------------------------------------------


def worker(config: Config, target: FakeTarget, seed: int) -> Booper:
    """Make a booper as a worker process does: on the machine's clock."""
    return Booper(config, api_key=KEY, random=Random(seed), transport=target)


@pytest.fixture
async def holder(config: Config, target: FakeTarget) -> AsyncIterator[Booper]:
    """Run the booper that holds the database."""
    async with worker(config, target, 1) as running:
        yield running


@pytest.fixture
async def follower(holder: Booper, config: Config) -> AsyncIterator[Booper]:
    """Run one that follows."""
    async with worker(config, FakeTarget(), 2) as running:
        yield running


async def test_what_a_follower_creates_the_holder_sends(
    holder: Booper, follower: Booper, target: FakeTarget
) -> None:
    """Both act for the same user, and see the same jobs."""
    job = await follower.jobs.create(url=URL)
    await holder.wait_idle()
    assert (await holder.jobs.get(job.job_id)).state == "completed"
    assert await follower.jobs.get(job.job_id) == await holder.jobs.get(job.job_id)
    assert [str(request.url) for request in target.received] == [URL]


async def test_a_create_survives_the_end_of_the_holder(holder: Booper, follower: Booper) -> None:
    """A follower's calls go on with the one that takes over, which may be itself."""
    first = await follower.jobs.create(url=URL, schedule_in=3600)
    await holder.__aexit__(None, None, None)
    second = await follower.jobs.create(url=URL, schedule_in=3600)
    assert {job.id for job in await follower.jobs.list()} == {first.id, second.id}
    await follower.wait_idle()
