"""Run booper's main job once, through an installed `booper`: `python main_job.py COMMAND…`.

In an empty folder: serve, post a job due in a second, see it arrive, see it completed in the API
and on its page, stop. Standard library only, so that it runs beside any installation. Exits with 1
on a failure.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

DEADLINE_SECONDS = 15.0
LOOKS = 500
NAP_SECONDS = 0.02
CONFIG = '[targets]\nrequire_https = false\nallow = ["127.0.0.1"]\n'
BODY = {"content": "Hello"}
STATIC = ["css", "js", "svg"]

Arrival = tuple[str, str, dict[str, str], bytes]
_open = build_opener(ProxyHandler({})).open


class _NoRedirect(HTTPRedirectHandler):
    """Follow no redirect: its cookie would be lost."""

    def redirect_request(self, *_: object) -> None:
        return None


_unfollowed = build_opener(ProxyHandler({}), _NoRedirect).open


def main(command: Sequence[str]) -> None:
    """Run the main job; raises on the first thing that is not as it should be."""
    with tempfile.TemporaryDirectory(prefix="booper-") as name, target() as (url, arrivals):
        folder = Path(name)
        (folder / "booper.toml").write_text(CONFIG, encoding="utf-8")
        with serving(command, folder) as daemon:
            assert daemon.stdout is not None
            base, key = first_words(daemon.stdout, folder)
            say(f"booper serves on {base} and has printed a key")
            number = post(base, key, f"{url}/main-job")
            say(f"job {number} was accepted")
            check_arrival(arrivals, number)
            say("its request has arrived, as it was asked for")
            check_job(base, key, number)
            say("the API calls it completed")
            check_logs(base, key, number)
            say("its log has the request and the response")
            check_pages(base, key, number)
            say("its page shows it, with style and script")
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(timeout=DEADLINE_SECONDS)
            expect("the exit code after SIGTERM", code, 0)
            say("booper has stopped, with exit code 0")


def post(base: str, key: str, url: str) -> int:
    """Create a job that is due in a second."""
    fields = {"method": "post", "url": url, "body": BODY, "schedule_in": [1, "second"]}
    data = call(base, key, "/api/jobs", fields)
    expect("the state of a new job", data["job"]["state"], "scheduled")
    return int(data["job_id"])


def check_arrival(arrivals: "Queue[Arrival]", number: int) -> None:
    """Wait for the request and look at it."""
    try:
        method, path, headers, body = arrivals.get(timeout=DEADLINE_SECONDS)
    except Empty:
        raise SystemExit(f"FAILED: no request within {DEADLINE_SECONDS:g} s") from None
    expect("the request", (method, path), ("POST", "/main-job"))
    expect("its body", json.loads(body), BODY)
    expect("its content type", headers.get("content-type"), "application/json")
    expect("its job", headers.get("booper-job-id"), str(number))
    expect("its attempt", headers.get("booper-attempt"), "1")


def check_job(base: str, key: str, number: int) -> None:
    """Look until the job has completed: its response is recorded a moment after it was given."""
    pause = Event()
    for _ in range(LOOKS):
        job = call(base, key, f"/api/jobs/{number}")["job"]
        if job["state"] != "executing":
            break
        pause.wait(NAP_SECONDS)
    expect("the job's state", job["state"], "completed")
    expect("its attempt", job["attempt"], 1)


def check_logs(base: str, key: str, number: int) -> None:
    """Look at the job's log, newest first."""
    entries = call(base, key, f"/api/logs?job_id={number}")
    events = [entry["event"] for entry in entries]
    expect("the log", events, ["worker.http.response", "worker.http.request"])
    expect("the logged status", entries[0]["payload"]["status"], 200)


def check_pages(base: str, key: str, number: int) -> None:
    """Sign in as a browser does and look at the job; its page and all that it loads must be there.

    A build may have left out templates or static files, which no import would miss.
    """
    expect("the sign-in's form", 'name="key"' in page(base, "/sign-in"), True)
    form = urlencode({"key": key}).encode()
    headers = {"Origin": base, "Content-Type": "application/x-www-form-urlencoded"}
    try:
        _unfollowed(Request(base + "/sign-in", form, headers), timeout=DEADLINE_SECONDS)
    except HTTPError as moved:
        expect("the status of a sign-in", moved.code, 303)
        cookie = moved.headers["Set-Cookie"].partition(";")[0]
        moved.close()
    text = page(base, f"/jobs/{number}", cookie)
    expect("the job on its page", f"<h1>Job {number}</h1>" in text, True)
    loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
    expect("what it loads", sorted({each.rpartition(".")[2] for each in loaded}), STATIC)
    for path in loaded:
        expect(f"the size of {path}", bool(page(base, path)), True)


def page(base: str, path: str, cookie: str = "") -> str:
    """Return the text at a path, which must be there for a browser."""
    headers = {"Accept": "text/html", "Cookie": cookie}
    with _open(Request(base + path, headers=headers), timeout=DEADLINE_SECONDS) as response:
        text: str = response.read().decode()
    return text


def call(base: str, key: str, path: str, fields: dict[str, Any] | None = None) -> Any:
    """Call the API, which must succeed, and return the response's data."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    content = json.dumps(fields).encode() if fields is not None else None
    with _open(Request(base + path, content, headers), timeout=DEADLINE_SECONDS) as response:
        return json.load(response)["data"]


@contextmanager
def serving(command: Sequence[str], folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run `booper serve` in a folder until the end of the block."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("BOOPER_")}
    with subprocess.Popen(
        [*command, "serve", "--config", "booper.toml", "--port", "0"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as daemon:
        try:
            yield daemon
        finally:
            daemon.kill()


def first_words(output: IO[str], folder: Path) -> tuple[str, str]:
    """Read the address that a first start prints, and the key that it has written to a file."""
    found: Queue[str] = Queue()
    Thread(target=_read, args=(output, found), daemon=True).start()
    try:
        base = found.get(timeout=DEADLINE_SECONDS)
    except Empty:
        raise SystemExit(f"FAILED: no address within {DEADLINE_SECONDS:g} s") from None
    if not base:
        raise SystemExit("FAILED: booper ended without an address")
    return base, (folder / "booper.db.first-key").read_text().strip()


def _read(output: IO[str], found: "Queue[str]") -> None:
    for line in output:
        if line.startswith("booper ") and " on http://" in line:
            found.put(line.split()[-1])
    found.put("")


@contextmanager
def target() -> Iterator[tuple[str, "Queue[Arrival]"]]:
    """Run an HTTP server that answers 200 and hands on what it received."""
    arrivals: Queue[Arrival] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            arrivals.put((self.command, self.path, headers, body))

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(NAP_SECONDS,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", arrivals
        finally:
            server.shutdown()


def expect(what: str, got: object, wanted: object) -> None:
    """End the run if something is not as it should be."""
    if got != wanted:
        raise SystemExit(f"FAILED: {what} should be {wanted!r}, got {got!r}")


def say(line: str) -> None:
    """Print what was done."""
    print(line, flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python main_job.py COMMAND, such as the path of a booper")
    main([str(Path(sys.argv[1]).absolute()), *sys.argv[2:]])
