"""A booper under a service manager: the port that is passed, and what is told to whom."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from booper.cli.stuck import watched
from booper.cli.supervisor import Supervisor
from booper.clock import VirtualClock
from booper.errors import StartError, StoreFull, StoreUnavailable
from tests.support.processes import DEADLINE_SECONDS, until
from tests.support.service_manager import PASSING, ServiceManager, managing
from tests.torture.guarantees import restarts

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, tzinfo=UTC)


# --- a real service -------------------------------------------------------------------------------


@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_service_tells_that_it_is_ready_works_and_stops(
    tmp_path: Path, is_abstract: bool
) -> None:
    """In this order, to a path and to an abstract address; it listens on the port that it got."""
    watchdog = {"WATCHDOG_USEC": "300000"}
    with managing(tmp_path, is_abstract=is_abstract, environment=watchdog) as manager:
        manager.start()
        url = f"http://127.0.0.1:{manager.port}"
        assert manager.told == [f"READY=1\nSTATUS=serves booper.db on {url}"]
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        manager.wait_told("WATCHDOG=1")
        assert manager.stop() == 0
        manager.wait_told("STOPPING=1")


def test_a_service_tells_that_it_reads_its_settings_again(tmp_path: Path) -> None:
    """And that it has done so, as a reload waits for."""
    with managing(tmp_path) as manager:
        manager.start()
        manager.told.clear()
        manager.signal(signal.SIGHUP)
        manager.wait_told("READY=1")
        assert manager.told[0] == "RELOADING=1"
        until(lambda: "SIGHUP: changed settings: none" in manager.log, "the log says so")


def test_connections_wait_for_a_service_that_is_not_there(tmp_path: Path) -> None:
    """What is sent while none runs is responded to by the next one."""
    with managing(tmp_path) as manager:
        manager.start()
        manager.stop()
        with socket.create_connection((manager.host, manager.port)) as early:
            early.sendall(b"GET /api/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            manager.start()
            early.settimeout(DEADLINE_SECONDS)
            assert early.recv(1_000).startswith(b"HTTP/1.1 200 ")


def test_a_service_that_binds_its_port_itself_refuses_creates_while_it_restarts() -> None:
    """The twin of the guarantee: without a port that is passed, it does not hold."""
    record, faults = restarts.tried(1, 50, passes=False)
    assert record.refused > 0
    assert faults


def test_a_service_that_is_aborted_leaves_its_main_threads_stack_in_the_log(
    tmp_path: Path,
) -> None:
    """The watchdog's signal ends it, with a line for each frame."""
    with managing(tmp_path) as manager:
        manager.start()
        manager.signal(signal.SIGABRT)
        assert manager.process is not None
        assert manager.process.wait(timeout=DEADLINE_SECONDS) == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in manager.log
        assert "cli/process.py" in manager.log


# A booper whose main thread never returns from a function, once it gets SIGUSR1.
STUCK = """
import os, re, signal, socket
from booper.cli import main
def stuck(*_):
    os.write(2, b"stuck now\\n")
    {}
signal.signal(signal.SIGUSR1, stuck)
main()
"""

WAITING = {
    "in Python": "while True: pass",
    "in a call that lets others run": "ends = socket.socketpair(); ends[0].recv(1)",
}


@pytest.mark.parametrize("case", WAITING)
def test_a_service_that_is_stuck_leaves_all_its_stacks_in_the_log(
    tmp_path: Path, case: str
) -> None:
    """Before its watchdog's time is over, and once; the watchdog's signal then ends it."""
    program = (sys.executable, "-c", STUCK.format(WAITING[case]))
    watchdog = {"WATCHDOG_USEC": "1500000"}
    with managing(tmp_path, environment=watchdog, program=program) as manager:
        manager.start()
        manager.signal(signal.SIGUSR1)
        until(lambda: "in stuck" in manager.log, "the log has its stacks")
        manager.signal(signal.SIGABRT)
        assert manager.process is not None
        assert manager.process.wait(timeout=DEADLINE_SECONDS) == -signal.SIGABRT
        told, _, aborted = manager.log.partition("Fatal Python error: Aborted")
        [line] = [json.loads(each) for each in told.splitlines() if "in stuck" in each]
        assert line["level"] == "critical"
        assert line["message"].endswith("; the stacks of all threads:")
        assert "Thread MainThread:\n  File " in line["stack"]
        assert "aiosqlite" in line["stack"]
        assert "in stuck" in aborted


def test_a_service_that_is_stuck_with_the_interpreters_lock_ends_as_well(tmp_path: Path) -> None:
    """None of its threads can write then; the signal's handler needs no lock."""
    hold = 're.match("(a+)+$", "a" * 99 + "b")'
    with managing(tmp_path, program=(sys.executable, "-c", STUCK.format(hold))) as manager:
        manager.start()
        manager.signal(signal.SIGUSR1)
        until(lambda: "stuck now" in manager.log, "it computes")
        manager.signal(signal.SIGABRT)
        assert manager.process is not None
        assert manager.process.wait(timeout=DEADLINE_SECONDS) == -signal.SIGABRT
        assert "in stuck" in manager.log.partition("Fatal Python error: Aborted")[2]


