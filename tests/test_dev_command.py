"""`booper dev` as a process: its first words, its folder, its terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from booper.dev.bench import PUBLIC_KEY
from tests.processes import DEADLINE_SECONDS, bearer, run, serving, until

COMMAND = (sys.executable, "-m", "booper", "dev", "--port", "0")
_URL = re.compile(rb"for development on (http://[0-9.:]+)")


class Terminal:
    """A terminal of which a process has one end and a test the other."""

    def __init__(self) -> None:
        self._hand, self.device = pty.openpty()
        os.set_blocking(self._hand, False)
        self.shown = b""

    def press(self, keys: str) -> None:
        """Type without Enter."""
        os.write(self._hand, keys.encode())

    def shows(self, text: str) -> bool:
        """Say whether a text has been shown."""
        with suppress(BlockingIOError):
            self.shown += os.read(self._hand, 65_536)
        return text.encode() in self.shown

    def wait_shown(self, text: str) -> None:
        """Return once a text has been shown."""
        until(lambda: self.shows(text), f"the terminal showed {text!r}")


@contextmanager
def developing(
    folder: Path, *options: str, color: bool = False
) -> Iterator[tuple[Terminal, httpx.Client, subprocess.Popen[bytes]]]:
    """Run `booper dev` on a terminal until the end of the block."""
    terminal = Terminal()
    environment = {**os.environ, "TMPDIR": str(folder), "NO_COLOR": "" if color else "1"}
    device = terminal.device
    with subprocess.Popen(
        [*COMMAND, *options], stdin=device, stdout=device, stderr=device, env=environment
    ) as process:
        try:
            terminal.wait_shown("api/dev/sink -H")
            found = _URL.search(terminal.shown)
            assert found is not None
            with httpx.Client(
                base_url=found[1].decode(), headers=bearer(PUBLIC_KEY), trust_env=False
            ) as api:
                yield terminal, api, process
        finally:
            process.kill()


def schedule(api: httpx.Client, path: str, minutes: int) -> None:
    """Schedule a request to the sink."""
    url = f"https://scheduler.booper.dev/dev/sink{path}"
    body = {"method": "post", "url": url, "schedule_in": [minutes, "minutes"]}
    assert api.post("/api/jobs", json=body).status_code == 201


def test_keys_move_time_and_the_console_shows_what_happens(tmp_path: Path) -> None:
    """`n` runs the next job, `d` a day, `f` lets the clock go, `q` ends it and leaves no trace."""
    with developing(tmp_path, "--freeze") as (terminal, api, process):
        terminal.wait_shown("q quit")
        before = termios.tcgetattr(terminal.device)
        assert not before[3] & termios.ICANON  # keys come without Enter
        schedule(api, "/first", 45)
        schedule(api, "/second", 90)
        terminal.press("n")
        terminal.wait_shown("1 attempt: 1 completed")
        terminal.wait_shown("POST https://scheduler.booper.dev/dev/sink/first  attempt 1, in ")
        assert not terminal.shows("second  attempt")
        terminal.press("d")
        terminal.wait_shown("/second  attempt 1")
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


def test_it_is_quiet_when_piped_and_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    """Without a terminal there are its first words and no more; `--database` outlives it."""
    out = tmp_path / "out"
    for count in (0, 1):
        with (
            out.open("wb") as written,
            subprocess.Popen(
                [*COMMAND, "--database", str(tmp_path / "kept.db")],
                stdin=subprocess.DEVNULL,
                stdout=written,
            ) as process,
        ):
            try:
                found = until(lambda: _URL.search(out.read_bytes()), "it said where it is")
                assert found is not None
                with httpx.Client(
                    base_url=found[1].decode(), headers=bearer(PUBLIC_KEY), trust_env=False
                ) as api:
                    assert len(api.get("/api/jobs").json()["data"]) == count
                    schedule(api, "/later", 45)
                process.terminate()
                assert process.wait(DEADLINE_SECONDS) == 0
            finally:
                process.kill()
        assert "created" not in out.read_text()


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
