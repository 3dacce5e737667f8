"""Folders of dead processes: whose they are, and what is never removed."""

import os
from pathlib import Path

import pytest

from booper.temporary import locked_folder

PREFIX = "booper-tried-"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep temporary files in the test's folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def abandoned(folder: Path, name: str) -> Path:
    """Return a folder as a killed process leaves it."""
    left = folder / f"{PREFIX}{name}"
    left.mkdir(mode=0o700)
    (left / "booper.db").touch()
    return left


def test_an_abandoned_folder_goes_and_one_in_use_stays(tmp_path: Path) -> None:
    """Also in one process, and at the end of its own block."""
    left = abandoned(tmp_path, "left")
    with locked_folder(PREFIX) as first:
        assert not left.exists()
        with locked_folder(PREFIX) as second:
            assert first != second
            assert first.is_dir()
        assert not second.exists()
    assert not first.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_stays(tmp_path: Path) -> None:
    """Even where this user could remove it, as root can."""
    theirs = abandoned(tmp_path, "theirs")
    os.chown(theirs, 65_534, 65_534)
    with locked_folder(PREFIX):
        assert theirs.is_dir()


def test_what_cannot_be_removed_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """A link to nowhere, a file, a folder without rights."""
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "nowhere")
    (tmp_path / f"{PREFIX}file").touch()
    closed = tmp_path / f"{PREFIX}closed"
    closed.mkdir(mode=0o000)
    with locked_folder(PREFIX) as folder:
        assert folder.is_dir()
    assert closed.is_dir()
    closed.chmod(0o700)
