"""Bringing a database file to this version's schema: numbered migrations, forward only.

The number of the last migration stands in the file's `user_version`, booper's mark in its
`application_id` (https://www.sqlite.org/pragma.html), so that no other program's file is touched.
"""

import sqlite3
from collections.abc import Callable, Sequence
from importlib.resources import files

from booper.errors import StartError
from booper.model.origin import path_key, stored_origin

APPLICATION_ID = 0x626F6F70  # "boop"

# The table is there while a move fills the file (`booper.store.moving`).
UNFINISHED_MOVE = "SELECT 1 FROM sqlite_schema WHERE name = 'unfinished_move'"


class UnusableDatabase(StartError):
    """A file that cannot serve as booper's database; it is left as it was."""


def migrations() -> list[str]:
    """Return the SQL of all migrations in order; the first is number 1."""
    folder = files("booper.store.sqlite") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def migrate(
    connection: sqlite3.Connection,
    path: str,
    before_upgrade: Callable[[int], None] = lambda version: None,
    journal: str = "WAL",
) -> None:
    """Migrate the file behind `connection` to the newest schema and switch it to a journal mode.

    All in one transaction: whenever this ends, the file has the old schema or the newest one.
    `before_upgrade` is called with the old one's number, before anything of it changes.

    Raises:
        UnusableDatabase: it is no database, another program's, or from a newer booper.
    """
    try:
        version, newest = read_version(connection, path), len(migrations())
        if connection.execute(UNFINISHED_MOVE).fetchone():
            raise UnusableDatabase(
                f"{path} is only partly filled by booper migrate-store; run that to its end"
            )
        if 0 < version < newest:
            before_upgrade(version)
        # Before the first page is written; where there is one, it is silently ignored.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        # Fails at once on a file that cannot be written, which would else show at the first job.
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(f"PRAGMA journal_mode = {journal}")
        add_functions(connection)
        if version < newest:
            _apply(connection, migrations()[version:], newest)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"cannot use {path} as a database: {error}") from error


def read_version(connection: sqlite3.Connection, path: str) -> int:
    """Return the number of a file's schema, 0 if it is empty.

    Raises:
        UnusableDatabase: it is another program's, or from a newer booper.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (tables or application or version) and application != APPLICATION_ID:
        raise UnusableDatabase(f"{path} is a database of another program")
    if version > len(migrations()):
        raise UnusableDatabase(
            f"{path} was written by a newer booper (schema {version}, "
            f"this one knows {len(migrations())}); install that version"
        )
    return int(version)


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that migrations need beside SQL."""
    connection.create_function("booper_origin", 2, stored_origin, deterministic=True)
    connection.create_function("booper_path", 1, path_key, deterministic=True)


def _apply(connection: sqlite3.Connection, scripts: Sequence[str], newest: int) -> None:
    marks = f"PRAGMA user_version = {newest}; PRAGMA application_id = {APPLICATION_ID};"
    try:
        connection.executescript("\n".join(["BEGIN IMMEDIATE;", *scripts, marks, "COMMIT;"]))
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
