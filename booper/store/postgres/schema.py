"""Bringing a database to this version's schema: numbered migrations, forward only.

Nodes that start at once take turns (an advisory lock), so each migration is applied once.

Nodes are replaced one after the other, so boopers of two releases run over one database. A
migration only adds to the schema, and the database notes the oldest schema whose boopers go on with
it: those run on, and start again. What nobody uses any more is taken away by a later release.
"""

import logging
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import psycopg
from psycopg.errors import LockNotAvailable

from booper.errors import StartError
from booper.store.postgres.connections import Connection

LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('booper schema', 0))"
MAKE_TABLE: Final = "CREATE TABLE IF NOT EXISTS booper_schema (version bigint NOT NULL)"
READ: Final = "SELECT max(version) FROM booper_schema"
# Of the newest row: the oldest schema whose boopers go on with it. Schema 1 did not note it.
ADD_OLDEST: Final = "ALTER TABLE booper_schema ADD COLUMN IF NOT EXISTS oldest bigint"
READ_OLDEST: Final = "SELECT oldest FROM booper_schema ORDER BY version DESC LIMIT 1"
NOTE: Final = "INSERT INTO booper_schema (version, oldest) VALUES (%s, %s)"

OLDEST: Final = 1
"""The oldest schema whose boopers go on with the newest: all migrations behind it only add."""

# A table that somebody reads for long must not be waited for: all others would wait behind that.
SET_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = 500"
PAUSE: Final = "SELECT pg_sleep(1)"
MAX_TRIES: Final = 60

# The table is there while a move fills the database (`booper.store.moving`).
UNFINISHED_MOVE: Final = "SELECT to_regclass('unfinished_move') IS NOT NULL"
OLDEST_SERVER: Final = 150_000
"""PostgreSQL 15, as libpq numbers it."""


log = logging.getLogger("booper.store")


class UnusableDatabase(StartError):
    """A database that cannot serve booper; it is left as it was."""


def migrations() -> list[str]:
    """Return the SQL of all migrations in order; the first is number 1."""
    folder = files("booper.store.postgres") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def migrate(connection: Connection, all_of_them: Sequence[str] | None = None) -> None:
    """Migrate the database to the newest schema, in one transaction.

    One that a newer booper has migrated stays as it is, if this booper can go on with it.

    Raises:
        UnusableDatabase: the server is too old, the schema is from a booper that is too new, or
            others use the tables for too long.
    """
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise UnusableDatabase(
            f"PostgreSQL {version // 10_000} is too old: booper needs version 15 or newer"
        )
    for _ in range(MAX_TRIES):
        try:
            with connection.transaction():
                _apply(connection, migrations() if all_of_them is None else all_of_them)
        except LockNotAvailable:
            connection.execute(PAUSE)
        else:
            return
    raise UnusableDatabase(
        "the database cannot be migrated: for a minute other sessions have used the tables that "
        "change; end them (pg_stat_activity shows them) and start booper again"
    )


def _apply(connection: Connection, all_of_them: Sequence[str]) -> None:
    connection.execute(LOCK)
    connection.execute(MAKE_TABLE)
    row = connection.execute(READ).fetchone()
    known, newest = (row and row[0]) or 0, len(all_of_them)
    if known > newest:
        _check_newer(connection, known, newest)
    if known >= newest:
        return
    connection.execute(SET_LOCK_TIMEOUT)
    connection.execute(ADD_OLDEST)
    for number, sql in enumerate(all_of_them[known:], start=known + 1):
        connection.execute(sql)
        connection.execute(NOTE, [number, OLDEST])


def _check_newer(connection: Connection, known: int, newest: int) -> None:
    """Check that a booper goes on with a newer schema. Raises: UnusableDatabase."""
    row = connection.execute(READ_OLDEST).fetchone()
    oldest = (row and row[0]) or known
    if newest < oldest:
        raise UnusableDatabase(
            f"the database has schema {known}, which needs a booper that knows schema {oldest}, "
            f"and this one knows {newest}: start a newer booper"
        )
    log.info("the database has schema %d of a newer booper; schema %d goes on", known, newest)


def open_migrated(connection: Connection, url: str) -> None:
    """Migrate a database that is to be used. Raises: UnusableDatabase, which names it."""
    try:
        migrate(connection)
        row = connection.execute(UNFINISHED_MOVE).fetchone()
    except psycopg.Error as error:
        text = " ".join(str(error).split())
        raise UnusableDatabase(f"cannot use the database {shown(url)}: {text}") from error
    if row is not None and row[0]:
        raise UnusableDatabase(
            f"the database {shown(url)} is only partly filled by booper migrate-store; run that "
            "to its end"
        )


def shown(url: str) -> str:
    """Return a database's URL as it may be shown: without its password."""
    known = psycopg.conninfo.conninfo_to_dict(url)
    place = f"{known.get('host') or 'localhost'}:{known.get('port') or 5432}"
    return f"postgresql://{place}/{known.get('dbname') or ''}"
