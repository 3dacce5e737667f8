"""No request holds the loop, a reader or the writer for long, whatever it asks for."""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.benchmarks.daemon import KEY, Daemon, serving
from tests.benchmarks.fill import fill
from tests.benchmarks.target import running
from tests.support.processes import bearer
from tests.torture.dear import RARE, URL, Dear, prepare, requests
from tests.torture.line import Line, Size, line

HELD = "tests.torture.held"
TRIES = 3
REQUEST_SECONDS = 600.0

Holds = dict[str, float]

# What may be spent at once, by who is held: seconds, or work of which that much takes as long.
MAX_SECONDS: Holds = {"loop": 0.1, "reader": 0.1, "writer": 0.1}
MAX_WORK: Holds = {"loop": 700_000, "reader": 600_000, "writer": 600_000}


def measure(size: Size) -> Line:
    """Send each request to a booper with a million jobs; in short with 20,000, and count work."""
    rows, batch = size.pick((1_000_000, 1_000), (20_000, 200))
    most: Holds = size.pick(MAX_SECONDS, MAX_WORK)
    faults, longest, count = [], Holds(), 0
    with TemporaryDirectory() as name, running() as target:
        folder = Path(name)
        fill(folder, target, waiting=rows)
        with serving(folder, target) as daemon, _client(daemon) as api:
            rare = {"url": URL, "cron": RARE, "timezone": "Antarctica/Troll"}
            api.post("/api/jobs", json=rare).raise_for_status()
        table = prepare(folder, rows)
        with _counting(size), serving(folder, target, HELD) as daemon, _client(daemon) as api:
            log = HeldLog(folder / "held.log")
            for request in requests(table, batch):
                count += 1
                held, fault = _holds(api, log, request, size)
                faults += [fault] if fault else []
                faults += [
                    f"{request.name}: the {who} was held {held[who]:g}"
                    for who in most
                    if held[who] > most[who]
                ]
                longest = {who: max(longest.get(who, 0.0), held[who]) for who in most}
    unit = size.pick("s", "steps")
    shown = ", ".join(f"{who} {amount:.3g} {unit}" for who, amount in longest.items())
    return line("bounded", f"{count} dear requests to {rows:,} jobs held at most: {shown}", faults)


class HeldLog:
    """What an instrumented booper writes down, read on from where it was read to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def longest(self) -> Holds:
        """Return the longest hold of each since the last call."""
        found: Holds = defaultdict(float)
        with self._path.open() as file:
            file.seek(self._at)
            for text in file:
                who, amount = text.split()
                found[who] = max(found[who], float(amount))
            self._at = file.tell()
        return found


def _holds(api: httpx.Client, log: HeldLog, request: Dear, size: Size) -> tuple[Holds, str | None]:
    """Send a request; return how long it held each, and what was wrong with its response.

    Of several tries the shortest holds count: other programs of this machine can only add to them.
    """
    found: list[Holds] = []
    for _ in range(1 if request.is_once else size.pick(TRIES, 1)):
        log.longest()
        response = api.request(
            request.method, request.path, content=request.body, headers=dict(request.headers)
        )
        api.get("/api/ping")  # another turn of the loop, for its last hold to be written down
        found.append(log.longest())
        if response.status_code not in request.statuses:
            return found[0], f"{request.name}: {response.status_code} {response.text[:200]}"
    return {who: min(held[who] for held in found) for who in MAX_SECONDS}, None


@contextmanager
def _counting(size: Size) -> Iterator[None]:
    """Count the work of boopers that are started meanwhile, if it is the short form."""
    os.environ["HELD"] = size.pick("seconds", "work")
    try:
        yield
    finally:
        del os.environ["HELD"]


@contextmanager
def _client(daemon: Daemon) -> Iterator[httpx.Client]:
    url = f"http://127.0.0.1:{daemon.port}"
    with httpx.Client(
        base_url=url, headers=bearer(KEY), trust_env=False, timeout=REQUEST_SECONDS
    ) as api:
        yield api
