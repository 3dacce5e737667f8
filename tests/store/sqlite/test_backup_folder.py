"""A folder of backups: names by time, how many are kept, and what is never removed."""

import fcntl
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from booper.errors import BooperError
from booper.store.sqlite.backup import STEP_PAGES, back_up
from booper.store.sqlite.backup_folder import BackupFolder
from tests.support.databases import make_database

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return an empty database."""
    path = tmp_path / "booper.db"
    make_database(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the path of a folder that is not there."""
    return tmp_path / "backups"


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_is_named_by_its_time_and_the_newest_are_kept(
    database: Path, folder: Path
) -> None:
    """The folder is made, for its owner alone; files of other names stay."""
    kept = BackupFolder(database, folder, keep=2)
    assert kept.newest_at(NOON) is None
    for number in range(4):
        path, size = kept.make(NOON + number * DAY)
        assert path.stat().st_size == size
        if number == 0:
            assert path.name == "booper-20300131T120000Z.db"
            (folder / "booper-before-the-move.db").touch()
            (folder / "other-20200131T120000Z.db").touch()
    assert names(folder) == [
        "booper-20300202T120000Z.db",
        "booper-20300203T120000Z.db",
        "booper-before-the-move.db",
        "other-20200131T120000Z.db",
    ]
    assert kept.newest_at(NOON + 9 * DAY) == NOON + 3 * DAY
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_backups_from_a_future_that_never_came_go_first(database: Path, folder: Path) -> None:
    """Made under a clock that was ahead, they would outlive all others by their names."""
    kept = BackupFolder(database, folder, keep=2)
    kept.make(NOON)
    kept.make(NOON + 365 * DAY)
    assert kept.newest_at(NOON + DAY) == NOON
    kept.make(NOON + DAY)
    assert names(folder) == ["booper-20300131T120000Z.db", "booper-20300201T120000Z.db"]


def test_a_backup_that_fails_removes_nothing(database: Path, folder: Path) -> None:
    """The old backups are all there is then."""
    kept = BackupFolder(database, folder, keep=1)
    kept.make(NOON)
    with database.open("r+b") as file:
        file.write(b"no database" * 1000)
    with pytest.raises(BooperError, match="not a database"):
        kept.make(NOON + DAY)
    assert names(folder) == ["booper-20300131T120000Z.db"]


def test_a_damaged_copy_is_no_backup(database: Path, folder: Path) -> None:
    """A page that SQLite cannot make sense of is copied as it is, and found in the copy."""
    with closing(sqlite3.connect(database)) as opened:
        (page,) = opened.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'"
        ).fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(BooperError, match=r"the copy of .*booper\.db is damaged \("):
        BackupFolder(database, folder, keep=1).make(NOON)
    assert names(folder) == []


def test_what_a_killed_backup_has_left_is_removed(database: Path, folder: Path) -> None:
    """Whatever its time was; what another backup is writing stays."""
    folder.mkdir()
    (folder / ".booper-20300130T120000Z.db.abc.part").touch()
    (folder / ".other-20300130T120000Z.db.abc.part").touch()
    with (folder / ".booper-20300130T120001Z.db.busy.part").open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        BackupFolder(database, folder, keep=1).make(NOON)
    assert names(folder) == [
        ".booper-20300130T120001Z.db.busy.part",
        ".other-20300130T120000Z.db.abc.part",
        "booper-20300131T120000Z.db",
    ]


def test_a_backup_does_not_fill_the_disk(database: Path, folder: Path) -> None:
    """A full disk would stop the scheduler: nothing is written where there is too little room."""
    os.truncate(database, shutil.disk_usage(database.parent).free + 4096)  # which takes no room
    with pytest.raises(BooperError, match="free some space"):
        BackupFolder(database, folder, keep=1).make(NOON)
    assert names(folder) == []


def test_a_stopped_backup_leaves_nothing(database: Path, folder: Path) -> None:
    """Neither a copy nor a part of one."""
    with pytest.raises(BooperError, match="stopped"):
        BackupFolder(database, folder, keep=1).make(NOON, lambda: True)
    assert names(folder) == []


def test_writes_between_two_steps_neither_tear_nor_restart_a_copy(database: Path) -> None:
    """The copy is the database as it was at the first step."""
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE filling (bytes BLOB)")
        for _ in range(4):
            writer.execute("INSERT INTO filling VALUES (zeroblob(?))", (STEP_PAGES * 4096,))
        steps = 0

        def write() -> bool:
            nonlocal steps
            steps += 1
            assert steps < 100, "the copy began anew"
            writer.execute("INSERT INTO filling VALUES (zeroblob(100000))")
            writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
            return False

        back_up(database, database.with_name("copy.db"), is_stopped=write)
    assert steps > 4
    with closing(sqlite3.connect(database.with_name("copy.db"))) as copied:
        assert copied.execute("SELECT count(*) FROM filling").fetchone() == (4,)
