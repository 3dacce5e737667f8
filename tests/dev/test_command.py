"""`booper dev` as a process: its first words, its folder, its terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from booper.dev.bench import PUBLIC_KEY
from tests.support.processes import DEADLINE_SECONDS, bearer, run, serving, until

COMMAND = (sys.executable, "-m", "booper", "dev", "--port", "0")
_URL = re.compile(rb"for development on (http://[0-9.:\[\]]+)")


class Terminal:
    """A terminal of which a process has one end and a test the other."""

    def __init__(self) -> None:
        self._hand, self.device = pty.openpty()
        os.set_blocking(self._hand, False)
        self.shown = b""
        self.resize(200)

    def resize(self, columns: int) -> None:
        """Set the number of its columns."""
        termios.tcsetwinsize(self.device, (24, columns))

    def hang_up(self) -> None:
        """Close the test's end, as a terminal's window that is closed does."""
        os.close(self._hand)

    def has_keys(self) -> bool:
        """Return whether keys come without Enter."""
        return not termios.tcgetattr(self.device)[3] & termios.ICANON

    def press(self, keys: str) -> None:
        """Type without Enter."""
        os.write(self._hand, keys.encode())

    def forget(self) -> None:
        """Forget what was shown so far."""
        self.shows("")
        self.shown = b""

    def shows(self, text: str) -> bool:
        """Return whether a text has been shown."""
        with suppress(BlockingIOError):
            self.shown += os.read(self._hand, 65_536)
        return text.encode() in self.shown

    def shows_since(self, begin: int, text: str) -> bool:
        """Return whether a text has been shown behind what `begin` bytes hold."""
        self.shows("")
        return text.encode() in self.shown[begin:]

    def wait_shown(self, text: str) -> None:
        """Return once a text has been shown."""
        until(lambda: self.shows(text), f"the terminal showed {text!r}")


@contextmanager
def developing(
    folder: Path, *options: str, color: bool = False, term: str = "xterm"
) -> Iterator[tuple[Terminal, httpx.Client, subprocess.Popen[bytes]]]:
    """Run `booper dev` on a terminal until the end of the block."""
    terminal = Terminal()
    environment = {**os.environ, "TMPDIR": str(folder), "TERM": term}
    environment["NO_COLOR"] = "" if color else "1"
    device = terminal.device
    # In a group of its own, which is not orphaned: the system stops no process of one that is
    # (POSIX, System Interfaces §2.4.3).
    with subprocess.Popen(
        [*COMMAND, *options],
        stdin=device,
        stdout=device,
        stderr=device,
        env=environment,
        process_group=0,
    ) as process:
        try:
            terminal.wait_shown("api/dev/sink \\")
            found = _URL.search(terminal.shown)
            assert found is not None
            with httpx.Client(
                base_url=found[1].decode(), headers=bearer(PUBLIC_KEY), trust_env=False
            ) as api:
                yield terminal, api, process
        finally:
            process.kill()


@contextmanager
def piped(
    folder: Path, *options: str
) -> Iterator[tuple[Path, httpx.Client, subprocess.Popen[bytes]]]:
    """Run `booper dev` without a terminal, its output in a file, until the end of the block."""
    out = folder / "out"
    environment = {key: value for key, value in os.environ.items() if key != "BOOPER_CONFIG"}
    with (
        out.open("wb") as written,
        subprocess.Popen(
            [*COMMAND, *options], stdin=subprocess.DEVNULL, stdout=written, env=environment
        ) as process,
    ):
        try:
            found = until(lambda: _URL.search(out.read_bytes()), "it said where it is")
            assert found is not None
            until(lambda: b"api/dev/sink \\" in out.read_bytes(), "its first words are all there")
            with httpx.Client(
                base_url=found[1].decode(), headers=bearer(PUBLIC_KEY), trust_env=False
            ) as api:
                yield out, api, process
        finally:
            process.kill()


@contextmanager
def shell(folder: Path) -> Iterator[Terminal]:
    """Run an interactive shell that a terminal controls, until the end of the block."""
    terminal = Terminal()
    device = terminal.device
    environment = {**os.environ, "TMPDIR": str(folder), "NO_COLOR": "1", "PS1": "$ "}
    with subprocess.Popen(
        [sys.executable, "-c", _CONTROLLED, "bash", "--norc", "--noprofile", "--noediting", "-i"],
        stdin=device,
        stdout=device,
        stderr=device,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            yield terminal
        finally:
            for job in _session(process.pid):
                os.kill(job, signal.SIGKILL)


# A session leader takes a terminal as its controlling one by this call alone (tty_ioctl(4)).
_CONTROLLED = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def _session(leader: int) -> list[int]:
    """Return the processes of a session."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
    return found


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def schedule(api: httpx.Client, path: str, minutes: int) -> None:
    """Schedule a request to the sink."""
    url = f"https://scheduler.booper.dev/dev/sink{path}"
    body = {"method": "post", "url": url, "schedule_in": [minutes, "minutes"]}
    assert api.post("/api/jobs", json=body).status_code == 201


