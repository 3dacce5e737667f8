"""Lists of schedules over SQLite; what the rules decide is in `store.nouns.schedules`."""

import sqlite3
from collections.abc import Collection, Mapping
from datetime import datetime
from random import Random
from uuid import UUID

from booper.clock import EPOCH
from booper.model.schedule import Schedule
from booper.store.nouns.schedules import RuledSchedules
from booper.store.sqlite import parts
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.schedule_columns import COLUMNS, schedule_of
from booper.store.sqlite.values import Row
from booper.store.sqlite.writer import Writer
from booper.store.stored import loaded
from booper.store.values import RUNS_READ, Page, Part

LIST = f"""
SELECT {COLUMNS} FROM schedules WHERE user_id = :user_id {{behind}}
ORDER BY id {{direction}} LIMIT :limit OFFSET :offset
"""

NAMED = "SELECT id, name FROM schedules"

LAST_COMPLETED = """
SELECT max(completed_at) FROM (
    SELECT completed_at FROM jobs WHERE schedule_id = :id ORDER BY id DESC LIMIT :limit
)
"""

BEHIND = {True: "AND id < :after", False: "AND id > :after"}


class SQLiteSchedules(RuledSchedules):
    """Schedules (`booper.store.base.Schedules`)."""

    def __init__(
        self, writer: Writer, reader: Connection, random: Random, max_waiting: int = 0
    ) -> None:
        super().__init__(writer, reader, random, max_waiting)
        self._reader = reader

    async def list(self, user_id: UUID, page: Page) -> Part[Schedule]:
        """Return a user's schedules; their ids are in order of creation."""
        query, values = list_query(page), {"user_id": user_id.bytes, **parts.values(page)}

        def read(connection: sqlite3.Connection) -> Part[Row]:
            return parts.read(connection.execute(query, values), page, _size)

        part = await self._reader.run(read)
        return Part([schedule_of(row) for row in part], part.rest)

    async def last_completed(self, names: Collection[str]) -> Mapping[str, datetime]:
        """Return when a run last completed of each schedule that has one of these names or ids."""

        def read(connection: sqlite3.Connection) -> dict[str, datetime]:
            found: dict[str, datetime] = {}
            for schedule_id, name in connection.execute(NAMED).fetchall():
                known = {str(UUID(bytes=schedule_id)), name} & wanted
                values = {"id": schedule_id, "limit": RUNS_READ}
                at = connection.execute(LAST_COMPLETED, values).fetchone()[0] if known else None
                if at is not None:
                    found |= {one: max(loaded(at), found.get(one, EPOCH)) for one in known}
            return found

        wanted = set(names)
        return await self._reader.run(read)


def _size(row: Row) -> int:
    schedule = schedule_of(row)
    return len(schedule.args) + len(schedule.state) + len(schedule.previous)


def list_query(page: Page) -> str:
    """Return the query for a page of schedules."""
    behind = BEHIND[page.descending] if page.place.is_behind else ""
    return LIST.format(direction="DESC" if page.descending else "ASC", behind=behind)
