"""What process tests share: a real `booper serve`, the other commands, and a target to reach.

The one test file that lives in real time: it waits for other processes, always with a deadline.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import httpx

from tests.support import preloaded

Process = subprocess.Popen[bytes] | preloaded.Forked

T = TypeVar("T")

DEADLINE_SECONDS = 10.0
NAP_SECONDS = 0.01

monotonic = time.monotonic
"""Seconds that only grow, to tell how long something took."""

_BOOPER = (sys.executable, "-m", "booper")
_URL = re.compile(r"^booper \S+ serves \S+ on (http://\S+)$", re.MULTILINE)


_news = threading.Condition()
"""Notified when a request has reached a target of this process."""


def nap() -> None:
    """Wait for a request to reach a target, or a moment, for what other processes do quietly."""
    with _news:
        _news.wait(NAP_SECONDS)


def until(look: Callable[[], T], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """Look at each news until there is something to see, and return that.

    Raises:
        TimeoutError: `what` did not come about within so many seconds.
    """
    deadline = monotonic() + seconds
    while not (seen := look()):
        if monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain until {what}")
        nap()
    return seen


def allow_local_targets(folder: Path, more: str = "") -> None:
    """Write a `booper.toml` that lets jobs reach a target on this machine, and `more` settings."""
    targets = '[targets]\nrequire_https = false\nallow = ["127.0.0.1"]\n'
    (folder / "booper.toml").write_text(targets + more, encoding="utf-8")


def run(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    closed: Collection[int] = (),
    output: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `booper` with these arguments in a folder, to its end, without its closed streams.

    `output` is the file that its standard output goes to, in place of what is returned.
    """
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        command = [*_BOOPER, *arguments]
        streams = {1: out.fileno() if output is None else output, 2: err.fileno()}
        with _process(command, folder, environment, streams, closed) as process:
            code = process.wait(timeout=DEADLINE_SECONDS)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


def bearer(key: str) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


class Daemon:
    """A `booper serve` that runs in a folder.

    `api` is a client of it that sends `key`: its first key, or the one it was told to use.
    """

    def __init__(self, folder: Path, process: Process, api: httpx.Client, key: str | None) -> None:
        self.folder = folder
        self.process = process
        self.api = api
        self.key = key

    @property
    def url(self) -> str:
        """Return where it said that it listens."""
        return str(self.api.base_url).rstrip("/")

    @property
    def output(self) -> str:
        """Return what it has printed to its standard output."""
        return (self.folder / "serve.out").read_text(encoding="utf-8")

    @property
    def log(self) -> str:
        """Return what it has printed to its standard error."""
        return (self.folder / "serve.err").read_text(encoding="utf-8")

    @property
    def first_key(self) -> str | None:
        """Return the key in the file beside its database, if it has made one."""
        files = list(self.folder.rglob("*.first-key"))
        return files[0].read_text(encoding="utf-8").strip() if files else None

    def post(self, url: str, **fields: object) -> int:
        """Create a job, which must succeed, and return its number."""
        response = self.api.post("/api/jobs", json={"url": url, **fields})
        assert response.status_code == 201, response.text
        return int(response.json()["data"]["job_id"])

    def job(self, number: int) -> dict[str, Any]:
        """Return a job's inner state."""
        response = self.api.get(f"/api/jobs/{number}")
        assert response.status_code == 200, response.text
        inner: dict[str, Any] = response.json()["data"]["job"]
        return inner

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait_stopping(self) -> None:
        """Return once it has said that it is stopping."""
        until(lambda: "is stopping" in self.log, "booper said that it is stopping")

    def wait_exit(self) -> int:
        """Wait for its end and return its exit code (negative: the signal that ended it)."""
        return self.process.wait(timeout=DEADLINE_SECONDS)

    def stop(self) -> int:
        """Stop it as a service manager does, and return its exit code."""
        self.tell(signal.SIGTERM)
        return self.wait_exit()

    def kill(self) -> None:
        """End it as a crash would: nothing of it runs any more."""
        self.tell(signal.SIGKILL)
        self.wait_exit()


@contextmanager
def serving(
    folder: Path,
    *options: str,
    key: str | None = None,
    environment: Mapping[str, str] | None = None,
    wrapped: Callable[[list[str]], list[str]] = list,
    start_seconds: float = DEADLINE_SECONDS,
) -> Iterator[Daemon]:
    """Run `booper serve` in a folder, on a free port, until the end of the block.

    It reads the folder's `booper.toml`, if there is one. A daemon that still runs at the end is
    killed. `key` is what the client sends when the daemon has made none; `wrapped` returns the
    command that runs the one it is given, `start_seconds` is how long its start may take.
    """
    given = ["--config", "booper.toml"] if (folder / "booper.toml").exists() else []
    command = wrapped([*_BOOPER, "serve", *given, "--port", "0", *options])
    with (
        (folder / "serve.out").open("wb") as out,
        (folder / "serve.err").open("wb") as err,
        _process(command, folder, environment, {1: out.fileno(), 2: err.fileno()}) as process,
        httpx.Client(trust_env=False, timeout=DEADLINE_SECONDS) as api,
    ):
        daemon = Daemon(folder, process, api, key)
        api.base_url = httpx.URL(_announced_url(daemon, start_seconds))
        # Its response comes after its first words, which are then all there.
        assert api.get("/healthz").status_code == 200
        daemon.key = daemon.first_key or key
        if daemon.key is not None:
            api.headers.update(bearer(daemon.key))
        yield daemon


