"""Opening both ends of a move, a SQLite file and a database of PostgreSQL, in either order."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg

from booper.store.moving.ends import End, MoveStopped
from booper.store.moving.postgres_end import source_database, target_database
from booper.store.moving.sqlite_end import source_file, target_file


def is_url(place: str) -> bool:
    """Return whether a place is the URL of a database of PostgreSQL, and not a path."""
    return place.startswith(("postgresql://", "postgres://"))


@contextmanager
def opened(source: str, target: str) -> Iterator[tuple[End, End]]:
    """Open what is moved and what is filled; nobody can serve either inside the block.

    Raises:
        StartError: one of them is served, or cannot be moved or filled.
        MoveStopped: a database has failed inside the block.
    """
    try:
        with _source(source) as ours, _target(target) as theirs:
            yield ours, theirs
    except (sqlite3.Error, psycopg.Error, OSError, MemoryError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise MoveStopped(
            f"the move has stopped: {text}; run the same command again to go on"
        ) from error


def _source(place: str) -> AbstractContextManager[End]:
    return source_database(place) if is_url(place) else source_file(Path(place))


def _target(place: str) -> AbstractContextManager[End]:
    return target_database(place) if is_url(place) else target_file(Path(place))
