"""Origins take turns, none suffers for another, and a job that changes its target is sent once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from booper.clock import SystemClock
from tests.benchmarks.processes import free_port
from tests.support.processes import Daemon, monotonic, nap, serving
from tests.torture.line import Line, Size, line
from tests.torture.listener import header, listening

CONFIG = '[targets]\nrequire_https = false\nallow = ["127.0.0.0/8"]\n'
RESPONSE = "HTTP/1.1 {status} Fine\r\nContent-Length: 0\r\n\r\n"
PATIENCE_SECONDS = 30.0
SLOTS = 64
BUSY = 20
RESPONSE_SECONDS = 1.0
FAILING = 40


class Sink:
    """Every host of this machine: slow at `/slow`, failing at `/bad`; notes what comes when."""

    def __init__(self) -> None:
        self.came: list[tuple[float, str, str]] = []
        self.jobs: Counter[str] = Counter()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes over one connection."""
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ", 2)[1].decode()
            self.came.append((monotonic(), writer.get_extra_info("sockname")[0], path))
            self.jobs[header(head, "booper-job-id") or ""] += 1
            if path == "/slow":
                await SystemClock().pause(timedelta(seconds=RESPONSE_SECONDS))
            writer.write(RESPONSE.format(status=502 if path == "/bad" else 200).encode())

    def count(self, path: str) -> int:
        """Return how many requests to a path came."""
        return sum(found == path for _, _, found in self.came)

    def when(self, path: str) -> float | None:
        """Return when the first request to a path came."""
        return next((at for at, _, found in self.came if found == path), None)


def measure(size: Size) -> Line:
    """Try each of the three over a running daemon."""
    faults, figures = [], []
    for attempt in (_newcomer, _neighbours, _moved):
        with TemporaryDirectory() as name, _world(Path(name)) as (daemon, sink, port):
            figure, wrong = attempt(daemon, sink, port, size)
        figures.append(figure)
        faults += wrong
    return line("fairness", "; ".join(figures), faults)


@contextmanager
def _world(folder: Path) -> Iterator[tuple[Daemon, Sink, int]]:
    sink = Sink()
    (folder / "booper.toml").write_text(CONFIG)
    with listening(sink.talk, "0.0.0.0") as port, serving(folder) as daemon:
        yield daemon, sink, port


def _newcomer(daemon: Daemon, sink: Sink, port: int, size: Size) -> tuple[str, list[str]]:
    """Twenty origins keep all slots busy; a job to a 21st is among the next that leave."""
    jobs = [
        {"url": f"http://127.0.3.{host + 1}:{port}/slow"}
        for _ in range(size.pick(50, 10))
        for host in range(BUSY)
    ]
    _create(daemon, jobs)
    _wait(lambda: len(sink.came) >= SLOTS)
    _create(daemon, [{"url": f"http://127.0.4.1:{port}/new"}])
    created, earlier = monotonic(), len(sink.came)
    _wait(lambda: sink.when("/new") is not None)
    waited = (sink.when("/new") or created + PATIENCE_SECONDS) - created
    others = sum(at < created + waited for at, _, _ in sink.came[earlier:])
    figure = (
        f"a 21st origin waited {waited:.2f} s, for {others} of {RESPONSE_SECONDS:g} s responses"
    )
    # Slots are freed together here: a round of all slots may go first, and one job of each origin.
    return figure, [] if others <= SLOTS + BUSY else [f"{others} jobs went before a newcomer"]


