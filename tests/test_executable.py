"""The single executable: which folders a start removes, and which signals are echoes.

The executable itself is tried by `python -m tests.torture --only executable`.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from booper.executable import ECHO_SECONDS, RUNNING, UNPACKED, Signals, is_executable, keep, signals

# A process that is not this one's parent, and lives on.
LOADER = os.getpid()

_numbers = count()


def unpacked(beside: Path, loader: int | str, file: str | None = UNPACKED) -> Path:
    """Return a folder as a loader has made it."""
    digits = f"{loader:08x}" if isinstance(loader, int) else loader
    folder = beside / f"_MEI{digits}{next(_numbers):06}"
    folder.mkdir(mode=0o700)
    (folder / "libpython3.11.so.1.0").touch()
    if file is not None:
        (folder / file).touch()
    return folder


@pytest.fixture(scope="module")
def dead() -> int:
    """Return the id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_start_removes_what_killed_runs_have_left(tmp_path: Path, dead: int) -> None:
    """Killed while they ran or were unpacked; also where another process has the loader's id.

    Where that is this process's own loader, as in a container, it has unpacked another folder.
    """
    left = [
        unpacked(tmp_path, dead, RUNNING),
        unpacked(tmp_path, os.getpid(), RUNNING),
        unpacked(tmp_path, dead),
        unpacked(tmp_path, os.getppid()),
    ]
    own = unpacked(tmp_path, LOADER)
    with ExitStack() as stack:
        keep(stack, own)
        assert [each for each in left if each.exists()] == []
        assert (own / RUNNING).exists()


def test_a_start_removes_nothing_that_is_in_use(tmp_path: Path) -> None:
    """Neither the folder of a run that goes on nor one that is being unpacked."""
    first, second = unpacked(tmp_path, LOADER), unpacked(tmp_path, LOADER)
    with ExitStack() as running, ExitStack() as stack:
        keep(running, first)
        keep(stack, second)
        assert first.exists()
        keep(stack, unpacked(tmp_path, LOADER))
        assert second.exists()
        running.close()
        keep(stack, unpacked(tmp_path, LOADER))
        assert not first.exists()


@pytest.mark.parametrize("name", ["00zz00zz", "ffffffff", "-0000001"])
def test_a_folder_whose_loader_is_unknown_stays(tmp_path: Path, name: str) -> None:
    """Its name has no number, or one that no process can have."""
    strange = unpacked(tmp_path, name)
    with ExitStack() as stack:
        keep(stack, unpacked(tmp_path, LOADER))
        assert strange.exists()


def test_an_executable_that_was_built_otherwise_starts(tmp_path: Path) -> None:
    """Its folder has no file of booper's, and is in use nevertheless."""
    own = unpacked(tmp_path, LOADER, file=None)
    with ExitStack() as stack:
        keep(stack, own)
        keep(stack, unpacked(tmp_path, LOADER))
        assert own.exists()


def test_a_folder_of_another_program_stays(tmp_path: Path, dead: int) -> None:
    """PyInstaller names the folders of all programs alike."""
    other = unpacked(tmp_path, dead, file=None)
    with ExitStack() as stack:
        keep(stack, unpacked(tmp_path, LOADER))
        assert other.exists()


def test_a_link_and_a_folder_that_others_may_write_stay(tmp_path: Path, dead: int) -> None:
    """Somebody else may have put them there."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / RUNNING).touch()
    (tmp_path / f"_MEI{dead:08x}linked").symlink_to(elsewhere)
    shared = unpacked(tmp_path, dead, RUNNING)
    shared.chmod(0o770)
    with ExitStack() as stack:
        keep(stack, unpacked(tmp_path, LOADER))
        assert (elsewhere / RUNNING).exists()
        assert shared.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_stays(tmp_path: Path, dead: int) -> None:
    """Even where this user could remove it, as root can."""
    theirs = unpacked(tmp_path, dead, RUNNING)
    os.chown(theirs, 65_534, 65_534)
    with ExitStack() as stack:
        keep(stack, unpacked(tmp_path, LOADER))
        assert theirs.exists()


def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    """The second is the loader's; one that a person sends again takes longer."""
    times = iter([10.0, 10.0 + ECHO_SECONDS / 2, 10.0 + ECHO_SECONDS, 10.0 + 3 * ECHO_SECONDS])
    told = Signals(ECHO_SECONDS, lambda: next(times))
    assert [told.is_new() for _ in range(4)] == [True, False, True, True]


def test_without_a_loader_there_are_no_echoes() -> None:
    """Two signals are two, however fast."""
    assert not is_executable()
    told = signals()
    assert [told.is_new() for _ in range(3)] == [True] * 3
