"""Schedules as users see them: each method is one transaction of `store.rules`, or a read."""

import sqlite3
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from random import Random
from typing import TypeVar
from uuid import UUID

from booper.clock import EPOCH
from booper.errors import Conflict
from booper.model.audit import ADMINISTRATOR, Actor
from booper.model.job import Job, NewJob
from booper.model.schedule import NewSchedule, Schedule
from booper.model.state_version import state_version
from booper.store.rules import audited
from booper.store.rules.room import Room
from booper.store.sqlite import parts
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.schedule_columns import COLUMNS, schedule_of
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.values import Row, loaded
from booper.store.sqlite.writer import Writer
from booper.store.values import RUNS_READ, AnnounceEnd, Page, Part, ScheduleChange

T = TypeVar("T")

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


class SQLiteSchedules:
    """Schedules (`booper.store.base.Schedules`)."""

    def __init__(
        self, writer: Writer, reader: Connection, random: Random, max_waiting: int = 0
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._random = random
        self._max_waiting = max_waiting

    async def get(self, user_id: UUID, schedule_id: UUID) -> Schedule:
        """Return a user's schedule. Raises: NotFound."""
        return await self._reader.run(lambda opened: opened.schedules.get(user_id, schedule_id))

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

    async def taken(self, schedule_id: UUID, after: datetime) -> frozenset[datetime]:
        """Return the planned times after a moment that a run has, the waiting one included."""
        found = await self._reader.run(lambda opened: opened.schedules.taken(schedule_id, after))
        return frozenset(found)

    async def disable(
        self,
        user_id: UUID,
        schedule_id: UUID,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> ScheduleChange:
        """Cancel the waiting run and plan no more; `$previous` is lost, `$state` kept."""
        rule = partial(audited.disable, now=now, random=self._random, announce=announce, by=by)
        return await self._change(user_id, schedule_id, rule)

    async def enable(
        self,
        user_id: UUID,
        schedule_id: UUID,
        now: datetime,
        max_attempts: int,
        by: Actor = ADMINISTRATOR,
    ) -> ScheduleChange:
        """Plan the next run after now; what passed meanwhile is logged."""
        rule = partial(
            audited.enable, now=now, max_attempts=max_attempts, random=self._random, by=by
        )
        return await self._change(user_id, schedule_id, rule)

    async def delete(
        self,
        user_id: UUID,
        schedule_id: UUID,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> ScheduleChange:
        """Cancel the waiting run and forget the schedule; past jobs stay."""
        rule = partial(audited.delete, now=now, random=self._random, announce=announce, by=by)
        return await self._change(user_id, schedule_id, rule)

    async def change(
        self,
        user_id: UUID,
        seen: Schedule,
        new: NewSchedule,
        now: datetime,
        announce: AnnounceEnd,
        by: Actor = ADMINISTRATOR,
    ) -> ScheduleChange:
        """Put new args in a schedule's place, keeping its id, `$state` and count of runs."""
        rule = partial(
            audited.change_schedule,
            seen=seen,
            new=new,
            now=now,
            random=self._random,
            announce=announce,
            by=by,
        )
        return await self._change(user_id, seen.id, rule)

    async def run(
        self,
        user_id: UUID,
        schedule_id: UUID,
        new: NewJob,
        now: datetime,
        by: Actor = ADMINISTRATOR,
    ) -> Job:
        """Add a run beside the plan, due now."""

        def rule(transaction: SQLiteTransaction, schedule: Schedule) -> Job:
            room = Room(transaction, self._max_waiting)
            return audited.run_schedule(transaction, schedule, new, now, self._random, by, room)

        return await self._change(user_id, schedule_id, rule)

    async def set_state(
        self,
        user_id: UUID,
        schedule_id: UUID,
        state: str,
        now: datetime,
        by: Actor = ADMINISTRATOR,
        seen: str | None = None,
    ) -> Schedule:
        """Replace `$state` by another JSON text. Raises: Conflict, its version was not `seen`."""

        def rule(transaction: SQLiteTransaction, schedule: Schedule) -> Schedule:
            if seen is not None and state_version(schedule.state) != seen:
                raise Conflict(f"$state of schedule {schedule.id} has changed; read it again")
            return audited.set_state(transaction, schedule, state, now, by)

        return await self._change(user_id, schedule_id, rule)

    async def _change(
        self,
        user_id: UUID,
        schedule_id: UUID,
        rule: Callable[[SQLiteTransaction, Schedule], T],
    ) -> T:
        """Apply a rule to a user's schedule in one transaction. Raises: NotFound."""
        return await self._writer.run(
            lambda transaction: rule(transaction, transaction.schedules.get(user_id, schedule_id))
        )


def _size(row: Row) -> int:
    schedule = schedule_of(row)
    return len(schedule.args) + len(schedule.state) + len(schedule.previous)


def list_query(page: Page) -> str:
    """Return the query for a page of schedules."""
    behind = BEHIND[page.descending] if page.place.is_behind else ""
    return LIST.format(direction="DESC" if page.descending else "ASC", behind=behind)