def _neighbours(daemon: Daemon, sink: Sink, port: int, _: Size) -> tuple[str, list[str]]:
    """40 jobs to a dead port and 40 to a failing path; then a healthy port and a healthy path."""
    dead = {"url": f"http://127.0.0.1:{free_port()}/", "backoff": [1], "max_attempts": 1000}
    bad = {"url": f"http://127.0.5.1:{port}/bad", "backoff": [1], "max_attempts": 1000}
    _create(daemon, [dead] * FAILING + [bad] * FAILING)
    _wait(lambda: len(daemon.api.get("/api/breakers").json()["data"]) == 2)
    begun = monotonic()
    _wait(lambda: monotonic() > begun + 8)  # both breakers rest for several seconds by now
    asked = monotonic()
    _create(daemon, [{"url": url} for url in _beside(port)])
    _wait(lambda: all(sink.when(path) is not None for path in ("/port", "/path", "/alone")))
    late = {path: (sink.when(path) or asked + 99) - asked for path in ("/port", "/path", "/alone")}
    figure = (
        f"beside {FAILING} jobs to a dead port a live one got its job in {late['/port']:.2f} s; "
        f"beside {FAILING} to a failing path a healthy one in {late['/path']:.2f} s"
    )
    # What a job beside nobody takes is this machine's doing; a busy one is late by as much again.
    bounds = {"/port": 1.0 + 2 * late["/alone"], "/path": 5.0 + 2 * late["/alone"]}
    return figure, [
        f"{path} waited {late[path]:.2f} s" for path in bounds if late[path] > bounds[path]
    ]


def _beside(port: int) -> list[str]:
    """Return a live port beside the dead one, a healthy path beside the failing, and another."""
    places = (("127.0.0.1", "port"), ("127.0.5.1", "path"), ("127.0.6.1", "alone"))
    return [f"http://{host}:{port}/{path}" for host, path in places]


def _moved(daemon: Daemon, sink: Sink, port: int, size: Size) -> tuple[str, list[str]]:
    """A schedule of every second changes its target all the time; so do jobs that fall due."""
    hosts = ("127.0.0.1", "127.0.0.2")
    made = daemon.api.post(
        "/api/jobs", json={"url": f"http://{hosts[0]}:{port}/run", "repeat_every": 1}
    ).json()["data"]
    seconds, turn, created = size.pick(20, 4), 0, 0
    until = monotonic() + seconds
    while monotonic() < until:
        turn += 1
        url = f"http://{hosts[turn % 2]}:{port}/run"
        daemon.api.patch(f"/api/schedules/{made['schedule_id']}", json={"url": url})
        for host in (hosts[turn % 2], hosts[turn % 2 - 1]):  # put in the other's place while due
            body: dict[str, Any] = {
                "url": f"http://{host}:{port}/once",
                "schedule_in": 0.005,
                "idempotency_key": f"k{turn}",
                "on_conflict": "replace",
            }
            created += daemon.api.post("/api/jobs", json=body).status_code == 201
    _wait(lambda: sink.count("/once") >= created)
    _wait(lambda: sink.count("/run") >= seconds - 1)  # a busy machine is late with them
    runs = sink.count("/run")
    daemon.api.post(f"/api/schedules/{made['schedule_id']}/disable")  # or one more may run just now
    _wait(lambda: not _executing(daemon))
    faults = [
        f"job {number} came {count} times" for number, count in sink.jobs.items() if count > 1
    ]
    if runs < seconds - 1:
        faults.append(f"{runs} runs in {seconds} s")
    if left := _executing(daemon):
        faults.append(f"{left} jobs are still executing")
    once = sink.count("/once")
    if once != created:
        faults.append(f"{once} of {created} jobs came")
    return (
        f"{runs} runs in {seconds} s and {created} jobs, moved {turn} times, each sent once",
        faults,
    )


def _executing(daemon: Daemon) -> int:
    return len(daemon.api.get("/api/jobs?state=executing").json()["data"])


def _create(daemon: Daemon, jobs: list[dict[str, Any]]) -> None:
    response = daemon.api.post("/api/jobs/batch", json={"jobs": jobs})
    assert {item["status"] for item in response.json()["data"]} == {201}, response.text[:500]


def _wait(is_there: Callable[[], bool]) -> None:
    until = monotonic() + PATIENCE_SECONDS
    while not is_there() and monotonic() < until:
        nap()
