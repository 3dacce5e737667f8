"""Where `booper serve` listens, and what the signals of terminals and supervisors do to it."""

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from booper.cli.binding import bound, bound_addresses
from booper.config import Server
from booper.errors import ConfigError, StartError
from tests.support.processes import DEADLINE_SECONDS, Daemon, run, serving, until

KEY = "sk_a_key_for_listeners"
ENVIRONMENT = {"BOOPER_API_KEY": KEY}

# hosts, and where each of them is reached: (host, is it there)
REACHED = {
    "IPv4": (["127.0.0.1"], {"127.0.0.1"}),
    "IPv6": (["::1"], {"::1"}),
    "IPv6 in brackets": (["[::1]"], {"::1"}),
    "one of each": (["127.0.0.1", "::1"], {"127.0.0.1", "::1"}),
    "two of IPv4": (["127.0.0.1", "127.0.0.2"], {"127.0.0.1", "127.0.0.2"}),
    "twice the same": (["127.0.0.1", "127.0.0.1"], {"127.0.0.1"}),
    "all of IPv4": (["0.0.0.0"], {"127.0.0.1", "127.0.0.2"}),
    "all of both": (["::"], {"127.0.0.1", "127.0.0.2", "::1"}),
    "all of both, in two words": (["::", "0.0.0.0"], {"127.0.0.1", "127.0.0.2", "::1"}),
    "all of IPv4 and one of IPv6": (["0.0.0.0", "::1"], {"127.0.0.1", "127.0.0.2", "::1"}),
    "what all includes": (["127.0.0.1", "0.0.0.0"], {"127.0.0.1", "127.0.0.2"}),
}


@pytest.mark.parametrize("case", REACHED)
def test_each_address_is_listened_on_and_no_other(case: str) -> None:
    """All on one port, also where the system has chosen it."""
    hosts, reached = REACHED[case]
    with bound(hosts, 0) as sockets:
        ports = {port for _, port in bound_addresses(sockets)}
        assert len(ports) == 1
        (port,) = ports
        there = {host for host in ("127.0.0.1", "127.0.0.2", "::1") if responses(host, port)}
    assert there == reached


def responses(host: str, port: int) -> bool:
    """Return whether something listens there."""
    try:
        socket.create_connection((host, port), timeout=DEADLINE_SECONDS).close()
    except OSError:
        return False
    return True


def test_a_name_is_all_its_addresses() -> None:
    """localhost is 127.0.0.1, and ::1 where the system says so."""
    named = {each[4][0] for each in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    with bound(["localhost"], 0) as sockets:
        assert {host for host, _ in bound_addresses(sockets)} == named


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (["192.0.2.1"], "192.0.2.1:2667: this machine has no such address"),
        (["2001:db8::1"], r"\[2001:db8::1\]:2667: this machine has no such IPv6 address"),
        (["127.0.0.1", "192.0.2.1"], "192.0.2.1"),
        (["nowhere.invalid"], "nowhere.invalid:2667"),
    ],
)
def test_an_address_that_is_not_there_is_named(hosts: list[str], words: str) -> None:
    """Of several, the one that fails; none is listened on then."""
    with pytest.raises(StartError, match=words), bound(hosts, 2667):
        pass


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("", "such as 127.0.0.1 or ::, got ''"),
        ((), "an address or a list of addresses, got an empty list"),
        (("127.0.0.1", ""), "got ''"),
        ("127.0.0.1,::1", "got '127.0.0.1,::1'"),
        ("127.0.0.1 ", "got '127.0.0.1 '"),
        ("http://127.0.0.1", "got 'http://127.0.0.1'"),
        (5, "expected an address or a list of addresses, got 5"),
    ],
)
def test_a_host_that_is_none_is_refused(host: object, words: str) -> None:
    """The message shows the value and what would be right."""
    with pytest.raises(ConfigError) as raised:
        Server(host=host)  # type: ignore[arg-type]  # as it may come from TOML
    assert words in str(raised.value)


