"""The single executable: all of it works where only libc is, and killed runs leave no folders.

It is built by `bash .ci/build`. What the reference says of it is compared with it too.
"""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import httpx
import trustme

from booper.docs import TOPICS, markdown
from tests.store.sqlite.files import FILES, put_file
from tests.support import empty_root
from tests.support.processes import allow_local_targets, until
from tests.support.service_manager import managing
from tests.torture.line import Line, Size, line
from tests.torture.rooted import EXECUTABLE, Root, child_of, empty, hold, kill
from tests.whole import main_job

KILLS = 20
TRIES = 5

ONE_LINERS = {
    "demo": "booper works here",
    "--version": "booper ",
    "docs": "guarantees",
    **{f"docs {topic}": "\n" for topic in TOPICS},
    "metrics grafana": '"panels"',
    "metrics rules": "alert:",
    "systemd": "ExecStart=/booper serve",
    "keys create spare": "sk_",
    "backup copy.db": "copy.db",
    "check": "",
    "restore copy.db --database restored.db": "",
    "check --database restored.db": "",
}
"""Commands, and what their output holds; those after `systemd` need the database of before."""


def measure(size: Size) -> Line:
    """Try all commands, and kill a daemon 20 times (in short 4)."""
    kills = size.pick(KILLS, 4)
    with empty() as root:
        allow_local_targets(root.folder)
        faults = [*_linked(), *_figures(), *_served(root), *_commands(root)]
        if size is Size.LONG:  # a time may not stop a landing
            faults += _start_times()
        for look in (_did_its_job, _upgraded, _managed, _interrupted, _replaced):
            faults += look(root)
        faults += [f"{each.name} is left after orderly ends" for each in root.left()]
        left = _killed(root, kills, is_held=False)
        held = _killed(root, kills, is_held=True)
    if left > 1:
        faults.append("killed runs leave their folders")
    if held != kills:
        faults.append("the twin, in which no folder may be removed, does not show them all")
    figure = (
        f"in a root with only libc: {len(ONE_LINERS)} commands, serve, an upgrade, sockets and "
        f"signals; {kills} x kill -9 left {left} folder, and {held} where removal is kept off"
    )
    return line("executable", figure, faults)


def _linked() -> Iterator[str]:
    """Yield the libraries that the executable needs beside libc."""
    for library in empty_root.libraries(EXECUTABLE):
        if library.name not in empty_root.LIBC:
            yield f"it needs {library.name}"


def _figures() -> Iterator[str]:
    """Compare its sizes and the glibc it needs with what the reference says."""
    text = " ".join(markdown("deploying").split())
    size, unpacked, glibc = (
        float(re.search(pattern, text)[1])  # type: ignore[index] # None would end the measurement
        for pattern in (r"has at most (\d+) MB", r"unpacks (\d+) MB", r"glibc (\d+\.\d+)")
    )
    if not 0.8 * size < EXECUTABLE.stat().st_size / 1e6 <= size:
        yield f"it has {EXECUTABLE.stat().st_size / 1e6:.1f} MB, the reference says {size:.0f}"
    with empty() as root, root.serving():
        files = [each for each in root.left()[0].rglob("*") if each.is_file()]
        total = sum(each.stat().st_size for each in files) / 1e6
        needs = max(map(_glibc, [EXECUTABLE, *(each for each in files if ".so" in each.name)]))
    if not any(each.name == "libgcc_s.so.1" for each in files):
        yield "libc cannot end a thread (pthread_exit(3) loads libgcc_s.so.1): it aborts"
    if not 0.8 * unpacked < total <= unpacked:
        yield f"it unpacks {total:.1f} MB, the reference says {unpacked:.0f}"
    if needs != tuple(map(int, str(glibc).split("."))):
        yield f"it needs glibc {needs}"


def _start_times() -> Iterator[str]:
    """Compare a start with that of an installed booper, as the reference does."""
    text = " ".join(markdown("deploying").split())
    stated = re.search(r"at most (\d+) times the CPU time", text)
    assert stated is not None
    times = float(stated[1])
    took = min(_start([EXECUTABLE]) for _ in range(TRIES))
    installed = min(_start([sys.executable, "-m", "booper"]) for _ in range(TRIES))
    if took > times * installed:
        yield f"it starts in {took:.2f} s of CPU time, an installed booper in {installed:.2f} s"


def _glibc(library: Path) -> tuple[int, ...]:
    """Return the newest version of glibc whose symbols a file uses."""
    shown = subprocess.run(["objdump", "-T", str(library)], capture_output=True, text=True)
    versions = re.findall(r"\(?GLIBC_([\d.]+)", shown.stdout)
    return max((tuple(map(int, each.split("."))) for each in versions), default=(0,))


