"""Searching a user's jobs in steps, each of which takes its connection for some milliseconds.

A filter can leave out any number of jobs before it meets one that matches, and a job can have a
mebibyte. A step looks at so many and reads so much at most; between two of them others have their
turn. Where a search stands is a place in the list's order, so that it goes on from there.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from booper.model.job import Job
from booper.store.sqlite.job_columns import COLUMNS, job_of
from booper.store.sqlite.listing import BEHIND, UP_TO_END, Listing, check_query, look_query, sources
from booper.store.values import Place

# About 5 ms of small jobs, as of large ones.
STEP_ROWS: Final = 1_000
STEP_BYTES: Final = 4 << 20

# How many jobs one query looks at: the size of the next ones shows in those before.
FIRST_ROWS: Final = 16
MAX_ROWS: Final = 256

FETCH = f"""
SELECT {COLUMNS} FROM (SELECT key AS place, value AS number FROM json_each(:ids))
CROSS JOIN jobs ON id = number ORDER BY place
"""


class Looked(NamedTuple):
    """A job that was looked at: its number, due time and size, and whether it matches."""

    id: int
    due: int
    size: int
    is_match: bool


class Search:
    """A search through a list: `place` is behind the last job that was looked at.

    `looked` counts the jobs that were looked at, `is_over` says that there are no more, `is_full`
    that the last step has found all that it should. `end` is the last job of a list by rising id,
    if it has one.
    """

    def __init__(self, listing: Listing, place: Place, *, end: int | None = None) -> None:
        self.place = place
        self.looked = 0
        self.is_over = False
        self.is_full = False
        self._end = end
        self._begun = replace(listing, behind=_behind(listing, end))
        self._first = self._begun if place.is_behind or end is not None else listing
        self._few: str | None = None
        self._is_weighed = False

    def step(self, connection: sqlite3.Connection, count: int, room: int) -> list[Looked]:
        """Look on for up to `count` jobs that match and have up to `room` bytes (or for one)."""
        self._weigh(connection)
        found: list[Looked] = []
        seen, size, width = 0, 0, FIRST_ROWS
        while seen < STEP_ROWS and size < STEP_BYTES:
            part = self._look(connection, width)
            for item in part:
                self.is_full = item.is_match and bool(found) and item.size > room
                if self.is_full:
                    return found
                self._pass(item)
                seen, size = seen + 1, size + item.size
                if item.is_match and not self._is_skipped():
                    found.append(item)
                    room -= item.size
                    self.is_full = len(found) == count
                    if self.is_full:
                        return found
            if len(part) < width:
                self.is_over = True
                return found
            is_light = size // seen < STEP_BYTES // MAX_ROWS
            width = min(2 * width, MAX_ROWS) if is_light else FIRST_ROWS
        return found

    def matching(self, connection: sqlite3.Connection, ids: Sequence[int]) -> list[Looked]:
        """Return which of these jobs match, in the order of the list."""
        query = check_query(self._begun)
        values = self._begun.values | {"ids": _array(ids), "look": len(ids), "skip": 0}
        found = [Looked(*row) for row in connection.execute(query, values).fetchall()]
        return [item for item in found if item.is_match]

    def _weigh(self, connection: sqlite3.Connection) -> None:
        """Find out, once, whether the jobs of a set are few enough to be sorted."""
        if self._is_weighed:
            return
        self._is_weighed = True
        for name, query in sources(self._first).items():
            if connection.execute(query, self._first.values).fetchone()[0]:
                self._few = name
                return

    def _look(self, connection: sqlite3.Connection, width: int) -> list[Looked]:
        listing = self._begun if self.place.is_behind else self._first
        # Where all that is looked at matches, it need not be looked at to be left out.
        skip = self.place.skip if listing.is_exact else 0
        query = look_query(listing, self._few)
        part = {
            "look": width,
            "skip": skip,
            "after_value": self.place.value,
            "after_id": self.place.id,
            "end": self._end,
        }
        found = connection.execute(query, listing.values | part).fetchall()
        if skip:
            self.place = replace(self.place, skip=0)
        return [Looked(*row) for row in found]

    def _pass(self, item: Looked) -> None:
        self.looked += 1
        value = item.due if self._begun.is_by_time else item.id
        self.place = replace(self.place, is_behind=True, value=value, id=item.id)

    def _is_skipped(self) -> bool:
        if not self.place.skip:
            return False
        self.place = replace(self.place, skip=self.place.skip - 1)
        return True


def fetch(connection: sqlite3.Connection, found: list[Looked]) -> list[Job]:
    """Return the jobs that were found, in their order."""
    values = {"ids": _array([item.id for item in found])}
    return [job_of(row) for row in connection.execute(FETCH, values).fetchall()]


def _array(ids: Sequence[int]) -> str:
    return msgspec.json.encode(ids).decode()


def _behind(listing: Listing, end: int | None) -> str:
    return BEHIND[listing.order] if end is None else UP_TO_END
