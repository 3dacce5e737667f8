"""What this machine lacks is never blamed on a target: it costs no attempt and opens no breaker."""

import errno
import logging
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.engine.shortages import FIRST_PAUSE, MAX_PAUSE, Shortages
from booper.errors import Shortage
from booper.http.errors import ConnectError
from booper.server.files import OWN_FILES
from booper.shortage import descriptor_shortage, port_shortage_of, shortage_of
from tests.conftest import START
from tests.support.processes import allow_local_targets, listening_target, serving, until
from tests.support.target import FakeTarget

SHORTAGES: list[Exception] = [
    *(
        OSError(number, os.strerror(number))
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN)
    ),
    MemoryError(),
    RuntimeError("can't start new thread"),
    Shortage("no local port is left"),
]
TROUBLES: list[Exception] = [
    ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    socket.gaierror(errno.EAGAIN, "a number of another list"),
    ssl.SSLError(errno.ENOMEM, "a number of another list"),
    TimeoutError(),
    RuntimeError("anything else"),
    httpx.ConnectError("refused"),
    ConnectError("refused"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=repr)
def test_a_shortage_is_told_from_what_an_error_says(error: Exception) -> None:
    """Descriptors, memory, buffers, ports and threads are this machine's (errno(3))."""
    assert isinstance(shortage_of(error), Shortage)


@pytest.mark.parametrize("error", TROUBLES, ids=repr)
def test_trouble_of_a_target_or_the_network_is_no_shortage(error: Exception) -> None:
    """What the other side does is an outcome of the attempt, as are numbers of other lists."""
    assert shortage_of(error) is None


def test_a_machine_without_an_address_of_the_family_lacks_no_port() -> None:
    """The same error is a shortage only where the address can be reached at all.

    255.255.255.255 cannot be connected to without leave to broadcast, by no kind of socket.
    """
    error = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    assert isinstance(port_shortage_of(error, "127.0.0.1", 9), Shortage)
    assert port_shortage_of(error, "255.255.255.255", 9) is None
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert port_shortage_of(refused, "127.0.0.1", 9) is None


def test_descriptors_are_not_short_here() -> None:
    """What looks for a shortage finds none, and leaves none behind."""
    before = len(os.listdir("/proc/self/fd"))
    assert descriptor_shortage() is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_pause_doubles_until_an_attempt_is_made(caplog: pytest.LogCaptureFixture) -> None:
    """Those who meet a shortage together pause alike: 1, 1, 2, 4, 8, 10, 10 s; then 1 s again."""
    shortages, now, pauses = Shortages(), START, list[timedelta]()
    for wait in (0, 1, 2, 4, 8, 10, 10):
        now += timedelta(seconds=wait)
        pauses.append(shortages.pause_after(Shortage("none left"), now))
    assert [pause.total_seconds() for pause in pauses] == [1, 2, 4, 8, 10, 10, 10]
    assert shortages.pause_after(Shortage("none left"), now) == MAX_PAUSE
    shortages.end()
    assert shortages.pause_after(Shortage("none left"), now) == FIRST_PAUSE


def test_many_shortages_at_once_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred in a moment are one line, and the next line, ten seconds on, counts the others."""
    shortages = Shortages()
    with caplog.at_level(logging.ERROR, "booper"):
        for _ in range(100):
            shortages.pause_after(Shortage("none left"), START)
        shortages.pause_after(Shortage("none left"), START + timedelta(seconds=10))
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("1 attempts could not be made: none left")
    assert second.startswith("100 attempts could not be made: none left")


@pytest.mark.anyio
@pytest.mark.parametrize("error", SHORTAGES, ids=repr)
async def test_a_shortage_costs_no_attempt_and_opens_no_breaker(
    booper: Booper,
    api: httpx.AsyncClient,
    target: FakeTarget,
    clock: VirtualClock,
    error: Exception,
) -> None:
    """Thirty jobs with one attempt each meet it twice and are then completed by their first."""
    target.respond(*[error] * 60)
    job = {"url": "https://target.test/", "max_attempts": 1}
    await api.post("/api/jobs/batch", json={"jobs": [job] * 30})
    await booper.wait_idle()
    waiting = (await api.get("/api/jobs/1")).json()["data"]["job"]
    assert (waiting["state"], waiting["attempt"], waiting["attempted_at"]) == ("scheduled", 0, None)
    for _ in range(4):
        clock.advance(MAX_PAUSE)
        await booper.wait_idle()
    assert (await api.get("/api/breakers")).json()["data"] == []
    jobs = (await api.get("/api/jobs?limit=100")).json()["data"]
    assert {(each["job"]["state"], each["job"]["attempt"]) for each in jobs} == {("completed", 1)}
    assert len(target.received) == 90


@pytest.mark.anyio
async def test_a_shortage_at_a_retry_keeps_what_was_counted(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, clock: VirtualClock
) -> None:
    """One failed attempt, one that was not made, one that succeeds: two are counted."""
    target.respond(httpx.Response(500), OSError(errno.EMFILE, "Too many open files"))
    await api.post("/api/jobs", json={"url": "https://target.test/", "backoff": [60]})
    await booper.wait_idle()
    clock.advance(timedelta(minutes=2))
    await booper.wait_idle()
    retried = (await api.get("/api/jobs/1")).json()["data"]["job"]
    assert (retried["state"], retried["attempt"]) == ("retryable", 1)
    clock.advance(MAX_PAUSE)
    await booper.wait_idle()
    done = (await api.get("/api/jobs/1")).json()["data"]["job"]
    assert (done["state"], done["attempt"]) == ("completed", 2)


@pytest.mark.anyio
async def test_a_run_that_meets_a_shortage_is_made_all_the_same(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, clock: VirtualClock
) -> None:
    """A schedule's run is given back and sent, and the plan goes on."""
    target.respond(OSError(errno.EMFILE, "Too many open files"))
    await api.post("/api/jobs", json={"url": "https://target.test/", "repeat_every": 60})
    await booper.wait_idle()
    assert len(target.received) == 1
    clock.advance(MAX_PAUSE)
    await booper.wait_idle()
    assert len(target.received) == 2
    clock.advance(timedelta(seconds=50))
    await booper.wait_idle()
    states = [job["job"]["state"] for job in (await api.get("/api/jobs")).json()["data"]]
    assert sorted(states) == ["completed", "completed", "scheduled"]


# A daemon whose descriptors are soon used up: 12 are free beside what it has open itself.
_WITH_FEW_FILES = """
import os, resource, sys
number = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
os.execv(sys.executable, [sys.executable, "-m", "booper", *sys.argv[2:]])
"""


def few_files(number: int) -> Callable[[list[str]], list[str]]:
    """Return what puts a command under a limit of so many open files."""
    return lambda command: [sys.executable, "-c", _WITH_FEW_FILES, str(number), *command[3:]]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_too_few_descriptors_lose_no_job(tmp_path: Path, name: str) -> None:
    """A hundred jobs with one attempt each are all sent, a few at a time, by name or address."""
    allow_local_targets(tmp_path, "[delivery]\nper_host = 64\n")
    settings = tmp_path / "booper.toml"
    settings.write_text(settings.read_text().replace('["127', '["localhost", "127'))
    with (
        listening_target() as target,
        serving(tmp_path, wrapped=few_files(48)) as daemon,
    ):
        assert "may open 48 files" in daemon.log
        assert f"{1000 + 64 + OWN_FILES}" in daemon.log
        url = target.url.replace("127.0.0.1", name)
        jobs = [{"url": f"{url}/{number}", "max_attempts": 1} for number in range(100)]
        target.hold()
        daemon.api.post("/api/jobs/batch", json={"jobs": jobs})
        until(lambda: "could not be made" in daemon.log, "the shortage was logged")
        target.release()
        until(lambda: len(set(target.paths())) == 100, "all jobs were sent")
        until(lambda: completed(daemon.api) == 100, "all jobs are completed")
        assert daemon.api.get("/api/breakers").json()["data"] == []


def completed(api: httpx.Client) -> int:
    """Return how many jobs are completed by their first attempt."""
    try:
        jobs = api.get("/api/jobs?limit=100&state=completed").json()["data"]
    except httpx.TransportError:
        return 0  # there was no descriptor for this connection
    return sum(job["job"]["attempt"] == 1 for job in jobs)


_WITHOUT_THREADS = """
import asyncio, resource
from booper.guard.resolver import Resolver
from booper.errors import Shortage
from booper.http.errors import ConnectError

async def main():
    resolver = Resolver(lambda host, port: ["192.0.2.1"])
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), limits[1]))  # a stack takes 8 MB
    try:
        await resolver("second.test", 80)
    except Shortage as shortage:
        print(shortage)
    resource.setrlimit(resource.RLIMIT_AS, limits)
    print(await resolver("second.test", 80))

asyncio.run(main())
"""


def test_a_look_up_whose_thread_cannot_be_started_is_made_again() -> None:
    """It is a shortage at first, and a response as soon as there is memory for a thread."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_THREADS], capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""
    shortage, response = done.stdout.splitlines()
    assert "no further thread can be started" in shortage
    assert response == "('192.0.2.1',)"
