"""Many rows by few statements: all of them, once each, whatever their number."""

import sqlite3

import pytest

from booper.store.sqlite import many


@pytest.fixture
def connection() -> sqlite3.Connection:
    """Return a database with a table of numbers, each there once."""
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, name TEXT, colour TEXT)")
    return opened


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 127, 1_000])
def test_every_row_is_written_once_and_counted(connection: sqlite3.Connection, count: int) -> None:
    """No size of the parts leaves a row out or writes one twice (which the key would refuse)."""
    rows = [(number, f"n{number}") for number in range(count)]
    insert = "INSERT INTO numbers (number, name) VALUES {rows}"
    assert many.execute(connection, insert, rows) == count
    found = connection.execute("SELECT number, name FROM numbers ORDER BY number").fetchall()
    assert found == rows


def test_a_change_counts_the_rows_it_found(connection: sqlite3.Connection) -> None:
    """Of three changes, the one whose row is not there is not counted."""
    connection.execute("INSERT INTO numbers (number) VALUES (1), (2)")
    update = """
    UPDATE numbers SET colour = new.column2 FROM (VALUES {rows}) AS new
    WHERE number = new.column1
    """
    assert many.execute(connection, update, [(1, "red"), (2, "blue"), (3, "green")]) == 2
    found = connection.execute("SELECT number, colour FROM numbers ORDER BY number").fetchall()
    assert found == [(1, "red"), (2, "blue")]