def _start(booper: Sequence[str | Path]) -> float:
    """Return the CPU seconds of a start, its loader's among them."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([*booper, "--version"], capture_output=True, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _served(root: Root) -> Iterator[str]:
    """Yield what does not work of a server: a zone, TLS, a reload, a stop."""
    with root.serving() as daemon, _tls_target() as url:
        daemon.post("https://example.com/", cron="0 9 * * MON", timezone="America/Sao_Paulo")
        number = daemon.post(url, max_attempts=1)
        until(lambda: daemon.job(number)["state"] == "discarded", "the certificate was refused")
        entries = daemon.api.get("/api/logs", params={"job_id": number}).text
        if "certificate was refused" not in entries:
            yield f"TLS: {entries}"
        if daemon.api.get("/metrics").status_code != 200:
            yield "no metrics"
        daemon.tell(signal.SIGHUP)
        until(lambda: "SIGHUP: changed settings: none" in daemon.log, "the settings were read")
        if daemon.stop():
            yield f"SIGTERM: {daemon.log}"


@contextmanager
def _tls_target() -> Iterator[str]:
    """Listen for TLS with a certificate that nobody knows, until the end of the block."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            try:
                context.wrap_socket(listener.accept()[0], server_side=True).close()
            except OSError:
                return

        thread = threading.Thread(target=refuse)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


def _commands(root: Root) -> Iterator[str]:
    """Yield the commands that fail, or print something else."""
    for command, holds in ONE_LINERS.items():
        done = root.run(*command.split())
        if done.returncode or holds not in done.stdout:
            yield f"{command}: {done.returncode} {done.stdout[:200]} {done.stderr[-500:]}"


def _did_its_job(root: Root) -> Iterator[str]:
    """Yield why the main job is not done."""
    done = subprocess.run(
        [sys.executable, "-I", main_job.__file__, *root.program],
        env={**os.environ, "TMPDIR": str(root.folder)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        yield f"the main job: {done.stdout} {done.stderr}"


def _upgraded(root: Root) -> Iterator[str]:
    """Yield why a database of the first version is not upgraded."""
    put_file(min(FILES), root.folder / "old.db")
    with root.serving("--database", "old.db") as daemon:
        daemon.stop()
    done = root.run("check", "--database", "old.db")
    if done.returncode:
        yield f"an old database: {done.stdout} {done.stderr}"


def _managed(root: Root) -> Iterator[str]:
    """Yield what a service manager misses: the socket it passes, what it is told."""
    environment = {"NOTIFY_SOCKET": "/work/notify", "WATCHDOG_USEC": "600000"}
    with managing(root.folder, environment=environment, program=root.program) as manager:
        manager.start()
        manager.wait_told("WATCHDOG=1")
        with socket.create_connection((manager.host, manager.port)) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: booper\r\n\r\n")
            if not connection.recv(1 << 10).startswith(b"HTTP/1.1 200"):
                yield "the passed socket is not served"
        if code := manager.stop():
            yield f"under a service manager: exit {code}, {manager.log}"


def _interrupted(root: Root) -> Iterator[str]:
    """Yield why a signal to loader and booper, as Ctrl-C is one, is no orderly stop."""
    with root.serving() as daemon:
        both = (child_of(daemon.process), daemon.process.pid)
        for process in both:
            os.kill(process, signal.SIGINT)
        if code := daemon.wait_exit():
            yield f"Ctrl-C: exit {code}"


def _replaced(root: Root) -> Iterator[str]:
    """Yield what a running daemon cannot do once another file is in the executable's place."""
    with root.serving() as daemon:
        newer = root.root / "newer"
        newer.write_bytes(b"")
        os.replace(newer, root.root / "booper")
        try:
            for path in ("/metrics", "/openapi.json", "/api/status"):
                daemon.api.get(path).raise_for_status()
            daemon.post("https://example.com/", cron="0 9 * * MON", timezone="Asia/Kolkata")
            if daemon.stop():
                yield "no orderly stop after the executable was replaced"
        except httpx.HTTPError as error:
            yield f"after the executable was replaced: {error} {daemon.log}"
    shutil.copy(EXECUTABLE, root.root / "booper")


def _killed(root: Root, times: int, *, is_held: bool) -> int:
    """Kill a daemon as often; return how many folders are there then.

    Where they are held, they look as if their processes were running, so that none may be removed.
    """
    with ExitStack() as stack:
        for _ in range(times):
            known = set(root.left())
            with root.serving() as daemon:
                (own,) = set(root.left()) - known
                kill(daemon.process)
            if is_held:
                hold(stack, own)
        return len(root.left())
