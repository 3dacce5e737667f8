"""Lists of jobs over PostgreSQL; what the rules decide is in `store.nouns.jobs`."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from booper.model.job import Job
from booper.store.nouns.jobs import RuledJobs
from booper.store.postgres.brief import fetch_brief, find_brief
from booper.store.postgres.connections import Readers
from booper.store.postgres.job_rows import JobRows
from booper.store.postgres.listing import Listing
from booper.store.postgres.numbers import JOBS, settled_part, settled_until
from booper.store.postgres.search import Search, fetch
from booper.store.postgres.stepwise import StepwiseChange
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer
from booper.store.values import PAGE_BYTES, Bounds, JobFilter, Page, Part

ENDLESS: Final = 1 << 62
"""Room for jobs without what they send."""


class PostgresJobs(RuledJobs):
    """Jobs as users see them (`booper.store.base.Jobs`)."""

    def __init__(
        self, writer: Writer, reader: Readers, random: Random, max_waiting: int = 0
    ) -> None:
        super().__init__(writer, reader, random, JobRows.draft, max_waiting)
        self._writer = writer
        self._reader = reader

    async def brief(self, user_id: UUID, numbers: Sequence[int]) -> Sequence[Job]:
        """Return those of a user's jobs that have these numbers, without what they send."""
        found = await self._reader.run(lambda opened: find_brief(opened, numbers))
        return [job for job in found if job.user_id == user_id]

    async def list(
        self,
        user_id: UUID,
        page: Page,
        wanted: JobFilter,
        now: datetime,
        *,
        is_brief: bool = False,
    ) -> Part[Job]:
        """Return a user's jobs; states are those seen at `now`."""
        listing = Listing(user_id, wanted, (page.order_by, page.descending), now)
        if listing.is_by_time or listing.is_falling:
            return await self._list(listing, page, is_brief=is_brief)
        until = await self._reader.run(partial(settled_until, numbers=JOBS))
        part = await self._list(listing, page, is_brief=is_brief)
        return settled_part(part, page, until, lambda job: job.id)

    async def _list(self, listing: Listing, page: Page, *, is_brief: bool) -> Part[Job]:
        search, jobs = Search(listing, page.place), list[Job]()
        room = ENDLESS if is_brief else PAGE_BYTES

        def step(opened: PostgresTransaction) -> tuple[list[Job], int]:
            found = search.step(opened, page.limit - len(jobs), room)
            if is_brief:
                return fetch_brief(opened, found), 0
            return fetch(opened, found), sum(item.size for item in found)

        while not search.is_done:
            found, size = await self._reader.run(step)
            jobs += found
            room -= size
        rest = None if search.is_over else search.place
        if search.is_over or search.is_full:
            return Part(jobs, rest)
        return Part(jobs, rest, is_partial=True, searched_to=search.time)

    def _stepwise(
        self, user_id: UUID, wanted: JobFilter, now: datetime, bounds: Bounds
    ) -> StepwiseChange:
        """Return the wanted jobs in order of their numbers."""
        listing = Listing(user_id, wanted, ("id", False), now)
        return StepwiseChange(self._writer, self._reader, listing, bounds)
