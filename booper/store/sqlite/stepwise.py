"""Changes of many jobs: found on the reader, changed in short transactions of their own.

Other writers come between two of them, so a million jobs hold up neither creates nor results.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from booper.model.job import Job
from booper.store.nouns.jobs import Move, Note
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.listing import Listing, number_query
from booper.store.sqlite.search import STEP_BYTES, STEP_ROWS, Search, fetch
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.writer import Writer
from booper.store.values import SEARCH_BYTES, UNBOUNDED, Bounds, BulkResult, Place

# What one transaction changes, about 30 ms: a move writes all of a job's row anew.
MOVE_ROWS: Final = 100
MOVE_BYTES: Final = 1 << 20

LAST_ID = "SELECT coalesce(max(id), 0) FROM jobs"


class StepwiseChange:
    """The jobs of a list, counted or changed in the order of their ids.

    What a change itself plans, a cancelled run's successor, lies behind the end.
    """

    def __init__(
        self, writer: Writer, reader: Connection, listing: Listing, bounds: Bounds = UNBOUNDED
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
            number = await self._reader.run(lambda opened: opened.execute(query, values).fetchone())
            return BulkResult(min(number[0], most), 0, through=end, is_partial=number[0] > most)
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
            connection: SQLiteTransaction, ids: Sequence[int], number: int | None
        ) -> tuple[list[Sequence[Job]], int | None]:
            # It was found by another connection: it may have moved since.
            still = search.matching(connection, ids)
            moved = [move(connection, job) for job in fetch(connection, still)]
            return moved, note(connection, number, [jobs[0].id for jobs in moved if jobs])

        while not search.is_over:
            step = partial(search.step, count=MOVE_ROWS, room=MOVE_BYTES)
            found = await self._reader.run(step)
            if not found:
                continue
            ids = [item.id for item in found]
            moved, number = await self._writer.run(partial(apply, ids=ids, number=number))
            matched += len(moved)
            changed += sum(map(bool, moved))
        return BulkResult(matched, changed, through=end)

    async def _end(self) -> int:
        """Return the number of the last job that is looked at."""
        last: int = await self._reader.run(lambda opened: opened.execute(LAST_ID).fetchone()[0])
        return last if self._bounds.through is None else min(last, self._bounds.through)


def _may_go_on(search: Search, matched: int, most: int) -> bool:
    """Return whether a count is still within the work that one may make."""
    return max(search.looked, matched) <= most and search.read < SEARCH_BYTES
