"""The schema over PostgreSQL: who migrates, and which boopers go on with what a newer one made."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from random import Random
from typing import Any, Final

import psycopg
import pytest

from booper.store.postgres import schema
from booper.store.postgres.connections import Connection, Connector
from booper.store.postgres.schema import OLDEST, UnusableDatabase, migrate, migrations
from booper.store.postgres.store import open_store
from tests.support.postgres import database
from tests.support.postgres import postgres_url as postgres_url

EMPTY: Final = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
NOTED: Final = "SELECT version, oldest FROM booper_schema ORDER BY version"

COLUMNS: Final = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
"""
INDEXES: Final = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"

ALL: Final = migrations()
NEWER: Final = [*ALL, "CREATE TABLE of_tomorrow (id bigint)"]


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    """Return a connection to a database that has nothing."""
    with closing(Connector(postgres_url).open()) as opened:
        opened.execute(EMPTY)
        yield opened


def noted(connection: Connection) -> list[tuple[Any, ...]]:
    """Return the schemas that were made, each with the oldest that goes on."""
    return connection.execute(NOTED).fetchall()


def shape(connection: Connection) -> list[list[tuple[Any, ...]]]:
    """Return the columns and indexes of a database."""
    return [connection.execute(query).fetchall() for query in (COLUMNS, INDEXES)]


@pytest.mark.parametrize("known", range(len(ALL)))
def test_a_database_of_any_schema_gets_the_newest(connection: Connection, known: int) -> None:
    """The same as an empty one gets at once."""
    migrate(connection, ALL)
    newest = shape(connection)
    connection.execute(EMPTY)
    migrate(connection, ALL[:known])
    migrate(connection)
    assert shape(connection) == newest
    assert [version for version, _ in noted(connection)] == list(range(1, len(ALL) + 1))


def test_a_database_that_schema_1_made_notes_who_goes_on_from_its_next_one(
    connection: Connection,
) -> None:
    """Its table had the version alone."""
    connection.execute(ALL[0])
    connection.execute("CREATE TABLE booper_schema (version bigint NOT NULL)")
    connection.execute("INSERT INTO booper_schema VALUES (1)")
    migrate(connection)
    later = [(number, OLDEST) for number in range(2, len(ALL) + 1)]
    assert noted(connection) == [(1, None), *later]


@pytest.mark.anyio
async def test_the_release_before_goes_on_with_a_schema_that_only_adds(
    connection: Connection, postgres_url: str
) -> None:
    """It runs meanwhile and starts again, and leaves the schema as it is."""
    migrate(connection)
    async with open_store(postgres_url, Random(1)) as store:
        await asyncio.to_thread(migrate, connection, NEWER)
        assert await store.keys.list() == []
        await store.pauses.list()
    async with open_store(postgres_url, Random(1)) as store:
        assert await store.keys.list() == []
    assert noted(connection)[-1] == (len(NEWER), OLDEST)


def test_a_booper_refuses_a_schema_that_has_taken_away_what_it_uses(
    connection: Connection, postgres_url: str
) -> None:
    """The newer one has noted since when its boopers do without it."""
    migrate(connection, NEWER)
    connection.execute(
        "UPDATE booper_schema SET oldest = %s WHERE version = %s", [len(NEWER), len(NEWER)]
    )
    wrong = rf"has schema {len(NEWER)}, which needs .* {len(NEWER)}, and this one knows {len(ALL)}:"
    with pytest.raises(UnusableDatabase, match=wrong):
        migrate(connection)
    migrate(connection, NEWER)


def test_a_newer_schema_that_notes_nothing_is_refused(connection: Connection) -> None:
    """Nobody knows who could go on with it."""
    migrate(connection, NEWER)
    connection.execute("UPDATE booper_schema SET oldest = NULL")
    with pytest.raises(UnusableDatabase, match="start a newer booper"):
        migrate(connection)


