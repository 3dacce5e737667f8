"""Lists of schedules over PostgreSQL; what the rules decide is in `store.nouns.schedules`."""

from collections.abc import Collection, Mapping
from datetime import datetime
from random import Random
from typing import Any, Final
from uuid import UUID

from booper.model.schedule import Schedule
from booper.store.nouns.schedules import RuledSchedules
from booper.store.postgres.connections import Readers
from booper.store.postgres.schedule_columns import COLUMNS, schedule_of
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import text_in, text_out
from booper.store.postgres.writer import Writer
from booper.store.stored import loaded
from booper.store.values import PAGE_BYTES, RUNS_READ, Page, Part, Place

LIST: Final = f"""
SELECT {COLUMNS} FROM schedules WHERE user_id = %(user_id)s {{behind}}
ORDER BY id {{direction}} LIMIT %(limit)s OFFSET %(offset)s
"""
BEHIND: Final = {True: "AND id < %(after)s", False: "AND id > %(after)s"}

# Of the schedules that have one of these names or ids, the newest runs.
LAST_COMPLETED: Final = f"""
SELECT schedules.id, schedules.name, (
    SELECT max(completed_at) FROM (
        SELECT completed_at FROM jobs WHERE schedule_id = schedules.id
        ORDER BY id DESC LIMIT {RUNS_READ}
    ) AS newest
)
FROM schedules
WHERE schedules.name = ANY(%(names)s) OR schedules.id::text = ANY(%(names)s)
"""


class PostgresSchedules(RuledSchedules):
    """Schedules (`booper.store.base.Schedules`)."""

    def __init__(
        self, writer: Writer, reader: Readers, random: Random, max_waiting: int = 0
    ) -> None:
        super().__init__(writer, reader, random, max_waiting)
        self._reader = reader

    async def list(self, user_id: UUID, page: Page) -> Part[Schedule]:
        """Return a user's schedules; their ids are in order of creation."""
        behind = BEHIND[page.descending] if page.place.is_behind else ""
        query = LIST.format(direction="DESC" if page.descending else "ASC", behind=behind)
        values: dict[str, Any] = {
            "user_id": user_id,
            "after": UUID(int=page.place.id),
            "limit": page.limit + 1,
            "offset": page.place.skip,
        }

        def read(opened: PostgresTransaction) -> list[Schedule]:
            return [schedule_of(row) for row in opened.execute(query, values)]

        found, room = await self._reader.run(read), PAGE_BYTES
        for count, schedule in enumerate(found):
            room -= len(schedule.args) + len(schedule.state) + len(schedule.previous)
            if count == page.limit or (count and room < 0):
                return Part(found[:count], Place(is_behind=True, id=found[count - 1].id.int))
        return Part(found)

    async def last_completed(self, names: Collection[str]) -> Mapping[str, datetime]:
        """Return when a run last completed of each schedule that has one of these names or ids."""
        values = {"names": [text_in(name) for name in names]}
        rows = await self._reader.run(
            lambda opened: opened.execute(LAST_COMPLETED, values).fetchall()
        )
        found: dict[str, datetime] = {}
        for schedule_id, name, at in rows:
            for known in {str(schedule_id), text_out(name)} & set(names):
                if at is not None and known is not None:
                    found[known] = max(loaded(at), found.get(known, loaded(at)))
        return found