WAYS = {
    "options": (["--host", "127.0.0.1", "--host", "::1"], {}, ""),
    "environment": ([], {"BOOPER_HOST": "127.0.0.1 ::1"}, ""),
    "file": ([], {}, '[server]\nhost = ["127.0.0.1", "::1"]\n'),
    "all of both": (["--host", "::"], {}, ""),
    "option over environment": (["--host", "::"], {"BOOPER_HOST": "127.0.0.1"}, ""),
    "environment over file": ([], {"BOOPER_HOST": "::"}, '[server]\nhost = "127.0.0.1"\n'),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_daemon_serves_both_families(tmp_path: Path, way: str) -> None:
    """Both are told, both answer, and jobs may reach its own helpers by both."""
    options, environment, settings = WAYS[way]
    if settings:
        (tmp_path / "booper.toml").write_text(settings)
    with serving(tmp_path, *options, key=KEY, environment={**ENVIRONMENT, **environment}) as daemon:
        port = daemon.api.base_url.port
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{port}"
            assert url in daemon.output
            assert httpx.get(f"{url}/api/ping", trust_env=False).status_code == 200
            daemon.post(f"{url}/api/ping", method="get")


def test_one_public_address_among_others_needs_a_key(tmp_path: Path) -> None:
    """Each is looked at, not the first alone."""
    refused = run(tmp_path, "serve", "--port", "0", "--host", "127.0.0.1", "--host", "0.0.0.0")
    assert refused.returncode == 1
    assert "listening on 0.0.0.0 needs an API key" in refused.stderr


def test_a_hangup_without_a_terminal_reads_the_settings_again(tmp_path: Path) -> None:
    """What can change does; what cannot is named, and so is what is wrong with a file."""
    settings = tmp_path / "booper.toml"
    text = '[logging]\nformat = "text"\n'
    settings.write_text(f"{text}[server]\nport = 0\n")
    with serving(tmp_path, key=KEY, environment=ENVIRONMENT) as daemon:
        job = {"url": "https://target.example/", "schedule_in": 60}
        settings.write_text(
            f'{text}[server]\nport = 1\nhost = "::1"\nmax_body_bytes = 1024\n'
            '[origins."a.example"]\nslots = 2\nverify = false\n'
        )
        tell_hangup(daemon, 'changed settings: [server] max_body_bytes, [origins."a.example"]')
        assert 'wait for a restart: [server] host, [origins."a.example"] slots\n' in daemon.log
        assert daemon.api.post("/api/jobs", json={**job, "body": "x" * 1_024}).status_code == 413

        settings.write_text(f"{text}[server]\nmax_body_bytes = 5\n")
        tell_hangup(daemon, "the settings stay as they are: booper.toml: [server] max_body_bytes: ")
        assert daemon.api.post("/api/jobs", json={**job, "body": "x" * 1_024}).status_code == 413

        settings.write_text(text)
        tell_hangup(daemon, "changed settings: [server] max_body_bytes, ")
        assert daemon.api.post("/api/jobs", json={**job, "body": "x" * 1_024}).status_code == 201
        tell_hangup(daemon, "changed settings: none")
        assert daemon.stop() == 0


def tell_hangup(daemon: Daemon, words: str) -> None:
    """Send a hangup, and wait for these words about it."""
    before = len(daemon.log)
    daemon.tell(signal.SIGHUP)
    until(lambda: f"SIGHUP: {words}" in daemon.log[before:], f"the log says {words!r}")


@contextmanager
def serving_unread(
    folder: Path, ours: int, theirs: int, stdin: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `booper serve` with its output to the file `theirs`; nobody reads it once it serves.

    `ours` is the other end of that file. Both are closed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "booper", "serve", "--port", "0"],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        stdin=stdin,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        shown = b""
        while b"serves" not in shown:
            shown += os.read(ours, 1_000)
        os.close(ours)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_hangup_of_its_terminal_is_a_graceful_stop(tmp_path: Path) -> None:
    """However often it comes, and though nothing can be printed any more, it ends with 0."""
    terminal, end = pty.openpty()
    with serving_unread(tmp_path, terminal, end, stdin=end) as process:
        for _ in range(3):
            process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_needs_no_reader_of_its_output(tmp_path: Path, number: signal.Signals) -> None:
    """Whoever read standard output and error may be gone: it ends with 0."""
    with serving_unread(tmp_path, *os.pipe()) as process:
        process.send_signal(number)
        assert process.wait(timeout=DEADLINE_SECONDS) == 0


def test_nohup_is_heeded(tmp_path: Path) -> None:
    """What was started to ignore a hangup ignores it, without a word."""
    with serving(
        tmp_path, key=KEY, environment=ENVIRONMENT, wrapped=lambda command: ["nohup", *command]
    ) as daemon:
        daemon.tell(signal.SIGHUP)
        assert_lives(daemon)
        assert "SIGHUP" not in daemon.log


def assert_lives(daemon: Daemon) -> None:
    """Check that a daemon answers, and stops as it should."""
    assert daemon.api.get("/healthz").status_code == 200
    assert daemon.stop() == 0