def test_a_migration_does_not_wait_for_those_that_use_its_tables(
    connection: Connection, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries again, since others would wait behind it; the schema is what it was meanwhile."""
    monkeypatch.setattr(schema, "MAX_TRIES", 2)
    migrate(connection)
    changing = [*ALL, "ALTER TABLE breakers ADD COLUMN of_tomorrow bigint"]
    with psycopg.connect(postgres_url) as reader:
        reader.execute("SELECT FROM breakers")
        with pytest.raises(UnusableDatabase, match="other sessions have used the tables"):
            migrate(connection, changing)
        assert len(noted(connection)) == len(ALL)
    migrate(connection, changing)
    assert len(noted(connection)) == len(changing)


def test_nodes_that_start_at_once_migrate_once() -> None:
    """Four of them over an empty database."""
    with database() as url, closing(Connector(url).open()) as connection:
        connection.execute(EMPTY)

        async def start() -> None:
            async with open_store(url, Random()):
                pass

        async def start_all() -> None:
            await asyncio.gather(*(start() for _ in range(4)))

        asyncio.run(start_all())
        assert [version for version, _ in noted(connection)] == list(range(1, len(ALL) + 1))


# --- migrations only add ---

# Each statement that boopers of the schema before do not notice. Those of a table that the same
# migration has made may be anything. An index of a column that it has made, not a unique one, lets
# writers wait while the table is read once.
ADDS: Final = (
    re.compile(r"CREATE (UNLOGGED )?TABLE (?P<made>\w+) .*"),
    re.compile(r"CREATE SEQUENCE (?P<made>\w+)\b.*"),
    re.compile(r"ALTER TABLE \w+ ADD COLUMN (?P<made>\w+) \w+( NOT NULL DEFAULT [\w.']+)?"),
)
OF_COLUMN: Final = re.compile(r"CREATE INDEX \w+ ON \w+ \((?P<made>\w+)\).*")
OF_TABLE: Final = re.compile(
    r"(CREATE (UNIQUE )?INDEX \w+ ON|INSERT INTO|ALTER TABLE) (?P<table>\w+)\b.*"
)


def takes_away(script: str) -> list[str]:
    """Return the statements of a migration that do more than to add."""
    made, wrong = set[str](), list[str]()
    text = re.sub(r"--[^\n]*", "", script)
    for statement in (" ".join(each.split()) for each in text.split(";")):
        found = [match for each in ADDS if (match := each.fullmatch(statement))]
        made |= {match["made"] for match in found if "made" in match.groupdict()}
        of_table, of_column = OF_TABLE.fullmatch(statement), OF_COLUMN.fullmatch(statement)
        is_new = (of_table and of_table["table"] in made) or (of_column and of_column[1] in made)
        if statement and not found and not is_new:
            wrong.append(statement)
    return wrong


@pytest.mark.parametrize("number", range(OLDEST + 1, len(ALL) + 1))
def test_migrations_behind_the_oldest_schema_only_add(number: int) -> None:
    """Whoever takes something away raises `OLDEST` with it."""
    assert takes_away(ALL[number - 1]) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE breakers",
        "DROP INDEX due_by_time",
        "ALTER TABLE breakers DROP COLUMN state",
        "ALTER TABLE breakers RENAME COLUMN state TO status",
        "ALTER TABLE breakers ADD COLUMN new bigint NOT NULL",
        "ALTER TABLE breakers ALTER COLUMN state TYPE jsonb",
        "ALTER TABLE breakers ADD CHECK (state <> '')",
        "CREATE UNIQUE INDEX one_name ON nodes (name)",
        "CREATE INDEX by_name ON nodes (name)",
        "UPDATE limits SET key = 'all'",
        "INSERT INTO limits VALUES ('node', '')",
        "CREATE VIEW nodes_now AS SELECT 1",
    ],
)
def test_what_takes_away_is_noticed(statement: str) -> None:
    """Also what older boopers would run into, or wait for."""
    assert takes_away(f"CREATE TABLE new (id bigint);\n{statement};") == [statement]


def test_a_column_that_is_new_can_have_an_index_that_refuses_nothing() -> None:
    """Nobody who does not know it writes other values than its default."""
    column = "ALTER TABLE breakers ADD COLUMN new bigint NOT NULL DEFAULT 0;"
    assert takes_away(f"{column} CREATE INDEX by_new ON breakers (new) WHERE new > 0") == []
    unique = "CREATE UNIQUE INDEX by_new ON breakers (new)"
    assert takes_away(f"{column} {unique}") == [unique]


def test_a_table_that_is_new_can_have_anything() -> None:
    """Nobody knows it."""
    script = "-- Why; and how.\nCREATE TABLE new (id bigint);\nCREATE UNIQUE INDEX one ON new (id);"
    assert takes_away(script) == []
