"""A stop in the middle of everything ends in time, loses nothing and counts nothing twice."""

import signal
import socket
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.processes import (
    Daemon,
    LocalTarget,
    allow_local_targets,
    database_copy,
    listening_target,
    monotonic,
    serving,
    until,
)
from tests.torture.line import Line, Size, line

KEY = "sk_torture_torture_torture"
IN_FLIGHT = 50
HALF_SENT = 20
MARGIN_SECONDS = 2.0
SETTINGS = "[delivery]\nper_host = 64\ngrace_seconds = {grace}\n"


def measure(size: Size) -> Line:
    """Stop with a grace of 5 s (in short 1 s); half of the requests are answered within it."""
    grace = size.pick(5, 1)
    with TemporaryDirectory() as name, listening_target() as target:
        folder = Path(name)
        allow_local_targets(folder, SETTINGS.format(grace=grace))
        target.hold()
        with _serving(folder) as daemon:
            paths = [f"/{number}" for number in range(IN_FLIGHT)]
            for path in paths:
                daemon.post(target.url + path)
            until(lambda: len(target.held) == IN_FLIGHT, "all are on their way")
            took, faults = _stopped(daemon, target, paths[::2])
        left = _states(folder, target)
        wanted = dict.fromkeys(paths[::2], ("completed", 1))
        wanted |= dict.fromkeys(paths[1::2], ("scheduled", 0))
        faults += [f"{p} is {left.get(p)}" for p, state in wanted.items() if left.get(p) != state]
        faults += [f"{path} was half sent" for path in left.keys() - wanted.keys()]
        target.release()
        with _serving(folder):
            until(lambda: _all_completed(folder, target), "all jobs have completed")
    if took > grace + MARGIN_SECONDS:
        faults.append("too slow")
    sent = Counter(target.paths())
    faults += [f"{p} was sent {sent[p]} times" for p in paths[::2] if sent[p] != 1]
    faults += [f"{p} was sent {sent[p]} times" for p in paths[1::2] if sent[p] != 2]
    figure = (
        f"{IN_FLIGHT} requests in flight and {HALF_SENT} half-sent bodies: ended after "
        f"{took:.2f} s, allowed {grace + MARGIN_SECONDS:.0f}"
    )
    return line("drain", figure, faults)


def _serving(folder: Path) -> AbstractContextManager[Daemon]:
    return serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY})


def _stopped(daemon: Daemon, target: LocalTarget, answered: list[str]) -> tuple[float, list[str]]:
    """Stop the daemon, with half-sent bodies; return how long it took and what went wrong."""
    with ExitStack() as stack:
        for _ in range(HALF_SENT):
            stack.enter_context(_half_sent(daemon, target))
        assert daemon.api.get("/healthz").status_code == 200
        begun = monotonic()
        daemon.tell(signal.SIGTERM)
        daemon.wait_stopping()
        for path in answered:
            target.release(path)
        code = daemon.process.wait(timeout=60)
        return monotonic() - begun, [f"exit {code}"] if code else []


def _half_sent(daemon: Daemon, target: LocalTarget) -> socket.socket:
    """Open a connection on which half of a create was sent."""
    body = f'{{"url": "{target.url}/half-sent"}}'
    connection = socket.create_connection(("127.0.0.1", daemon.api.base_url.port or 0))
    head = f"POST /api/jobs HTTP/1.1\r\nHost: booper\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall((head + body[: len(body) // 2]).encode())
    return connection


def _states(folder: Path, target: LocalTarget) -> dict[str, tuple[str, int]]:
    with database_copy(folder) as connection:
        found = connection.execute("SELECT args ->> 'url', state, attempt FROM jobs").fetchall()
    return {url.removeprefix(target.url): (state, attempt) for url, state, attempt in found}


def _all_completed(folder: Path, target: LocalTarget) -> bool:
    return set(_states(folder, target).values()) == {("completed", 1)}
