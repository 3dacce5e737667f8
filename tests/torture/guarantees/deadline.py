"""Targets that never come to an end: each attempt ends in time, and reads only so much."""

import asyncio
import gzip
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.http_server import Script
from tests.support.processes import Daemon, allow_local_targets, monotonic, nap, serving
from tests.torture.line import Line, Size, line
from tests.torture.listener import listening

MARGIN_SECONDS = 0.5
DRIP_SECONDS = 0.1
MAX_GROWTH_MB = 20.0
MAX_KEPT_BYTES = 262_144  # the default of max_response_bytes
HEADER_BYTES = 5_000_000
PATIENCE_SECONDS = 10.0

OK = b"HTTP/1.1 200 OK\r\n"
# Members one after the other are one gzip file (RFC 1952 §2.2): 16 MiB of zeros in 16 KiB each.
MEMBER = gzip.compress(bytes(1 << 24))


def _dripping(start: bytes, drop: bytes) -> Script:
    """Answer with a start and then a drop now and then, for ever; without a drop, with silence."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRIP_SECONDS):
                    await reader.read()  # until the caller has gone
                    return
            writer.write(drop)
            await writer.drain()

    return script


async def _stalled(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.Event().wait()


def _flooding(start: bytes, part: bytes, times: int) -> Script:
    """Answer with a start and one part many times, as fast as it is read, and close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        for _ in range(times):
            writer.write(part)
            await writer.drain()

    return script


ENDLESS: dict[str, Script] = {
    "silence": _dripping(b"", b""),
    "stalled TLS": _stalled,
    "dripped header": _dripping(OK, b"X-Drop: 1\r\n"),
    "dripped byte of a header": _dripping(OK + b"X-Drop: ", b"1"),
    "dripped body": _dripping(OK + b"Content-Length: 100000\r\n\r\n", b"1"),
    "dripped chunks": _dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
    "endless 1xx": _dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "never closing": _dripping(OK + b"\r\nall there is", b""),
}


