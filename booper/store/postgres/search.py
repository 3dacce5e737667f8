"""Searching a user's jobs in steps, each of which is a short transaction.

A filter can leave out any number of jobs before it meets one that matches, and a job can have a
mebibyte. A step looks at so many and reads so much at most. Where a search stands is a place in
the list's order, so that it goes on from there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from booper.model.job import Job
from booper.store.postgres.job_columns import COLUMNS, job_of
from booper.store.postgres.listing import Listing
from booper.store.postgres.listing_filters import reads_args
from booper.store.postgres.listing_queries import (
    lock_queries,
    look_query,
    pass_query,
    set_queries,
)
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import Row
from booper.store.searching import has_text
from booper.store.stored import loaded
from booper.store.values import SEARCH_BYTES, SEARCH_ROWS, Place

STEP_ROWS: Final = 1_000
STEP_BYTES: Final = 4 << 20

# How many jobs one query looks at: more where the first of them did not match.
FIRST_ROWS: Final = 64
MAX_ROWS: Final = 1_024

LIVE: Final = "live"

FETCH_LIVE: Final = f"SELECT {COLUMNS} FROM live_jobs WHERE id = ANY(%(ids)s)"
# The times lead to the partitions.
FETCH_ENDED: Final = f"""
SELECT {COLUMNS} FROM ended_jobs
WHERE class = ANY(%(classes)s) AND ended_at = ANY(%(times)s) AND id = ANY(%(ids)s)
"""


class Match(NamedTuple):
    """A job that matches: its number, due time and size, and where its row is.

    The class of an unfinished job is 'live'.
    """

    id: int
    due: int
    size: int
    row_class: str
    ended_at: int


class Looked(NamedTuple):
    """A job that was looked at, and what was read of it; no match if it is not wanted."""

    id: int
    due: int
    inserted_at: int
    size: int
    match: Match | None


class Search:
    """A search through a list: `place` is behind the last job that was looked at.

    `looked` counts the jobs that were looked at, `read` the bytes of what was read of what they
    send, `is_over` says that there are no more, `is_full` that the last step has found all that it
    should. `time` is that of the last job that was looked at, in an order by id its creation.
    `end` is the last job of a list by rising id, if it has one.
    """

    def __init__(self, listing: Listing, place: Place, *, end: int | None = None) -> None:
        self.place = place
        self.looked = 0
        self.read = 0
        self.is_over = False
        self.is_full = False
        self.time: datetime | None = None
        self._skipped = 0
        self._end = end
        self._listing = replace(listing, has_end=end is not None)
        self._values = dict(listing.values)
        self._reads_args = reads_args(listing.wanted)
        self._width = FIRST_ROWS
        self._few: str | None = None
        self._is_weighed = False
        self._queries: dict[tuple[bool, int], str] = {}

    @property
    def is_done(self) -> bool:
        """Return whether there is no more to find, or no more to look at for one page."""
        has_looked = self.looked - self._skipped >= SEARCH_ROWS or self.read >= SEARCH_BYTES
        return self.is_over or self.is_full or has_looked

    def step(self, transaction: PostgresTransaction, count: int, room: int) -> list[Match]:
        """Look on for up to `count` jobs that match and have up to `room` bytes (or for one)."""
        before = dict(vars(self))
        try:
            return self._step(transaction, count, room)
        except BaseException:  # the read may be made once more
            vars(self).update(before)
            raise

    def lock(self, transaction: PostgresTransaction, found: Sequence[Match]) -> list[Job]:
        """Return those of the jobs that still match, as they are now, in the order of their ids.

        Their rows are locked.
        """
        live, ended = lock_queries(self._listing)
        rows = rows_of(transaction, found, live, ended, self._values)
        jobs = [job_of(row) for row in rows]
        text = self._listing.wanted.text
        kept = [job for job in jobs if text is None or has_text(job.args, text)]
        return sorted(kept, key=lambda job: job.id)

    def _step(self, transaction: PostgresTransaction, count: int, room: int) -> list[Match]:
        self._weigh(transaction)
        self._pass(transaction)
        found: list[Match] = []
        seen = size = 0
        while not self.is_over and seen < STEP_ROWS and size < STEP_BYTES:
            part, jobs = self._look(transaction)
            read = sum(item.size for item in part) if self._reads_args else 0
            seen, size = seen + len(part), size + read
            self.looked += len(part)
            self.read += read
            self._take([item.match for item in part if item.match], found, count, room)
            if self.is_full:
                return found
            if part:
                self._note_last(part[-1])
            self.is_over = len(part) == jobs < self._width
            self._width = min(4 * self._width, MAX_ROWS)
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

    def _weigh(self, transaction: PostgresTransaction) -> None:
        """Find out, once, whether the jobs of a set are few enough to be sorted."""
        if self._is_weighed:
            return
        for name, query in set_queries(self._listing).items():
            (is_few,) = transaction.execute(query, self._values).fetchall()[0]
            if is_few:
                self._few = name
                break
        self._is_weighed = True

    def _pass(self, transaction: PostgresTransaction) -> None:
        """Pass over what a list does not show, without a look where all of it matches."""
        if not self.place.skip or not self._listing.is_exact:
            return
        listing = replace(self._listing, is_behind=self._is_behind)
        rows = transaction.execute(pass_query(listing), self._values | self._part()).fetchall()
        self.place = replace(self.place, skip=0)
        self.is_over = not rows
        for number, due in rows:
            self._go_behind(number, due)

    def _look(self, transaction: PostgresTransaction) -> tuple[list[Looked], int]:
        """Look at the next jobs; return them, and how many there are with those left unread."""
        key = (self._is_behind, self._width)
        if key not in self._queries:
            listing = replace(self._listing, is_behind=self._is_behind)
            self._queries[key] = look_query(listing, self._few, self._width, STEP_BYTES)
        rows = transaction.execute(self._queries[key], self._values | self._part()).fetchall()
        return [self._looked(row) for row in rows], rows[0][-1] if rows else 0

    def _looked(self, row: Row) -> Looked:
        number, due, inserted_at, row_class, ended_at, size, matches, args, _ = row
        text = self._listing.wanted.text
        if text is not None:
            matches = args is not None and has_text(args, text)
        match = Match(number, due, size, row_class, ended_at) if matches else None
        return Looked(number, due, inserted_at, size, match)

    @property
    def _is_behind(self) -> bool:
        return self.place.is_behind or self._end is not None

    def _part(self) -> dict[str, object]:
        """Return the values of the SQL of a part: where it begins and ends."""
        return {
            "after_value": self.place.value,
            "after_id": self.place.id,
            "end": self._end,
            "skip": self.place.skip,
        }

    def _note_last(self, last: Looked) -> None:
        self._go_behind(last.id, last.due)
        self.time = loaded(last.due if self._listing.is_by_time else last.inserted_at)

    def _go_behind(self, number: int, due: int) -> None:
        value = due if self._listing.is_by_time else number
        self.place = replace(self.place, is_behind=True, value=value, id=number)


def fetch(transaction: PostgresTransaction, found: Sequence[Match]) -> list[Job]:
    """Return the jobs that were found in the same transaction, in their order."""
    rows = rows_of(transaction, found, FETCH_LIVE, FETCH_ENDED)
    jobs = {row[0]: job_of(row) for row in rows}
    return [jobs[item.id] for item in found]


def rows_of(
    transaction: PostgresTransaction,
    found: Sequence[Match],
    live: str,
    ended: str,
    values: Mapping[str, object] | None = None,
) -> list[Row]:
    """Return what a query of unfinished jobs and one of finished ones read, in no order."""
    ids = [item.id for item in found if item.row_class == LIVE]
    rows = transaction.execute(live, {**(values or {}), "ids": ids}).fetchall() if ids else []
    finished = [item for item in found if item.row_class != LIVE]
    if not finished:
        return rows
    places = {
        "classes": list({item.row_class for item in finished}),
        "times": list({item.ended_at for item in finished}),
        "ids": [item.id for item in finished],
    }
    return rows + transaction.execute(ended, {**(values or {}), **places}).fetchall()
