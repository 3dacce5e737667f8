"""Many rows by few statements: all of them, once each, whatever their number."""

import sqlite3

import pytest

from booper.store.sqlite import bulk


@pytest.fixture
def connection() -> sqlite3.Connection:
    """Return a database with a table of numbers, each there once."""
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, name TEXT, colour TEXT)")
    opened.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT)")
    return opened


COUNTS = [0, 1, 2, 3, 63, 64, 65, 127, 1_000]


@pytest.mark.parametrize("count", COUNTS)
def test_every_row_is_written_once_and_counted(connection: sqlite3.Connection, count: int) -> None:
    """No size of the parts leaves a row out or writes one twice (which the key would refuse)."""
    rows = [(number, f"n{number}") for number in range(1, count + 1)]
    insert = """
    INSERT INTO numbers (number, name) SELECT * FROM (VALUES {rows}) WHERE column1 <> 0
    """
    assert bulk.execute(connection, insert, rows) == count
    found = connection.execute("SELECT number, name FROM numbers ORDER BY number").fetchall()
    assert found == rows


def test_a_change_counts_the_rows_it_found(connection: sqlite3.Connection) -> None:
    """Of three changes, the one whose row is not there is not counted."""
    connection.execute("INSERT INTO numbers (number) VALUES (1), (2)")
    update = """
    UPDATE numbers SET colour = new.column2 FROM (VALUES {rows}) AS new
    WHERE number = new.column1
    """
    assert bulk.execute(connection, update, [(1, "red"), (2, "blue"), (3, "green")]) == 2
    found = connection.execute("SELECT number, colour FROM numbers ORDER BY number").fetchall()
    assert found == [(1, "red"), (2, "blue")]


@pytest.mark.parametrize("count", COUNTS)
def test_each_row_is_told_its_number(connection: sqlite3.Connection, count: int) -> None:
    """A table that numbers its rows gives each the number that is returned in its place.

    Number 7 was given before and its row is gone, so the first is 8.
    """
    connection.execute("INSERT INTO notes (id, text) VALUES (7, 'gone')")
    connection.execute("DELETE FROM notes")
    insert = "INSERT INTO notes (text) SELECT * FROM (VALUES {rows}) WHERE column1 <> 0"
    numbers = bulk.insert(connection, insert, [(f"n{number}",) for number in range(8, 8 + count)])
    found = connection.execute("SELECT id, text FROM notes ORDER BY id").fetchall()
    assert found == [(number, f"n{number}") for number in numbers]
    assert numbers == list(range(8, 8 + count))
