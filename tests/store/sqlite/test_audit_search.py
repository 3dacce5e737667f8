"""Pages of an audit that is longer than a page looks at: each wanted change once, in order."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec.structs import replace

from booper.model.audit import ANY_CHANGE, Action, ChangeFilter, Kind
from booper.store.sqlite.audit_search import MAX_LOOK, read_changes
from booper.store.sqlite.schema import migrate
from booper.store.values import Page, Place

OLDEST, NEWEST = 12_345, 12_345 + 3 * MAX_LOOK
PAUSES = [OLDEST, OLDEST + 1, OLDEST + MAX_LOOK, NEWEST - 7, NEWEST]
PAUSED = ChangeFilter(kinds=(Kind.TARGET,), action=Action.PAUSE)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    """Return an audit whose first entries were deleted, of cancelled jobs and a few pauses."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, ":memory:")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO audit VALUES (?, 0, NULL, NULL, ?, ?, '1', 1, '{}')",
            (
                (number, "pause", "target") if number in PAUSES else (number, "job.cancel", "job")
                for number in range(OLDEST, NEWEST + 1)
            ),
        )
        connection.execute("COMMIT")
        yield connection


def walk(database: sqlite3.Connection, page: Page, wanted: ChangeFilter) -> tuple[list[int], int]:
    """Return the numbers on all pages from one on, and how many pages there are."""
    found, pages = list[int](), 0
    while True:
        part = read_changes(database, page, wanted)
        assert len(part.items) <= page.limit
        found += [change.id for change in part.items]
        pages += 1
        if part.rest is None:
            return found, pages
        page = replace(page, place=part.rest)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("skip", [0, 1, 3, 5, 6])
def test_each_wanted_change_is_found_once(
    database: sqlite3.Connection, descending: bool, limit: int, skip: int
) -> None:
    """In order, without those that an offset skips, wherever they are."""
    expected = (PAUSES[::-1] if descending else PAUSES)[skip:]
    found, pages = walk(database, Page(limit, "at", descending, Place(skip=skip)), PAUSED)
    assert found == expected
    assert pages <= 4 + len(expected)  # no page looks at more, none is empty without a reason


@pytest.mark.parametrize("descending", [False, True])
def test_a_search_for_what_is_not_there_ends(
    database: sqlite3.Connection, descending: bool
) -> None:
    """After 30,001 changes, of which each page looks at 10,000."""
    page = Page(100, "at", descending, Place())
    assert walk(database, page, ChangeFilter(action=Action.KEY_REVOKE)) == ([], 4)


@pytest.mark.parametrize("descending", [False, True])
def test_what_is_not_filtered_begins_where_there_is_something(
    database: sqlite3.Connection, descending: bool
) -> None:
    """However many were deleted before; each page is full."""
    part = read_changes(database, Page(3, "at", descending, Place()), ANY_CHANGE)
    first = [NEWEST, NEWEST - 1, NEWEST - 2] if descending else [OLDEST, OLDEST + 1, OLDEST + 2]
    assert [change.id for change in part.items] == first
    assert part.rest is not None


def test_an_empty_audit_has_one_page() -> None:
    """Which is empty."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, ":memory:")
        for descending in (False, True):
            assert walk(connection, Page(10, "at", descending, Place()), PAUSED) == ([], 1)