def test_keys_move_time_and_the_console_shows_what_happens(tmp_path: Path) -> None:
    """`n` runs the next job, `d` a day, `f` lets the clock go, `q` ends it and leaves no trace."""
    with developing(tmp_path, "--freeze") as (terminal, api, process):
        terminal.wait_shown("q quit")
        assert terminal.has_keys()
        schedule(api, "/first", 45)
        schedule(api, "/second", 90)
        terminal.press("n")
        terminal.wait_shown("1 attempt: 1 completed")
        terminal.wait_shown("200       #1 POST https://scheduler.booper.dev/dev/sink/first")
        assert not terminal.shows("200       #2")
        terminal.press("d")
        terminal.wait_shown("200       #2 POST https://scheduler.booper.dev/dev/sink/second")
        terminal.wait_shown("1 d on")
        terminal.press("?tf")
        terminal.wait_shown("the clock stands still")
        terminal.wait_shown("the clock runs")
        assert [one["path"] for one in api.get("/api/dev/sink").json()["data"]] == [
            "/first",
            "/second",
        ]
        terminal.press("q")
        assert process.wait(DEADLINE_SECONDS) == 0
        after = termios.tcgetattr(terminal.device)
        assert after[3] & termios.ICANON
        assert after[3] & termios.ECHO
    assert b"\x1b" not in terminal.shown
    assert list(tmp_path.iterdir()) == []


def test_colours_are_for_terminals(tmp_path: Path) -> None:
    """They are used where nothing speaks against it, and SIGINT ends it as `q` does."""
    with developing(tmp_path, color=True) as (terminal, _, process):
        terminal.wait_shown("q quit")
        assert b"\x1b[36m" in terminal.shown
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0
        assert termios.tcgetattr(terminal.device)[3] & termios.ICANON


@pytest.mark.parametrize(("color", "term"), [(False, "xterm"), (True, "dumb")])
def test_no_colours_are_for_those_who_want_none(tmp_path: Path, term: str, *, color: bool) -> None:
    """NO_COLOR (https://no-color.org) and TERM=dumb are heeded."""
    with developing(tmp_path, color=color, term=term) as (terminal, api, _):
        terminal.wait_shown("q quit")
        schedule(api, "/first", 0)
        terminal.wait_shown("200       #1")
    assert b"\x1b" not in terminal.shown


def test_the_console_follows_the_terminals_width(tmp_path: Path) -> None:
    """Each line fits the width that the terminal has when it is printed."""
    with developing(tmp_path, "--freeze") as (terminal, api, _):
        terminal.wait_shown("q quit")
        for columns in (40, 200, 80):
            terminal.resize(columns)
            begin = len(terminal.shown)
            schedule(api, f"/{'x' * 90}", columns)
            terminal.wait_shown(f"in {columns // 60} h" if columns > 60 else f"in {columns} min")
            terminal.press("t")
            until(partial(terminal.shows_since, begin, "still"), "it told the time")
            lines = terminal.shown[begin:].decode().splitlines()
            assert max(map(len, lines)) <= columns
            assert len(max(lines, key=len)) > columns // 2


