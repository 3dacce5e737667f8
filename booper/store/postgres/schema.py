"""Bringing a database to this version's schema: numbered migrations, forward only.

Nodes that start at once take turns (an advisory lock), so each migration is applied once.
"""

from importlib.resources import files
from typing import Final

import psycopg

from booper.errors import StartError
from booper.store.postgres.connections import Connection

LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('booper schema', 0))"
MAKE_TABLE: Final = "CREATE TABLE IF NOT EXISTS booper_schema (version bigint NOT NULL)"
READ: Final = "SELECT max(version) FROM booper_schema"
NOTE: Final = "INSERT INTO booper_schema (version) VALUES (%s)"
# The table is there while a move fills the database (`booper.store.moving`).
UNFINISHED_MOVE: Final = "SELECT to_regclass('unfinished_move') IS NOT NULL"
OLDEST_SERVER: Final = 150_000
"""PostgreSQL 15, as libpq numbers it."""


class UnusableDatabase(StartError):
    """A database that cannot serve booper; it is left as it was."""


def migrations() -> list[str]:
    """Return the SQL of all migrations in order; the first is number 1."""
    folder = files("booper.store.postgres") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def migrate(connection: Connection) -> None:
    """Migrate the database to the newest schema, in one transaction.

    Raises:
        UnusableDatabase: the server is too old, or the schema is from a newer booper.
    """
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise UnusableDatabase(
            f"PostgreSQL {version // 10_000} is too old: booper needs version 15 or newer"
        )
    with connection.transaction():
        connection.execute(LOCK)
        connection.execute(MAKE_TABLE)
        row = connection.execute(READ).fetchone()
        known, all_of_them = (row and row[0]) or 0, migrations()
        if known > len(all_of_them):
            raise UnusableDatabase(
                f"the database has schema {known}, and this booper knows {len(all_of_them)}: "
                "start the newer booper that has made it"
            )
        for number, sql in enumerate(all_of_them[known:], start=known + 1):
            connection.execute(sql)
            connection.execute(NOTE, [number])


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
