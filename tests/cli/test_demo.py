"""`booper demo`: what it shows, and what it says when it does not work."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from booper.cli.demo import show
from booper.cli.dev import throwaway
from booper.dev.bench import Bench
from booper.errors import StartError
from tests.support.processes import run
from tests.support.target import FakeTarget

SOON = timedelta(seconds=0.05)


@pytest.mark.anyio
async def test_how_late_it_was_is_the_difference_of_two_times(tmp_path: Path) -> None:
    """When it came, by booper's clock, less when it was to come; it is never early.

    Each step is told as it happens.
    """
    lines: list[str] = []
    shown = await show(throwaway(tmp_path / "booper.db", "127.0.0.1", 0), SOON, lines.append)
    assert (shown.received_at - shown.scheduled_at).total_seconds() == shown.late_seconds >= 0
    assert shown.status == 200
    assert [line.split()[0] for line in lines] == ["started", "created", "arrived", "responded"]
    assert lines[2] == f'arrived   {{"content":"Hello"}}, {shown.late_seconds * 1e3:.1f} ms late'


@pytest.mark.anyio
async def test_what_does_not_come_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what stood in its way; a program sees the exit code 1."""
    target = FakeTarget()
    target.respond(httpx.ConnectError("refused"))
    made = Bench.__init__
    monkeypatch.setattr(
        Bench, "__init__", lambda *args, **fields: made(*args, **fields, transport=target)
    )
    with pytest.raises(StartError, match="the request did not arrive: connect") as failed:
        await show(throwaway(tmp_path / "booper.db", "127.0.0.1", 0), SOON, print)
    assert failed.value.exit_code == 1


def test_a_program_reads_one_object(tmp_path: Path) -> None:
    """Nothing else is printed, and nothing is left behind where it was started."""
    done = run(tmp_path, "demo", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert (shown["status"], shown["late_seconds"] >= 0) == (200, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "booper demo",
        "booper dev --port 0",
        "python -c 'from booper.testing import VirtualBooper; VirtualBooper().__enter__()'",
    ],
)
def test_no_folder_for_temporary_files_is_told(tmp_path: Path, command: str) -> None:
    """Where no file can grow none can be made: one line says so, and what to set."""
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; exec {command}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "no folder for temporary files can be written" in last
    assert last.endswith("set TMPDIR to one that can")
    assert command.startswith("python") or len(done.stderr.splitlines()) == 1