def measure(size: Size) -> Line:
    """Try a timeout of 3 s (in short 1 s), and 1 GB of answer 10 times (in short 50 MB once)."""
    timeout = size.pick(3, 1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        allow_local_targets(folder)
        with serving(folder) as daemon:
            slowest, faults = _endless(daemon, timeout)
            grown, more = _large(daemon, *size.pick((1_000_000_000, 10, 80), (50_000_000, 1, 0)))
    if grown > MAX_GROWTH_MB:
        faults.append("too much memory")
    figure = (
        f"{len(ENDLESS) + 1} endless targets: the slowest attempt ended after {slowest:.2f} s with "
        f"a timeout of {timeout} s; large responses: {grown:.1f} MB more memory at most"
    )
    return line("deadline", figure, faults + more)


def _endless(daemon: Daemon, timeout: int) -> tuple[float, list[str]]:
    """Call every endless target at once; return how long the slowest took, and what is wrong."""
    with ExitStack() as stack:
        urls = {"black hole": f"http://127.0.0.1:{stack.enter_context(_black_hole())}/"}
        for what, script in ENDLESS.items():
            scheme = "https" if script is _stalled else "http"
            urls[what] = f"{scheme}://127.0.0.1:{stack.enter_context(listening(script))}/"
        begun, jobs, made = monotonic(), {}, {}
        for what, url in urls.items():
            jobs[what] = daemon.post(url, timeout=timeout, max_attempts=1)
            made[what] = monotonic()
        spans, ended = _ended(daemon, jobs, made[what], timeout + PATIENCE_SECONDS)
    # The time in which it was seen not to have ended: our own looks may be late on a busy machine.
    took = {what: last - made[what] for what, (last, _) in spans.items()}
    faults = [f"{what} did not end" for what in jobs.keys() - ended.keys()]
    faults += [f"{what} took {s:.2f} s" for what, s in took.items() if s > timeout + MARGIN_SECONDS]
    faults += [f"{what} ended early" for what, (_, seen) in spans.items() if seen - begun < timeout]
    wanted = f"no response within {timeout} s"
    faults += [f"{what}: {error}" for what, error in ended.items() if wanted not in error]
    return max(took.values(), default=0.0), faults


def _ended(
    daemon: Daemon, jobs: dict[str, int], begun: float, seconds: float
) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """Wait for the jobs' ends; return the last look before each, the one after, and its error."""
    running = dict.fromkeys(jobs, begun)
    spans: dict[str, tuple[float, float]] = {}
    errors: dict[str, str] = {}
    while len(spans) < len(jobs) and monotonic() < begun + seconds:
        nap()
        for what in jobs.keys() - spans.keys():
            looked = monotonic()
            job = daemon.job(jobs[what])
            if job["state"] in ("completed", "discarded"):
                spans[what] = running[what], monotonic()
                errors[what] = job["last_error"] or ""
            else:
                running[what] = looked
    return spans, errors


@contextmanager
def _black_hole() -> Iterator[int]:
    """Return a port where a connection is never made: no more fit into its queue."""
    with ExitStack() as stack:
        hole = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(hole.getsockname())
        yield int(hole.getsockname()[1])


def _large(daemon: Daemon, size: int, times: int, before: int) -> tuple[float, list[str]]:
    """Request large responses; return by how many megabytes memory has grown at its highest.

    As many responses as are kept whole come `before`: what is stored fills SQLite's page cache,
    which has its own bound.
    """
    with ExitStack() as stack:
        urls = {
            what: f"http://127.0.0.1:{stack.enter_context(listening(script))}/"
            for what, script in _answers(size).items()
        }
        whole = urls.pop("kept whole")
        for _ in range(before):
            _ended(daemon, {"kept whole": daemon.post(whole)}, monotonic(), PATIENCE_SECONDS)
        held, _ = _memory(daemon)
        rounds = [_round(daemon, urls) for _ in range(times)]
        grown = _memory(daemon)[1] - held
    return grown, [fault for jobs, errors in rounds for fault in _wrong(daemon, jobs, errors)]


def _answers(size: int) -> dict[str, Script]:
    """Return what sends so many bytes: the bomb once it is inflated, the header 5 MB anyway."""
    million = bytes(1_000_000)
    bomb = OK + b"Content-Encoding: gzip\r\n\r\n"
    members = max(size // (1 << 24), MAX_KEPT_BYTES // len(MEMBER)) + 1
    return {
        "kept whole": _flooding(OK + b"\r\n", b"1" * MAX_KEPT_BYTES, 1),
        "gzip bomb": _flooding(bomb, MEMBER, members),
        "body": _flooding(OK + b"Content-Length: %d\r\n\r\n" % size, million, size // 1_000_000),
        "body without length": _flooding(OK + b"\r\n", million, size // 1_000_000),
        "header": _flooding(OK + b"X-Large: ", b"1" * 1_000, HEADER_BYTES // 1_000),
    }


def _round(daemon: Daemon, urls: dict[str, str]) -> tuple[dict[str, int], dict[str, str]]:
    """Request each large response once; return the jobs and the errors of those that ended."""
    jobs = {what: daemon.post(url, max_attempts=1) for what, url in urls.items()}
    return jobs, _ended(daemon, jobs, monotonic(), PATIENCE_SECONDS)[1]


def _wrong(daemon: Daemon, jobs: dict[str, int], errors: dict[str, str]) -> list[str]:
    """Return what is wrong with the ends of a round's jobs."""
    faults = [f"{what} did not end" for what in jobs.keys() - errors.keys()]
    if "header" in errors:
        faults += [f"header: {fault}" for fault in _misread(daemon, jobs["header"])]
    for what in jobs.keys() - {"header"}:
        faults += [f"{what}: {fault}" for fault in _miskept(daemon, jobs[what])]
    return faults


def _misread(daemon: Daemon, job: int) -> list[str]:
    """Return what is wrong with the log entry of a header that has no end: its status stands."""
    found = [(payload["status"], payload.get("fault", "")) for payload in _kept(daemon, job)]
    return [] if len(found) == 1 and "headers over" in found[0][1] else [str(found)]


def _kept(daemon: Daemon, job: int) -> list[dict[str, Any]]:
    """Return what the log has of a job's responses."""
    response = daemon.api.get("/api/logs", params={"job_id": job, "event": "worker.http.response"})
    return [entry["payload"] for entry in response.json()["data"]]


def _miskept(daemon: Daemon, job: int) -> list[str]:
    """Return what is wrong with the log entry of a large response."""
    found = _kept(daemon, job)
    if [payload["status"] for payload in found] != [200]:
        return ["its status was not kept"]
    faults = [] if found[0].get("truncated") is True else ["its body is not marked as cut"]
    return faults + (["too much was kept"] if len(found[0]["body"]) > MAX_KEPT_BYTES else [])


def _memory(daemon: Daemon) -> tuple[float, float]:
    """Return what the daemon holds in memory now and what it has held at most, in megabytes."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE))
    return int(found["VmRSS"]) / 1_000, int(found["VmHWM"]) / 1_000
