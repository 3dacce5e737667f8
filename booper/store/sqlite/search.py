"""Searching a user's jobs in steps, each of which takes its connection for some milliseconds.

A filter can leave out any number of jobs before it meets one that matches, and a job can have a
mebibyte. A step looks at so many and reads so much at most; between two of them others have their
turn. Where a search stands is a place in the list's order, so that it goes on from there.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from booper.model.job import Job
from booper.store.sqlite.job_columns import COLUMNS, job_of
from booper.store.sqlite.listing import (
    BEHIND,
    UP_TO_END,
    Listing,
    Query,
    check_query,
    look_query,
    sources,
)
from booper.store.stored import loaded
from booper.store.values import SEARCH_BYTES, SEARCH_ROWS, Place

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


INSERTED_AT = "SELECT inserted_at FROM jobs WHERE id = :id"


class Match(NamedTuple):
    """A job that matches: its number, due time and size."""

    id: int
    due: int
    size: int


class Looked(NamedTuple):
    """Some jobs that were looked at: how many and how large, the last one, and those that match.

    There is no last one where there were fewer than were asked for.
    """

    jobs: int
    size: int
    last: tuple[int, int] | None
    matches: Sequence[Match]

    @classmethod
    def of(cls, row: tuple[int, int, str | None, str]) -> "Looked":
        """Read the one row of a query."""
        jobs, size, last, matches = row
        read = None if last is None else msgspec.json.decode(last, type=tuple[int, int])
        return cls(jobs, size, read, msgspec.json.decode(matches, type=list[Match]))


class Search:
    """A search through a list: `place` is behind the last job that was looked at.

    `looked` counts the jobs that were looked at, `read` their bytes, `is_over` says that there are
    no more, `is_full` that the last step has found all that it should. `end` is the last job of a
    list by rising id, if it has one. A brief one is for jobs without what they send.
    """

    def __init__(
        self, listing: Listing, place: Place, *, end: int | None = None, is_brief: bool = False
    ) -> None:
        self.place = place
        self.looked = 0
        self.read = 0
        self.is_over = False
        self.is_full = False
        self._skipped = 0
        self._is_brief = is_brief
        self._end = end
        self._begun = replace(listing, behind=_behind(listing, end))
        self._first = self._begun if place.is_behind or end is not None else listing
        self._few: str | None = None
        self._is_weighed = False
        self._queries: dict[str, Query] = {}

    @property
    def is_done(self) -> bool:
        """Return whether there is no more to find, or no more to look at for one page."""
        has_looked = self.looked - self._skipped >= SEARCH_ROWS or self.read >= SEARCH_BYTES
        return self.is_over or self.is_full or has_looked

    def step(self, connection: sqlite3.Connection, count: int, room: int) -> list[Match]:
        """Look on for up to `count` jobs that match and have up to `room` bytes (or for one)."""
        self._weigh(connection)
        found: list[Match] = []
        seen, size, width = 0, 0, FIRST_ROWS
        while seen < STEP_ROWS and size < STEP_BYTES:
            part = self._look(connection, width)
            seen, size = seen + part.jobs, size + part.size
            self.looked += part.jobs
            self.read += part.size
            self._take(part.matches, found, count, room)
            if self.is_full:
                return found
            if part.last is None:
                self.is_over = True
                return found
            self._go_behind(*part.last)
            is_light = size // seen < STEP_BYTES // MAX_ROWS
            width = min(2 * width, MAX_ROWS) if is_light else FIRST_ROWS
        return found

    def _take(self, matches: Sequence[Match], found: list[Match], count: int, room: int) -> None:
        """Add matches to what was found, until that is full."""
        room -= sum(item.size for item in found)
        self.is_full = False
        for item in matches:
            self.is_full = bool(found) and item.size > room
            if self.is_full:
                return
            self._go_behind(item.id, item.due)
            if self.place.skip:
                self.place = replace(self.place, skip=self.place.skip - 1)
                self._skipped += 1
                continue
            found.append(item)
            room -= item.size
            self.is_full = len(found) == count
            if self.is_full:
                return

    def matching(self, connection: sqlite3.Connection, ids: Sequence[int]) -> Sequence[Match]:
        """Return which of these jobs match, in the order of the list."""
        query = check_query(self._begun)
        values = self._begun.values | {"ids": _array(ids), "look": len(ids), "skip": 0}
        return Looked.of(connection.execute(query, values).fetchone()).matches

    def time(self, connection: sqlite3.Connection) -> datetime | None:
        """Return the time of the last job that was looked at, in an order by id its creation."""
        if self._begun.is_by_time:
            return loaded(self.place.value)
        found = connection.execute(INSERTED_AT, {"id": self.place.id}).fetchone()
        return None if found is None else loaded(found[0])

    def _weigh(self, connection: sqlite3.Connection) -> None:
        """Find out, once, whether the jobs of a set are few enough to be sorted."""
        if self._is_weighed:
            return
        self._is_weighed = True
        for name, query in sources(self._first).items():
            if connection.execute(query, self._first.values).fetchone()[0]:
                self._few = name
                return

    def _look(self, connection: sqlite3.Connection, width: int) -> Looked:
        listing = self._begun if self.place.is_behind else self._first
        # Where all that is looked at matches, it need not be looked at to be left out.
        skip = self.place.skip if listing.is_exact else 0
        query, values = self._query(listing)
        part = {
            "look": width,
            "skip": skip,
            "after_value": self.place.value,
            "after_id": self.place.id,
            "end": self._end,
        }
        found = Looked.of(connection.execute(query, values | part).fetchone())
        if skip:
            self.place = replace(self.place, skip=0)
        return found

    def _query(self, listing: Listing) -> Query:
        """Return the query of a listing with its values, made once."""
        if listing.behind not in self._queries:
            query = look_query(listing, self._few, is_brief=self._is_brief)
            self._queries[listing.behind] = (query, listing.values)
        return self._queries[listing.behind]

    def _go_behind(self, number: int, due: int) -> None:
        value = due if self._begun.is_by_time else number
        self.place = replace(self.place, is_behind=True, value=value, id=number)


def fetch(connection: sqlite3.Connection, found: Sequence[Match]) -> list[Job]:
    """Return the jobs that were found, in their order."""
    values = {"ids": _array([item.id for item in found])}
    return [job_of(row) for row in connection.execute(FETCH, values).fetchall()]


def _array(ids: Sequence[int]) -> str:
    return msgspec.json.encode(ids).decode()


def _behind(listing: Listing, end: int | None) -> str:
    return BEHIND[listing.order] if end is None else UP_TO_END
