"""Changes of many jobs: found by a reader, changed in short transactions of their own.

Other writers come between two of them, so a million jobs hold up neither creates nor results.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from booper.model.job import Job
from booper.store.postgres.connections import Readers
from booper.store.postgres.listing import Listing
from booper.store.postgres.listing_queries import number_query
from booper.store.postgres.search import STEP_BYTES, STEP_ROWS, Match, Search
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer
from booper.store.values import SEARCH_BYTES, UNBOUNDED, Bounds, BulkResult, Place

Move = Callable[[PostgresTransaction, Job], Sequence[Job]]
"""Change a job; return it and what follows from it, nothing if it could not be changed."""

Note = Callable[[PostgresTransaction, int | None, Sequence[int]], int | None]
"""Note which jobs a part has changed; return the number of the entry, which the first part made."""

# What one transaction changes: a move writes all of a job's row anew.
MOVE_ROWS: Final = 100
MOVE_BYTES: Final = 1 << 20

# The newest number that was given, whether or not its job has been committed.
LAST_ID: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM job_numbers"


class StepwiseChange:
    """The jobs of a list, counted or changed in the order of their ids.

    What a change itself plans, a cancelled run's successor, lies behind the end.
    """

    def __init__(
        self, writer: Writer, reader: Readers, listing: Listing, bounds: Bounds = UNBOUNDED
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._listing = listing
        self._bounds = bounds

    async def count(self) -> BulkResult:
        """Return how many jobs match; `max_count` bounds that and how many are looked at."""
        end, most = await self._end(), self._bounds.max_count
        query = number_query(self._listing)
        if most is not None and query is not None:
            values = {**self._listing.values, "end": end, "most": most + 1}
            number = await self._number(query, values)
            return BulkResult(min(number, most), 0, through=end, is_partial=number > most)
        matched, search = 0, Search(self._listing, Place(), end=end)
        while not search.is_over and (most is None or _may_go_on(search, matched, most)):
            count = STEP_ROWS if most is None else min(STEP_ROWS, most + 1 - matched)
            step = partial(search.step, count=count, room=STEP_ROWS * STEP_BYTES)
            matched += len(await self._reader.run(step))
        is_partial = not search.is_over
        return BulkResult(min(matched, most or matched), 0, through=end, is_partial=is_partial)

    async def change(self, move: Move, note: Note) -> BulkResult:
        """Change each job that matches."""
        matched, changed, end = 0, 0, await self._end()
        search = Search(self._listing, Place(), end=end)
        number: int | None = None

        def apply(
            transaction: PostgresTransaction, found: Sequence[Match], number: int | None
        ) -> tuple[list[Sequence[Job]], int | None]:
            # It was found by another connection: it may have moved since.
            transaction.locks.schedules_of_jobs([item.id for item in found])
            moved = [move(transaction, job) for job in search.lock(transaction, found)]
            return moved, note(transaction, number, [jobs[0].id for jobs in moved if jobs])

        while not search.is_over:
            step = partial(search.step, count=MOVE_ROWS, room=MOVE_BYTES)
            found = await self._reader.run(step)
            if not found:
                continue
            moved, number = await self._writer.run(partial(apply, found=found, number=number))
            matched += len(moved)
            changed += sum(map(bool, moved))
        return BulkResult(matched, changed, through=end)

    async def _end(self) -> int:
        """Return the number of the last job that is looked at."""
        last = await self._number(LAST_ID, {})
        return last if self._bounds.through is None else min(last, self._bounds.through)

    async def _number(self, query: str, values: Mapping[str, object]) -> int:
        def read(opened: PostgresTransaction) -> int:
            ((number,),) = opened.execute(query, values).fetchall()
            return int(number)

        return await self._reader.run(read)


def _may_go_on(search: Search, matched: int, most: int) -> bool:
    """Return whether a count is still within the work that one may make."""
    return max(search.looked, matched) <= most and search.read < SEARCH_BYTES
