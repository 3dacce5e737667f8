"""Standard streams that are closed, full, broken or of another encoding: a line, no traceback."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from booper.cli.text import json_text, one_line, printable
from tests.support.processes import (
    DEADLINE_SECONDS,
    Daemon,
    allow_local_targets,
    run,
    serving,
    until,
)

BOOPER = f"{sys.executable} -m booper"
NAME = "Grüße 日本 \U0001f600 \u202egpj \u009b31m"
"""With what latin-1 lacks, a right-to-left override and a control sequence of one character."""

COMMANDS = {
    "--help": 0,
    "--version": 0,
    "check": 0,
    "status": 0,
    "jobs list": 0,
    "jobs list --json": 0,
    "jobs get 1": 0,
    "schedules list": 0,
    "logs list": 0,
    "keys list": 0,
    "keys list --json": 0,
    "jobs get 999": 1,
    "jobs get ..": 2,
    "jobs nonsense": 2,
}
"""Commands and how they end when their streams are whole."""

PRINTING = [command for command, code in COMMANDS.items() if code == 0]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a booper with one job, whose name is hard to print."""
    folder = tmp_path_factory.mktemp("served")
    allow_local_targets(folder)
    with serving(folder) as running:
        running.post("https://example.com/", name=NAME, schedule_in=[1, "day"])
        yield running


def user_of(daemon: Daemon) -> dict[str, str]:
    """Return the environment of a user of the daemon."""
    return {"BOOPER_URL": daemon.url, "BOOPER_API_KEY": daemon.key or ""}


def bash(
    daemon: Daemon, line: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash as a user of the daemon types it."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=daemon.folder,
        env={**os.environ, **user_of(daemon), **(environment or {})},
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("closed", [0, 1, 2], ids=["<&-", ">&-", "2>&-"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_stream_changes_no_exit_code(daemon: Daemon, command: str, closed: int) -> None:
    """What would go there goes nowhere, and nothing else does."""
    done = run(daemon.folder, *command.split(), environment=user_of(daemon), closed={closed})
    assert done.returncode == COMMANDS[command], done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_all_streams_may_be_closed(daemon: Daemon, command: str) -> None:
    """The exit code tells all there is to tell."""
    done = run(daemon.folder, *command.split(), environment=user_of(daemon), closed={0, 1, 2})
    assert (done.returncode, done.stdout, done.stderr) == (COMMANDS[command], "", "")


def test_a_shell_may_close_all_streams(daemon: Daemon) -> None:
    """They are closed when the interpreter starts, whichever command it is."""
    done = bash(daemon, f"{BOOPER} jobs list <&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("command", PRINTING)
def test_a_full_disk_behind_the_output_is_a_line(daemon: Daemon, command: str) -> None:
    """/dev/full fails each write with ENOSPC (full(4))."""
    with open("/dev/full", "wb") as full:
        done = run(
            daemon.folder, *command.split(), environment=user_of(daemon), output=full.fileno()
        )
    expected = "booper: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, expected)


def test_a_full_disk_behind_both_is_an_exit_code(daemon: Daemon) -> None:
    """There is nowhere left to say so."""
    done = bash(daemon, f"{BOOPER} jobs list > /dev/full 2> /dev/full")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
    assert bash(daemon, f"{BOOPER} jobs get .. 2> /dev/full").returncode in (1, 2)


@pytest.mark.parametrize("command", PRINTING)
def test_a_reader_that_has_gone_is_no_error(daemon: Daemon, command: str) -> None:
    """As with `booper jobs list | head -0`."""
    done = bash(daemon, f"{BOOPER} {command} | head -c 0")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_another_encoding_escapes_what_it_lacks(daemon: Daemon, encoding: str) -> None:
    """A person reads escapes; a program reads the very name."""
    environment = {"PYTHONIOENCODING": encoding}
    told = bash(daemon, f"{BOOPER} jobs list", environment)
    assert (told.returncode, told.stderr) == (0, b"")
    asked = bash(daemon, f"{BOOPER} jobs get 1 --json", environment)
    assert json.loads(asked.stdout.decode(encoding))["name"] == NAME


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "| head -c 0"])
@pytest.mark.parametrize("command", ["serve", "dev"])
def test_a_daemon_serves_without_its_streams(tmp_path: Path, command: str, streams: str) -> None:
    """libuv aborts when a socket has the number of a standard stream."""
    port = free_port()
    line = f"{BOOPER} {command} --port {port} --database {tmp_path}/a.db {streams}"
    process = subprocess.Popen(["bash", "-c", line], start_new_session=True, cwd=tmp_path)
    try:
        ask = ("status", "--url", f"http://127.0.0.1:{port}")
        until(lambda: run(tmp_path, *ask).returncode == 0, "it is ready")
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        code = process.wait(DEADLINE_SECONDS)
    assert code in (0, -signal.SIGTERM), "it stopped as it was told"


@pytest.mark.parametrize(
    ("text", "shown", "in_a_line"),
    [
        ("a\x1b[31mb\x07", r"a\x1b[31mb\x07", r"a\x1b[31mb\x07"),
        ("\x9b2J \x85", r"\x9b2J \x85", r"\x9b2J \x85"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("\u200b\u200f\ufeff\u2028", r"\u200b\u200f\ufeff\u2028", r"\u200b\u200f\ufeff\u2028"),
        ("\U000e0041\udcff", r"\U000e0041\udcff", r"\U000e0041\udcff"),
        ("Grüße 日本 \U0001f600", "Grüße 日本 \U0001f600", "Grüße 日本 \U0001f600"),
        ("a\nb\r\n", "a\nb\\r\n", r"a\nb\r\n"),
    ],
)
def test_what_others_wrote_does_not_steer_the_terminal(
    text: str, shown: str, in_a_line: str
) -> None:
    """Controls (C0, C1) and format characters (Unicode Cc, Cf, Zl, Zp) are escapes."""
    assert (printable(text), one_line(text)) == (shown, in_a_line)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\x9b2J", r"\u009b2J"),
        ("\x7f", r"\u007f"),
        ("\u202egpj", r"\u202egpj"),
        ("\u2066\u2069\u061c", r"\u2066\u2069\u061c"),
        ("\U000e0041", r"\udb40\udc41"),
        ("\u2028", r"\u2028"),
    ],
)
def test_json_holds_no_raw_control_character(text: str, written: str) -> None:
    """Any character of a string may be \\uXXXX, beyond U+FFFF as two (RFC 8259 §7)."""
    found = json_text(json.dumps({"a": text}, ensure_ascii=False).encode())
    assert found == f'{{"a": "{written}"}}'
    assert json.loads(found) == {"a": text}


def test_json_of_a_terminal_of_another_encoding_is_ascii(daemon: Daemon) -> None:
    """So that it can be printed whole, and is valid."""
    done = bash(daemon, f"{BOOPER} jobs list --json", {"PYTHONIOENCODING": "latin-1"})
    assert done.stdout.isascii()
    assert "\u202e" not in bash(daemon, f"{BOOPER} jobs list --json").stdout.decode()