@contextmanager
def _process(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str] | None,
    output: Mapping[int, int],
    closed: Collection[int] = (),
) -> Iterator[Process]:
    """Run a command until the end of the block, with an empty standard input."""
    with open(os.devnull, "rb") as nothing:
        files = {0: nothing.fileno(), **output}
        streams = {number: file for number, file in files.items() if number not in closed}
        process = _start(command, folder, _environment(environment), streams)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=DEADLINE_SECONDS)


def _start(
    command: list[str], folder: Path, environment: Mapping[str, str], streams: Mapping[int, int]
) -> Process:
    if tuple(command[: len(_BOOPER)]) == _BOOPER and preloaded.can_start(environment):
        return preloaded.start(command[len(_BOOPER) :], folder, environment, streams)
    closing = " ".join(f"{number}>&-" for number in {0, 1, 2} - set(streams))
    return subprocess.Popen(
        ["sh", "-c", f'exec "$@" {closing}', "sh", *command] if closing else command,
        cwd=folder,
        env=environment,
        stdin=streams.get(0),
        stdout=streams.get(1),
        stderr=streams.get(2),
    )


def _announced_url(daemon: Daemon, seconds: float) -> str:
    def look() -> str | None:
        assert daemon.process.poll() is None, f"booper did not start: {daemon.log}"
        found = _URL.search(daemon.output)
        return found[1] if found else None

    return until(look, "booper said where it listens", seconds) or ""


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return this process's environment without settings of booper, and `more`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("BOOPER_")}
    return {**own, **(more or {})}


@contextmanager
def database_copy(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of the database as it lies there, so that looking changes nothing."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("booper.db", "booper.db-wal"):
        if (folder / name).exists():
            shutil.copy(folder / name, copy / name)
    with closing(sqlite3.connect(copy / "booper.db")) as connection:
        yield connection


@dataclass(frozen=True, slots=True)
class Received:
    """A request that reached the target; header names are in lower case, `at` is `monotonic`."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


class LocalTarget:
    """A real HTTP server on this machine that records requests and answers 200, or holds them."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.url = f"http://{address[0]}:{address[1]}"
        self.received: list[Received] = []
        self.held: list[Received] = []
        self._changed = threading.Condition()
        self._is_holding = False
        self._released: set[str] = set()

    def hold(self) -> None:
        """Answer nothing that arrives from now on, until `release`."""
        with self._changed:
            self._is_holding = True

    def release(self, path: str | None = None) -> None:
        """Answer what is held for a path, or all of it and what follows."""
        with self._changed:
            if path is None:
                self._is_holding = False
            else:
                self._released.add(path)
            self._changed.notify_all()

    def paths(self) -> list[str]:
        """Return the paths of all requests so far, in order of arrival."""
        return [request.path for request in tuple(self.received)]

    def admit(self, request: Received) -> None:
        """Record a request; returns when it may be answered."""
        with self._changed:
            self.received.append(request)
            is_free = self._is_free(request)
            if not is_free:
                self.held.append(request)
        with _news:
            _news.notify_all()
        if is_free:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._is_free(request), timeout=DEADLINE_SECONDS)
            self.held.remove(request)

    def _is_free(self, request: Received) -> bool:
        return not self._is_holding or request.path in self._released


@contextmanager
def listening_target() -> Iterator[LocalTarget]:
    """Run a target on a free port until the end of the block."""
    with _TargetServer(("127.0.0.1", 0), _TargetHandler) as server:
        server.target = LocalTarget(("127.0.0.1", server.server_address[1]))
        thread = threading.Thread(target=server.serve_forever, args=(NAP_SECONDS,))
        thread.start()
        try:
            yield server.target
        finally:
            server.target.release()
            server.shutdown()
            thread.join()


class _TargetServer(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the handlers, so that no socket is left open
    request_queue_size = 128
    target: LocalTarget

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a caller who has died, as these tests make it do; report the rest."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # typeshed's alias is private


class _TargetHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = DEADLINE_SECONDS
    server: _TargetServer

    def response(self) -> None:
        """Record the request; answer 200 once that is allowed."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.command, self.path, headers, body, monotonic())
        self.server.target.admit(request)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = response

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
