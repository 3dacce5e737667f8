"""Nothing of one job shows in the next, nothing of the environment in any, no hop goes unvetted."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.processes import Daemon, allow_local_targets, serving, until
from tests.torture.line import Line, Size, line
from tests.torture.listener import header, listening

FORBIDDEN = "127.0.0.2"  # `allow` names 127.0.0.1 alone
SECRETS = {"Authorization": "Bearer torture-secret", "Cookie": "torture-secret=1"}
COOKIES = b"Set-Cookie: torture=secret; Path=/\r\nSet-Cookie: b=secret; Domain=127.0.0.1\r\n"

PLAIN = b"HTTP/1.1 200 OK\r\n" + COOKIES + b"Content-Length: 2\r\n\r\nok"
# Each leaves something on its connection that a careless client takes for the next job's answer.
SMUGGLED = b"HTTP/1.1 418 Smuggled\r\nContent-Length: 0\r\n\r\n"
ANSWERS = {
    "/surplus": PLAIN + SMUGGLED,
    "/no-content": b"HTTP/1.1 204 No Content\r\n\r\n" + SMUGGLED,
    "/large": b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + SMUGGLED * 9_000,
    "/challenge": b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
}


@dataclass
class Seen:
    """The requests that came, each a line and headers, and the callers that had no business."""

    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    trapped: int = 0
    forbidden: str = ""
    elsewhere: str = ""

    async def target(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer as the path has it, and set cookies."""
        self.connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            self.requests.append(head)
            path = head.split(b" ")[1].decode()
            writer.write(ANSWERS.get(path) or self._redirect(path) or PLAIN)

    async def trap(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        """Count a caller that must not come."""
        self.trapped += 1
        await reader.read()

    def _redirect(self, path: str) -> bytes | None:
        places = {"/away": self.forbidden, "/on": "/plain", "/other": self.elsewhere}
        if path not in places:
            return None
        head = f"HTTP/1.1 307 Away\r\nLocation: {places[path]}\r\nContent-Length: 0\r\n\r\n"
        return head.encode()


def measure(size: Size) -> Line:
    """Send each job with and without secrets, over one connection, 50 times (in short twice)."""
    seen, faults = Seen(), []
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        allow_local_targets(folder, "[delivery]\nper_host = 1\n")
        port = stack.enter_context(listening(seen.target))
        other = stack.enter_context(listening(seen.target))
        trap = stack.enter_context(listening(seen.trap, FORBIDDEN))
        seen.forbidden = f"http://{FORBIDDEN}:{trap}/"
        seen.elsewhere = f"http://127.0.0.1:{other}/plain"
        environment = _environment(folder, f"http://{FORBIDDEN}:{trap}")
        with serving(folder, environment=environment) as daemon:
            for _ in range(size.pick(50, 2)):
                faults += _round(daemon, f"http://127.0.0.1:{port}")
    faults += [f"told: {head!r}" for head in seen.requests if _is_told(head)]
    if seen.connections == len(seen.requests):
        faults.append("no connection was used twice, so that nothing was tried")
    if seen.trapped:
        faults.append(f"{seen.trapped} connections to a proxy or where a redirect must not lead")
    figure = (
        f"{len(seen.requests)} requests over {seen.connections} connections, none with what is "
        "another's; no proxy was asked"
    )
    return line("carryover", figure, faults)


def _environment(folder: Path, proxy: str) -> dict[str, str]:
    """Return what makes many a client ask a proxy, and log in where nobody asked it to."""
    netrc = folder / "netrc"
    netrc.write_text("machine 127.0.0.1 login torture password secret\n")
    netrc.chmod(0o600)
    names = ("http_proxy", "https_proxy", "all_proxy")
    proxies = {spelt: proxy for name in names for spelt in (name, name.upper())}
    return {**proxies, "no_proxy": "", "NO_PROXY": "", "NETRC": str(netrc), "HOME": str(folder)}


def _round(daemon: Daemon, target: str) -> list[str]:
    """Send every kind of job, each followed by a plain one; return which ended otherwise."""
    jobs: list[tuple[str, dict[str, Any], str]] = [
        ("/secret", {"headers": SECRETS}, "completed"),
        ("/surplus", {}, "completed"),
        ("/no-content", {}, "completed"),
        ("/large", {}, "completed"),
        ("/challenge", {}, "the target responded 401"),
        ("/away", {}, "the target responded 307"),
        ("/away", {"follow_redirects": True}, "refused"),
        ("/on", {"follow_redirects": True}, "completed"),
        ("/other", {"follow_redirects": True, "headers": SECRETS}, "completed"),
    ]
    faults = []
    for path, fields, wanted in jobs:
        for each, more, end in ((path, fields, wanted), ("/plain", {}, "completed")):
            number = daemon.post(target + each, max_attempts=1, **more)
            ended = until(partial(_end, daemon, number), f"{each} has ended")
            if not ended.startswith(end):
                faults.append(f"{each} after {path}: {ended}, not {end}")
    return faults


def _end(daemon: Daemon, number: int) -> str:
    """Return how a job has ended, nothing if it has not."""
    job = daemon.job(number)
    if job["state"] == "completed":
        return "completed"
    return str(job["last_error"]) if job["state"] == "discarded" else ""


def _is_told(head: bytes) -> bool:
    """Return whether a request shows what is not its own, or was meant for a proxy."""
    path = head.split(b" ")[1]
    if path in (b"/secret", b"/other"):
        return header(head, "Cookie") != SECRETS["Cookie"]
    return b"secret" in head or header(head, "Authorization") is not None or path[:1] != b"/"
