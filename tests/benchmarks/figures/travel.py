"""Time travel: how many runs a second one schedule makes while the clock is moved."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from urllib.request import Request, urlopen

from starlette.types import Receive, Scope, Send

from booper.dev.bench import PUBLIC_KEY
from booper.testing import VirtualBooper
from tests.benchmarks.daemon import ROOT
from tests.benchmarks.processes import started, wait_for_line
from tests.benchmarks.runner import Bench, Rounds, Row

EVERY_MINUTE = "* * * * *"
WARM_UP = 100
PATIENCE_SECONDS = 60.0

WANTED = {
    "a transport in the process": "1,000",
    "an app in the process": "1,000",
    "HTTP": "600",
}


def measure(bench: Bench) -> list[Row]:
    """Run a schedule of every minute, with targets in the process and over HTTP."""
    rounds = Rounds()
    for _ in bench.rounds():
        rounds.add("a transport in the process", _virtual(bench, "https://target.test/job"))
        rounds.add("an app in the process", _virtual(bench, "app:/job"))
        rounds.add("HTTP", _over_http(bench))
    return [
        Row(f"time travel, {name}", rounds.median(name), "runs/s", wanted=wanted)
        for name, wanted in WANTED.items()
    ]


def _virtual(bench: Bench, url: str) -> float:
    with VirtualBooper(start=datetime(2030, 1, 1, tzinfo=UTC), app=_answer) as booper:
        booper.client.jobs.create(method="post", url=url, cron=EVERY_MINUTE)
        return _per_second(bench, lambda minutes: booper.advance(minutes=minutes).count)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _over_http(bench: Bench) -> float:
    """Move the clock of a `booper dev`."""
    command = [sys.executable, "-m", "booper", "dev", "--freeze", "--no-console", "--port", "0"]
    with (
        bench.folder() as folder,
        started(command, folder, "dev.log", {"PYTHONPATH": str(ROOT)}) as process,
    ):
        line = r"^booper .* for development on (http://\S+)$"
        url = wait_for_line(folder, "dev.log", line, process)[1]
        body = {"number": 1, "due": 0}
        job = {"method": "post", "url": bench.target.url, "cron": EVERY_MINUTE, "body": body}
        _post(f"{url}/api/jobs", job)

        def advance(minutes: int) -> int:
            moved = _post(f"{url}/api/dev/clock", {"advance": [minutes, "minutes"]})
            count: int = moved["count"]
            return count

        found = _per_second(bench, advance)
        bench.target.take()
        return found


def _per_second(bench: Bench, advance: Callable[[int], int]) -> float:
    advance(WARM_UP)
    begun = perf_counter()
    count = advance(bench.sizes.travel_runs)
    return count / (perf_counter() - begun)


def _post(url: str, body: object) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {PUBLIC_KEY}", "Content-Type": "application/json"}
    request = Request(url, json.dumps(body).encode(), headers)
    with urlopen(request, timeout=PATIENCE_SECONDS) as response:
        data: dict[str, Any] = json.load(response)["data"]
        return data