def test_what_a_job_brings_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Names and URLs, errors and responses are shown with their control characters escaped."""
    nasty = "\x1b[2J\x9b31m\u202egnp\r\n\x07"
    with developing(tmp_path, "--freeze") as (terminal, api, _):
        url = "https://scheduler.booper.dev/api/jobs"
        body = {"url": url, "name": nasty, "method": "post", "body": {nasty: 1}}
        assert api.post("/api/jobs", json=body).status_code == 201
        terminal.wait_shown("401       #1")
        terminal.wait_shown("attempt 1 of 15")
    shown = terminal.shown.decode()
    assert all(c.isprintable() or c in "\r\n" for c in shown)
    assert "\\x1b[2J\\x9b31m\\u202egnp\\r\\n\\x07" in shown


def test_it_logs_each_job_where_there_is_no_terminal(tmp_path: Path) -> None:
    """Each is one plain line with its whole time; `--no-console` logs none of them."""
    for option, count in (("--console", 2), ("--no-console", 0)):
        with piped(tmp_path, option, "--database", str(tmp_path / f"{count}.db")) as (out, api, _):
            schedule(api, "/now", 0)
            until(lambda: api.get("/api/jobs").json()["data"][0]["job"]["completed_at"], "sent")
            if count:
                until(lambda: b"Z 200 #1 POST " in out.read_bytes(), "it was logged")
            lines = [line for line in out.read_text().splitlines() if "#1" in line]
        assert len(lines) == count
        assert all(
            re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (created|200) #1", line) for line in lines
        )


def test_it_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    """The file that `--database` names outlives it."""
    for count in (0, 1):
        with piped(tmp_path, "--database", str(tmp_path / "kept.db")) as (_, api, process):
            assert len(api.get("/api/jobs").json()["data"]) == count
            schedule(api, "/later", 45)
            process.terminate()
            assert process.wait(DEADLINE_SECONDS) == 0


SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()
SETTINGS = f"""
[server]
port = 1
[database]
path = "/nowhere/at.all"
[targets]
allow = ["10.0.0.1"]
[webhooks]
secret = "{SECRET}"
[retry]
max_attempts = 3
"""


def test_a_configuration_signs_callbacks_and_what_is_ignored_is_told(tmp_path: Path) -> None:
    """Secrets, retries and delivery are taken; where it listens and keeps jobs is not."""
    (tmp_path / "booper.toml").write_text(SETTINGS)
    with piped(tmp_path, "--config", str(tmp_path / "booper.toml")) as (out, api, _):
        body = {"url": f"{api.base_url}/dev/sink/job?respond=500", "backoff": [0.1]}
        sink = f"{api.base_url}/dev/sink/callback".replace("//dev", "/dev")
        response = api.post("/api/jobs", json={**body, "callback_url": sink})
        assert response.status_code == 201, response.text
        (caught,) = until(
            lambda: api.get("/api/dev/sink/callback").json()["data"], "the callback came"
        )
        Webhook(SECRET).verify(caught["body"], caught["headers"])
        assert response.json()["data"]["job"]["max_attempts"] == 3
    ignored = "Ignored by booper dev: "
    assert f"{ignored}[server] port, [database] path, [targets] allow." in out.read_text()
    assert SECRET not in out.read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_what_it_prints_works_wherever_it_listens(tmp_path: Path, host: str) -> None:
    """Its curl lines go to this machine's own address, and the sink there is reached by jobs."""
    with piped(tmp_path, "--host", host) as (out, api, _):
        assert api.base_url.host in ("127.0.0.1", "::1")
        schedule(api, "/hello", 0)
        until(lambda: api.get("/api/dev/sink/hello").json()["data"], "the job came")
    assert host not in re.findall(r"http://\[?([0-9.:]+?)\]?:\d+/", out.read_text())


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP]
)
def test_a_signal_leaves_the_terminal_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    """Whether it ends the process or stops it, Enter and the echo are back."""
    with developing(tmp_path) as (terminal, _, process):
        terminal.wait_shown("q quit")
        assert terminal.has_keys()
        process.send_signal(number)
        until(lambda: not terminal.has_keys(), "the modes were put back")
        assert termios.tcgetattr(terminal.device)[3] & termios.ECHO
        if number is signal.SIGTSTP:
            until(lambda: _is_stopped(process.pid), "it is stopped")
            process.send_signal(signal.SIGCONT)
            until(terminal.has_keys, "keys are taken again")
            terminal.press("q")
        assert process.wait(DEADLINE_SECONDS) == (-number if number is signal.SIGQUIT else 0)