async def test_a_loop_that_turns_again_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Once for each time that it was stuck; one that turns all the time is never logged."""
    caplog.set_level(logging.WARNING, "booper")
    async with watched(timedelta(milliseconds=40)) as watch:
        while len(caplog.messages) < 2:
            if caplog.messages:
                watch.feed()
            await anyio.to_thread.run_sync(lambda: None)
    stuck, turns = caplog.messages
    assert stuck.startswith("the event loop or the store has not responded for 0.")
    assert stuck.endswith(" s; the stacks of all threads:")
    assert turns == "the event loop turns again"


def test_the_watchdog_of_a_service_that_hangs_is_not_fed(tmp_path: Path) -> None:
    """One that was stopped tells nothing more; once it goes on it does."""
    with managing(tmp_path, environment={"WATCHDOG_USEC": "300000"}) as manager:
        manager.start()
        manager.wait_told("WATCHDOG=1")
        manager.signal(signal.SIGSTOP)
        until(lambda: state_of(manager) == "T", "it has stopped")
        drain(manager)
        with pytest.raises(TimeoutError):
            manager.hear(0.5)
        manager.signal(signal.SIGCONT)
        manager.wait_told("WATCHDOG=1")


def drain(manager: ServiceManager) -> None:
    """Forget what the service has told so far."""
    try:
        while True:
            manager.hear(0)
    except TimeoutError:
        manager.told.clear()


def state_of(manager: ServiceManager) -> str:
    """Return the state of the service's process, as the kernel has it."""
    assert manager.process is not None
    stat = Path(f"/proc/{manager.process.pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0]


def test_a_descriptor_that_does_not_listen_is_named(tmp_path: Path) -> None:
    """In one line, with what the socket unit should say."""
    with socket.socket() as idle:
        command = [sys.executable, "-m", "booper", "serve"]
        done = subprocess.run(
            ["bash", "-c", PASSING.format(idle.fileno()), "bash", *command],
            cwd=tmp_path,
            pass_fds=[idle.fileno()],
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "booper: LISTEN_FDS: descriptor 3 is no TCP socket that listens; in the socket unit, "
        "write an address and a port, such as ListenStream=127.0.0.1:2667\n"
    )


# --- its parts ------------------------------------------------------------------------------------

NO_SOCKETS: dict[str, dict[str, str]] = {
    "no manager": {},
    "for another process": {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
    "none passed": {"LISTEN_PID": str(os.getpid())},
    "a process that is no number": {"LISTEN_PID": "", "LISTEN_FDS": "1"},
}


@pytest.mark.parametrize("case", NO_SOCKETS)
def test_sockets_of_others_are_left_alone(case: str) -> None:
    """Only those that were passed to this process are taken (sd_listen_fds(3))."""
    assert Supervisor(NO_SOCKETS[case]).sockets() == []


def test_a_descriptor_that_is_none_is_an_error() -> None:
    """Far beyond what is open here."""
    with pytest.raises(StartError, match="LISTEN_FDS: descriptor"):
        Supervisor({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "100000"}).sockets()


class Heart:
    """A process that beats when it is let, with this result."""

    def __init__(self, *results: StoreUnavailable | None) -> None:
        self.results = list(results)
        self.asked = 0

    async def beat(self) -> StoreUnavailable | None:
        """Return the next result; without one, hang."""
        self.asked += 1
        if not self.results:
            await anyio.sleep_forever()
        return self.results.pop(0)


async def fed(tmp_path: Path, heart: Heart, thirds: int, **environment: str) -> list[str]:
    """Return what a watchdog of 30 s was told in so many thirds of that time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "ear"))
        ear.setblocking(False)
        clock = VirtualClock(START)
        variables = {"NOTIFY_SOCKET": str(tmp_path / "ear"), "WATCHDOG_USEC": "30000000"}
        supervisor = Supervisor({**variables, **environment})
        async with anyio.create_task_group() as group:
            group.start_soon(supervisor.watch, heart.beat, "works", clock)
            for _ in range(thirds):
                await anyio.wait_all_tasks_blocked()
                clock.advance(timedelta(seconds=10))
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        told = []
        while True:
            try:
                told.append(ear.recv(1_000).decode())
            except BlockingIOError:
                return told


async def test_a_watchdog_is_fed_each_third_of_its_time(tmp_path: Path) -> None:
    """After each beat; an error that the store gave cleanly is a beat, and the status."""
    heart = Heart(None, StoreFull("the disk is full"), None)
    assert await fed(tmp_path, heart, 3) == [
        "WATCHDOG=1\nSTATUS=works",
        "WATCHDOG=1\nSTATUS=the disk is full",
        "WATCHDOG=1\nSTATUS=works",
    ]


async def test_a_watchdog_is_not_fed_without_a_beat(tmp_path: Path) -> None:
    """However much time passes: the second beat hangs."""
    heart = Heart(None)
    assert await fed(tmp_path, heart, 9) == ["WATCHDOG=1\nSTATUS=works"]
    assert heart.asked == 2


@pytest.mark.parametrize(
    "environment", [{"WATCHDOG_USEC": "0"}, {"WATCHDOG_PID": "1"}], ids=["off", "of another"]
)
async def test_no_watchdog_is_not_fed(tmp_path: Path, environment: dict[str, str]) -> None:
    """As where the unit sets none, or it is another process's (sd_watchdog_enabled(3))."""
    assert await fed(tmp_path, Heart(None), 3, **environment) == []


def test_nobody_has_to_listen() -> None:
    """Without a manager, and with one that is gone, telling does nothing."""
    for environment in ({}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "@nobody"}):
        Supervisor(environment).ready("works")
        Supervisor(environment).stopping()
