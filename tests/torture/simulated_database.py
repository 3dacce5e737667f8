"""What the simulation needs of a database, and SQLite's: one in the loop's own thread."""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any, Protocol

from booper.config import Database
from booper.store.sqlite.schema import migrate
from tests.torture.inline import inline
from tests.torture.witness import LATEST, WATCH, Row

Fails = Callable[[], bool]
"""Decides whether the disk does what is asked of it."""

Look = Callable[[Callable[[int], Sequence[Row]]], None]
"""Is given what reads the moves behind a number, after each commit."""


class SimulatedDatabase(Protocol):
    """The database of one life after another, with a witness's triggers in it."""

    def make(self) -> None:
        """Make it, empty."""

    @property
    def settings(self) -> Database:
        """Return the settings by which this life reaches it."""

    def inline(self, fails: Fails, look: Look) -> AbstractContextManager[None]:
        """Run it in the loop's own thread until the end of the block."""

    def crash(self) -> Callable[[], None]:
        """Copy what is committed now for the next life; return what removes the copied one.

        Whoever has that one open goes on with it until then.
        """

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """Return what a query finds."""


class SQLiteDatabase:
    """A file, in a folder of its own for each life. `sabotage` is SQL that breaks it."""

    def __init__(self, folder: Path, sabotage: str = "") -> None:
        self._folder = folder
        self._sabotage = sabotage
        self._crashes = 0

    def make(self) -> None:
        """Make it, empty."""
        self._path.parent.mkdir()
        with closing(sqlite3.connect(self._path)) as opened:
            migrate(opened, str(self._path))
            opened.executescript(WATCH + self._sabotage)

    @property
    def settings(self) -> Database:
        """Return the settings by which this life reaches it."""
        return Database(path=str(self._path), durability="normal")

    def inline(self, fails: Fails, look: Look) -> AbstractContextManager[None]:
        """Run it in the loop's own thread until the end of the block."""
        return inline(fails, lambda opened: look(lambda last: _moves(opened, last)))

    def crash(self) -> Callable[[], None]:
        """Copy what the disk holds now for the next life."""
        old = self._path
        self._crashes += 1
        self._path.parent.mkdir()
        for name in (old.name, f"{old.name}-wal"):
            with suppress(FileNotFoundError):
                shutil.copy(old.with_name(name), self._path.with_name(name))
        return lambda: shutil.rmtree(old.parent)

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """Return what a query finds."""
        with closing(sqlite3.connect(self._path)) as opened:
            return opened.execute(query).fetchall()

    @property
    def _path(self) -> Path:
        return self._folder / str(self._crashes) / "booper.db"


def _moves(opened: sqlite3.Connection, last: int) -> Sequence[Row]:
    return opened.execute(LATEST, (last,)).fetchall()
