"""Lists of jobs over SQLite; what the rules decide is in `store.nouns.jobs`."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Final
from uuid import UUID

from booper.model.job import Job
from booper.store.nouns.jobs import RuledJobs
from booper.store.sqlite.brief import fetch_brief
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.job_rows import JobRows
from booper.store.sqlite.listing import Listing
from booper.store.sqlite.search import Search, fetch
from booper.store.sqlite.stepwise import StepwiseChange
from booper.store.sqlite.writer import Writer
from booper.store.values import PAGE_BYTES, Bounds, JobFilter, Page, Part

ENDLESS: Final = 1 << 62
"""Room for jobs without what they send."""


class SQLiteJobs(RuledJobs):
    """Jobs as users see them (`booper.store.base.Jobs`)."""

    def __init__(
        self, writer: Writer, reader: Connection, random: Random, max_waiting: int = 0
    ) -> None:
        super().__init__(writer, reader, random, JobRows.draft, max_waiting)
        self._writer = writer
        self._reader = reader

    async def brief(self, user_id: UUID, numbers: Sequence[int]) -> Sequence[Job]:
        """Return those of a user's jobs that have these numbers, without what they send."""
        found = await self._reader.run(lambda opened: fetch_brief(opened, numbers))
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
        search, jobs = Search(listing, page.place, is_brief=is_brief), list[Job]()
        room = ENDLESS if is_brief else PAGE_BYTES

        def step(connection: sqlite3.Connection) -> tuple[list[Job], int]:
            found = search.step(connection, page.limit - len(jobs), room)
            if is_brief:
                return fetch_brief(connection, [item.id for item in found]), 0
            return fetch(connection, found), sum(item.size for item in found)

        while not search.is_done:
            found, size = await self._reader.run(step)
            jobs += found
            room -= size
        rest = None if search.is_over else search.place
        if search.is_over or search.is_full:
            return Part(jobs, rest)
        searched_to = await self._reader.run(search.time)
        return Part(jobs, rest, is_partial=True, searched_to=searched_to)

    def _stepwise(
        self, user_id: UUID, wanted: JobFilter, now: datetime, bounds: Bounds
    ) -> StepwiseChange:
        """Return the wanted jobs in order of their numbers."""
        listing = Listing(user_id, wanted, ("id", False), now)
        return StepwiseChange(self._writer, self._reader, listing, bounds)
