"""What is too much is refused before it is read, a key that asks too often waits, and a booper that
strangers reach does not start without a key."""

import socket
from contextlib import suppress
from math import floor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.server.test_connection_limits import REFUSED, request
from tests.support.processes import Daemon, allow_local_targets, bearer, monotonic, run, serving
from tests.torture.line import Line, Size, line

KEY = "sk_torture_torture_torture"
KEY_HEAD = (f"Authorization: Bearer {KEY}".encode(),)
RATE = 100
BURST = 20
LIMITED = f"[server]\nrate_limit = {RATE}\nrate_burst = {BURST}\n"

DEEP = b"[" * 100_000
DEEP_HEAD = (b"Content-Type: application/json", b"Content-Length: %d" % len(DEEP))

# what is sent, the status of the response
CASES = {
    **{what: (data.replace(b"/body", b"/api/echo"), to) for what, (data, to) in REFUSED.items()},
    "a deep body": (request(b"POST /api/jobs", *KEY_HEAD, *DEEP_HEAD) + DEEP, 400),
}


def measure(size: Size) -> Line:
    """Send everything that is too much once, and ask too often for 5 s (in short for one)."""
    faults: list[str] = []
    with TemporaryDirectory() as name:
        allow_local_targets(Path(name), LIMITED)
        with serving(Path(name), key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon:
            for what, (data, status) in CASES.items():
                answered = _answered(daemon, data)
                if answered != status:
                    faults.append(f"{what}: answered {answered}, not {status}")
            allowed, refused, seconds = _ask_on(daemon, size.pick(5.0, 1.0), faults)
    most = BURST + floor(RATE * seconds)
    if not refused or not RATE * seconds / 2 < allowed <= most:
        faults.append("not the rate that was set")
    faults += _public_start()
    figure = (
        f"{len(CASES)} requests that are too much refused; at {RATE}/s and {BURST} at once a key "
        f"had {allowed} of {allowed + refused} requests in {seconds:.1f} s (allowed {most}), each "
        f"other one 429 with Retry-After, another key none; no public start without a key"
    )
    return line("limits", figure, faults)


def _answered(daemon: Daemon, data: bytes) -> int:
    """Send bytes on a connection of their own; return the status of what comes back, 0 if none."""
    address = ("127.0.0.1", daemon.api.base_url.port or 0)
    with socket.create_connection(address, timeout=10.0) as connection:
        with suppress(OSError):  # it was refused before it was all sent
            connection.sendall(data)
        head = connection.recv(12)
    return int(head[9:12] or 0)


def _ask_on(daemon: Daemon, seconds: float, faults: list[str]) -> tuple[int, int, float]:
    """Call with one key as fast as possible, with another now and then.

    Return how many requests of the first passed, how many did not, and how long it took.
    """
    made = run(daemon.folder, "keys", "create", "other", "--config", "booper.toml")
    other = bearer(made.stdout.split()[-1])
    allowed = refused = 0
    begun = monotonic()
    while monotonic() < begun + seconds:
        response = daemon.api.get("/api/jobs")
        if response.status_code == 200:
            allowed += 1
            continue
        refused += 1
        if response.status_code != 429 or int(response.headers.get("retry-after", 0)) < 1:
            faults.append(f"answered {response.status_code} without a time to come again")
        if refused % 100 == 0 and daemon.api.get("/api/jobs", headers=other).status_code != 200:
            faults.append("another key had to wait as well")
    return allowed, refused, monotonic() - begun


def _public_start() -> list[str]:
    """Start where strangers can come, without any key."""
    with TemporaryDirectory() as name:
        ended = run(Path(name), "serve", "--host", "0.0.0.0", "--port", "0")
    is_one_line = ended.stderr.count("\n") == 1 and "needs an API key" in ended.stderr
    fine = ended.returncode == 1 and is_one_line
    return [] if fine else [f"a public start without a key: {ended.returncode} {ended.stderr}"]
