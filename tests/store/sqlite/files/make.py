"""Write a file of this version's schema for the tests of later ones: a killed booper's database.

    python -m tests.store.sqlite.files.make

Run it before a migration is added, with the booper whose file is wanted first in PYTHONPATH. It
serves for a few seconds, with a target of its own on 127.0.0.1, and is killed in an attempt.
"""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

KEY = "sk_of_a_kept_file_0123456789"
FOLDER = Path(__file__).parent
CONFIG = '[targets]\nrequire_https = false\nallow = ["127.0.0.1"]\n'
BOOPER = (sys.executable, "-m", "booper")


class Target(BaseHTTPRequestHandler):
    """A target whose responses are named by the path; it never responds to `/held`."""

    def do_POST(self) -> None:
        """Respond."""
        self.rfile.read(int(self.headers["content-length"] or 0))
        if self.path == "/held":
            threading.Event().wait()
        status = {"/gone": 410, "/broken": 500}.get(self.path, 200)
        body = json.dumps({"$set": {"seen": 1}, "sent": ["a", "b"]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""


@contextmanager
def target() -> Iterator[str]:
    """Return the URL of a target that runs meanwhile."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def creates(url: str) -> Iterator[dict[str, Any]]:
    """Yield what is created: something for each state, and schedules of each kind."""
    yield {"url": f"{url}/fine", "body": {"n": 1}, "tags": ["nightly", "first"]}
    yield {"url": f"{url}/gone", "callback_url": f"{url}/callback"}
    yield {"url": f"{url}/broken", "webhook_url": f"{url}/webhook", "idempotency_key": "broken"}
    yield {"url": f"{url}/fine", "schedule_in": [900, "weeks"], "idempotency_key": "later"}
    yield {"url": f"{url}/fine", "schedule_in": [900, "weeks"], "name": "to cancel"}
    yield {"url": f"{url}/fine", "repeat_every": [1, "hour"], "body": {"seen": "$state.seen"}}
    yield {"url": f"{url}/fine", "cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin"}
    yield {"url": f"{url}/fine", "cron": "@daily", "name": "to disable"}
    yield {"url": f"{url}/held", "callback_url": f"{url}/callback", "tags": ["held"]}


def fill(api: httpx.Client, url: str) -> None:
    """Create jobs and schedules, and wait until each is in its state."""
    made = [created(api, {"method": "post", **fields}) for fields in creates(url)]
    api.post(f"/api/jobs/{made[4]['job_id']}/cancel").raise_for_status()
    api.post(f"/api/schedules/{made[7]['schedule_id']}/disable").raise_for_status()
    api.post("/api/pause", json={"host": "paused.example"}).raise_for_status()
    wanted = {0: "completed", 1: "discarded", 2: "retryable", 5: "completed", 8: "executing"}
    for _ in range(500):
        states = {
            i: api.get(f"/api/jobs/{made[i]['job_id']}").json()["data"]["job"]["state"]
            for i in wanted
        }
        if states == wanted:
            return
        threading.Event().wait(0.02)
    raise TimeoutError(f"expected {wanted}, got {states}")


def created(api: httpx.Client, fields: dict[str, Any]) -> dict[str, Any]:
    """Create a job and return it."""
    response = api.post("/api/jobs", json=fields)
    assert response.status_code == 201, response.text
    job: dict[str, Any] = response.json()["data"]
    return job


def main() -> None:
    """Serve, fill the database, kill, and keep the file."""
    with TemporaryDirectory() as name, target() as url:
        folder = Path(name)
        (folder / "booper.toml").write_text(CONFIG, encoding="utf-8")
        subprocess.run(
            [*BOOPER, "keys", "create", "bob's", "--user", "bob"], cwd=folder, check=True
        )
        command = [*BOOPER, "serve", "--config", "booper.toml", "--port", "0"]
        environment = {**os.environ, "BOOPER_API_KEY": KEY, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            headers = {"Authorization": f"Bearer {KEY}"}
            with httpx.Client(base_url=address, headers=headers, trust_env=False) as api:
                fill(api, url)
            process.send_signal(signal.SIGKILL)
        with closing(sqlite3.connect(folder / "booper.db")) as opened:  # which reads its log
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (version,) = opened.execute("PRAGMA user_version").fetchone()
        kept = FOLDER / f"schema-{version}.db.gz"
        kept.write_bytes(gzip.compress((folder / "booper.db").read_bytes(), mtime=0))
        print(f"{kept}: {kept.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