def test_a_terminal_that_is_closed_ends_nothing_by_itself(tmp_path: Path) -> None:
    """Its keys and its console are gone, the jobs go on, and it stops as it should."""
    with developing(tmp_path) as (terminal, api, process):
        terminal.wait_shown("q quit")
        terminal.hang_up()
        schedule(api, "/hello", 0)
        until(lambda: api.get("/api/dev/sink/hello").json()["data"], "the job came")
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0


def test_a_shell_can_put_it_into_the_background_and_back(tmp_path: Path) -> None:
    """`&` does not stop it, `fg` gives it the keys, Ctrl-Z takes them and `fg` gives them back."""
    with shell(tmp_path) as terminal:
        command = " ".join([*COMMAND, "--freeze"])
        terminal.press(f"{command} &\n")
        terminal.wait_shown("api/dev/sink \\")
        terminal.press("jobs\n")
        terminal.wait_shown("Running")
        terminal.press("echo still $((40 + 2))\n")
        terminal.wait_shown("still 42")
        terminal.press("fg\n")
        until(terminal.has_keys, "it took the keys")
        terminal.press("t")
        terminal.wait_shown("the clock stands still")
        for _ in range(2):
            terminal.press("\x1a")
            terminal.wait_shown("Stopped")
            until(lambda: not terminal.has_keys(), "the shell has its modes again")
            terminal.press("stty -a | grep -o ' icanon'\n")
            terminal.wait_shown("\n icanon")
            terminal.forget()
            terminal.press("fg\n")
            until(terminal.has_keys, "it took the keys again")
            terminal.press("t")
            terminal.wait_shown("the clock stands still")
        terminal.press("\x1a")
        terminal.wait_shown("Stopped")
        until(lambda: not terminal.has_keys(), "the shell has its modes again")
        terminal.forget()
        terminal.press("bg\n")
        terminal.press("jobs\n")
        terminal.wait_shown("Running")
        terminal.press("fg\n")
        until(terminal.has_keys, "it took the keys at last")
        terminal.press("q")
        until(lambda: not terminal.has_keys(), "the modes were put back")
        terminal.press("echo ended $?\n")
        terminal.wait_shown("ended 0")


def test_a_database_that_another_serves_is_not_shared(tmp_path: Path) -> None:
    """It says so and ends: a developer's clock is no other's."""
    with serving(tmp_path):
        done = run(tmp_path, "dev", "--port", "0", "--database", "booper.db")
    assert done.returncode == 1
    assert "booper.db" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bad_map_is_one_line(tmp_path: Path) -> None:
    """It says what would be right, and ends as a wrong command line does."""
    done = run(tmp_path, "dev", "--port", "0", "--map", "https://api.example.com")
    assert done.returncode == 2
    assert done.stderr.startswith("booper: a map must be FROM=TO")


def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Its folder alone: not one that is in use, of another name, or behind a symbolic link."""
    precious = tmp_path / "precious"
    (precious / "deep").mkdir(parents=True)
    kept = [precious, tmp_path / "booper-dev-old", tmp_path / "booper-benches"]
    link = tmp_path / "booper-bench-link"
    link.symlink_to(precious)
    shared = tmp_path / "booper-bench-shared"
    file = tmp_path / "booper-bench-file"
    for folder in (*kept[1:], shared):
        folder.mkdir(mode=0o700)
    shared.chmod(0o755)
    file.touch(mode=0o700)

    def folders() -> set[Path]:
        return {path for path in tmp_path.glob("booper-bench-*") if path.is_dir()} - {link, shared}

    with developing(tmp_path) as (_, _, killed):
        [left] = folders()
        (left / "link").symlink_to(precious)
        killed.kill()
        killed.wait()
    assert folders() == {left}
    with developing(tmp_path) as (_, living, _):
        [used] = folders()
        assert used != left
        with developing(tmp_path) as (_, _, other):
            assert len(folders()) == 2
            other.send_signal(signal.SIGTERM)
            assert other.wait(DEADLINE_SECONDS) == 0
        assert folders() == {used}
        created = living.post("/api/jobs", json={"url": "http://127.0.0.1:1/", "schedule_in": 99})
        assert created.status_code == 201
    assert all(path.exists() for path in (*kept, precious / "deep", link, shared, file))
