"""`restore`: what it refuses, and that nothing is lost of the backup and of the old file."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from booper.errors import BooperError, StartError
from booper.store.sqlite import DatabaseLocked, open_store
from booper.store.sqlite.backup import back_up
from booper.store.sqlite.restore import Restored, restore
from booper.store.sqlite.schema import migrations
from tests.support.databases import make_database

pytestmark = pytest.mark.anyio

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
OLD = "booper.db.replaced-20300131T120000Z"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return the path of a database that is not there."""
    return tmp_path / "booper.db"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Return a backup that holds the user `backed up`."""
    source, copied = tmp_path / "source.db", tmp_path / "copy.db"
    make_database(source)
    add_user(source, "backed up")
    back_up(source, copied)
    source.unlink()
    return copied


def add_user(path: Path, name: str) -> None:
    """Add a user to a database."""
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("INSERT INTO users VALUES (randomblob(16), ?, 0)", (name,))


def users(path: Path) -> list[str]:
    """Return the users of a database."""
    with closing(sqlite3.connect(path)) as opened:
        return [name for (name,) in opened.execute("SELECT name FROM users")]


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder but locks, which are empty or name a process."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


def forced(backup: Path, database: Path) -> Restored:
    """Restore over whatever is there."""
    return restore(backup, database, NOW, overwrite=True)


def test_a_backup_takes_an_empty_place(backup: Path, database: Path) -> None:
    """The backup itself stays; the database is its owner's alone."""
    done = restore(backup, database, NOW, overwrite=False)
    assert (done.schema, done.moved) == (len(migrations()), [])
    assert done.size == database.stat().st_size
    assert users(database) == users(backup) == ["backed up"]
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_a_database_is_moved_aside_and_only_if_that_is_asked_for(
    backup: Path, database: Path
) -> None:
    """With what only its log holds: it can be opened under its new name as it was."""
    make_database(database)
    # What a process that was killed has left: the newest commits are in the log alone.
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("INSERT INTO users VALUES (randomblob(16), 'in the log', 0)")
        writer.commit()
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(f"{database}{suffix}", f"{database}.killed{suffix}")
    for suffix in ("", "-wal", "-shm"):
        os.replace(f"{database}.killed{suffix}", f"{database}{suffix}")
    before = contents(database.parent)
    with pytest.raises(StartError, match="--force moves it aside"):
        restore(backup, database, NOW, overwrite=False)
    assert contents(database.parent) == before
    database.chmod(0o640)
    done = forced(backup, database)
    assert [path.name for path in done.moved] == [OLD, f"{OLD}-wal", f"{OLD}-shm"]
    assert users(database) == ["backed up"]
    assert users(database.with_name(OLD)) == ["in the log"]
    assert stat.S_IMODE(database.stat().st_mode) == 0o640


def test_a_log_without_its_database_is_moved_aside(backup: Path, database: Path) -> None:
    """SQLite would read it into the restored file."""
    wal, shm = database.with_name("booper.db-wal"), database.with_name("booper.db-shm")
    wal.write_bytes(b"stale")
    shm.write_bytes(b"stale")
    done = restore(backup, database, NOW, overwrite=False)
    assert [path.name for path in done.moved] == [f"{OLD}-wal", f"{OLD}-shm"]
    assert not wal.exists()
    assert not shm.exists()
    assert users(database) == ["backed up"]


async def test_a_database_in_use_is_refused(backup: Path, database: Path) -> None:
    """Not even by force, nor where its lock file was removed."""
    async with open_store(database, "full", Random(1)):
        for _ in range(2):
            with pytest.raises(DatabaseLocked):
                forced(backup, database)
            database.with_name("booper.db.lock").unlink()
    assert users(database) == []


async def test_what_was_restored_can_be_opened(backup: Path, database: Path) -> None:
    """By the next start, which finds all of the backup."""
    restore(backup, database, NOW, overwrite=False)
    async with open_store(database, "full", Random(1)) as store:
        assert await store.keys.list() == []
    assert users(database) == ["backed up"]


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute(f"PRAGMA user_version = {len(migrations()) + 1}")


def _of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("CREATE TABLE songs (name TEXT)")


def _damaged(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        (page,) = opened.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'logs'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


REFUSED: list[tuple[Callable[[Path], object], str]] = [
    (_newer, "was written by a newer booper"),
    (_of_another_program, "is a database of another program"),
    (_damaged, "is damaged: "),
    (lambda path: path.write_bytes(b"Dear diary\n" * 1000), "is no backup: file is not a database"),
    (lambda path: path.write_bytes(b""), "is no backup: it is empty"),
    (lambda path: os.truncate(path, 8192), "is no backup|is damaged: "),
    (lambda path: path.unlink(), "there is no backup"),
]


@pytest.mark.parametrize(("spoil", "message"), REFUSED)
def test_what_is_no_whole_backup_is_refused(
    backup: Path, database: Path, spoil: Callable[[Path], object], message: str
) -> None:
    """What is in its place stays as it is, and nothing else is left there."""
    spoil(backup)
    make_database(database)
    before = contents(database.parent)
    with pytest.raises(BooperError, match=message):
        forced(backup, database)
    assert contents(database.parent) == before


def test_the_database_is_not_its_own_backup(database: Path) -> None:
    """By whatever name it is called."""
    make_database(database)
    link = database.with_name("link.db")
    link.symlink_to(database)
    for name in (database, link):
        with pytest.raises(StartError, match="is the database itself"):
            forced(name, database)


def test_a_database_behind_a_link_is_restored_where_it_lies(backup: Path, database: Path) -> None:
    """The link stays a link, and the old file is moved aside in its own folder."""
    real = database.with_name("data") / "booper.db"
    real.parent.mkdir()
    make_database(real)
    database.symlink_to(real)
    forced(backup, database)
    assert database.is_symlink()
    assert users(real) == ["backed up"]
    assert users(real.with_name(OLD)) == []


def test_a_copied_file_with_its_log_is_restored_whole(database: Path, tmp_path: Path) -> None:
    """As `cp` leaves a database that was not stopped well: the log belongs to it."""
    source, copied = tmp_path / "source.db", tmp_path / "cp.db"
    make_database(source)
    with closing(sqlite3.connect(source)) as writer:
        writer.execute("INSERT INTO users VALUES (randomblob(16), 'in the log', 0)")
        writer.commit()
        shutil.copy(source, copied)
        shutil.copy(f"{source}-wal", f"{copied}-wal")
    restore(copied, database, NOW, overwrite=False)
    assert users(database) == ["in the log"]


def test_a_backup_on_a_disk_that_cannot_be_written_is_restored(
    backup: Path, database: Path
) -> None:
    """Nothing is made beside it."""
    folder = database.with_name("read only")
    folder.mkdir()
    backup.rename(folder / "copy.db")
    folder.chmod(0o555)
    restore(folder / "copy.db", database, NOW, overwrite=False)
    assert [path.name for path in folder.iterdir()] == ["copy.db"]
    folder.chmod(0o755)
    assert users(database) == ["backed up"]
