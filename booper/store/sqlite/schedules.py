"""Schedules as users see them: list, disable, enable, change, delete, run now."""

import sqlite3
from datetime import datetime
from random import Random
from uuid import UUID

from msgspec.structs import replace

from booper.errors import Conflict
from booper.model.job import Job, NewJob
from booper.model.schedule import NewSchedule, Plan, Schedule
from booper.store.base import Altered, AnnounceEnd, Page, Part
from booper.store.sqlite import creation, gaps, parts, rows, runs, upcoming
from booper.store.sqlite.connection import Connection, Row
from booper.store.sqlite.writer import Writer

LIST = f"""
SELECT {runs.COLUMNS} FROM schedules WHERE user_id = :user_id {{behind}}
ORDER BY id {{direction}} LIMIT :limit OFFSET :offset
"""

BEHIND = {True: "AND id < :after", False: "AND id > :after"}

DELETE = "DELETE FROM schedules WHERE id = :id"


class SQLiteSchedules:
    """Schedules (`booper.store.base.Schedules`)."""

    def __init__(self, writer: Writer, reader: Connection, random: Random) -> None:
        self._writer = writer
        self._reader = reader
        self._random = random

    async def get(self, user_id: UUID, schedule_id: UUID) -> Schedule:
        """Return a user's schedule. Raises: NotFound."""
        return await self._reader.run(lambda opened: runs.get(opened, user_id, schedule_id))

    async def list(self, user_id: UUID, page: Page) -> Part[Schedule]:
        """Return a user's schedules; their ids are in order of creation."""
        query, values = list_query(page), {"user_id": user_id.bytes, **parts.values(page)}

        def read(connection: sqlite3.Connection) -> Part[Row]:
            return parts.read(connection.execute(query, values), page, _size)

        part = await self._reader.run(read)
        return Part([runs.schedule_of(row) for row in part], part.rest)

    async def taken(self, schedule_id: UUID, after: datetime) -> frozenset[datetime]:
        """Return the planned times after a moment that a run has, the waiting one included."""
        found = await self._reader.run(lambda opened: upcoming.taken(opened, schedule_id, after))
        return frozenset(found)

    async def disable(
        self, user_id: UUID, schedule_id: UUID, now: datetime, announce: AnnounceEnd
    ) -> Altered:
        """Cancel the waiting run and plan no more; `$previous` is lost, `$state` kept."""

        def change(connection: sqlite3.Connection) -> Altered:
            schedule = runs.get(connection, user_id, schedule_id)
            if schedule.disabled_at is not None:
                return Altered(schedule)
            waiting = runs.waiting_run(connection, schedule)
            armed = runs.cancel(connection, waiting, now, self._random, announce)
            disabled = replace(schedule, disabled_at=now, previous="{}")
            return Altered(runs.write(connection, disabled), armed)

        return await self._writer.run(change)

    async def enable(
        self, user_id: UUID, schedule_id: UUID, now: datetime, max_attempts: int
    ) -> Altered:
        """Plan the next run after now; what passed meanwhile is logged."""

        def change(connection: sqlite3.Connection) -> Altered:
            schedule = runs.get(connection, user_id, schedule_id)
            if schedule.disabled_at is None:
                return Altered(schedule)
            return self._enable(connection, schedule, now, max_attempts)

        return await self._writer.run(change)

    async def delete(
        self, user_id: UUID, schedule_id: UUID, now: datetime, announce: AnnounceEnd
    ) -> Altered:
        """Cancel the waiting run and forget the schedule; past jobs stay."""

        def change(connection: sqlite3.Connection) -> Altered:
            schedule = runs.get(connection, user_id, schedule_id)
            waiting = runs.waiting_run(connection, schedule)
            armed = runs.cancel(connection, waiting, now, self._random, announce)
            connection.execute(DELETE, {"id": schedule_id.bytes})
            return Altered(schedule, armed)

        return await self._writer.run(change)

    async def change(
        self,
        user_id: UUID,
        seen: Schedule,
        new: NewSchedule,
        now: datetime,
        announce: AnnounceEnd,
    ) -> Altered:
        """Put new args in a schedule's place, keeping its id, `$state` and count of runs."""

        def change(connection: sqlite3.Connection) -> Altered:
            schedule = runs.get(connection, user_id, seen.id)
            if schedule.args != seen.args:
                raise Conflict(f"schedule {seen.id} was changed meanwhile; read it again")
            creation.check_key(connection, schedule, now)
            return Altered(*runs.change(connection, schedule, new, now, self._random, announce))

        return await self._writer.run(change)

    async def run(self, user_id: UUID, schedule_id: UUID, new: NewJob, now: datetime) -> Job:
        """Add a run beside the plan, due now."""

        def change(connection: sqlite3.Connection) -> Job:
            runs.get(connection, user_id, schedule_id)
            return rows.insert(connection, new, now, self._random)

        return await self._writer.run(change)

    def _enable(
        self,
        connection: sqlite3.Connection,
        schedule: Schedule,
        now: datetime,
        max_attempts: int,
    ) -> Altered:
        healed = upcoming.with_anchor_by(schedule, now)
        plan, next_at = Plan.of_schedule(healed), schedule.next_at
        runs.account_disabled(connection, schedule, now, self._random)
        if next_at is not None:
            next_at = (
                plan.next_after(now)
                if next_at <= now
                else upcoming.next_time(connection, plan, schedule, now)
            )
        next_at = runs.free_time(connection, plan, schedule, next_at)
        gaps.shorten(connection, plan, schedule, next_at)
        enabled = replace(healed, disabled_at=None, next_at=next_at)
        enabled = runs.write(connection, runs.ending(enabled, now))
        if next_at is None:
            return Altered(enabled)
        job = runs.plan_run(connection, enabled, next_at, max_attempts, now, self._random)
        return Altered(enabled, [job])


def _size(row: Row) -> int:
    schedule = runs.schedule_of(row)
    return len(schedule.args) + len(schedule.state) + len(schedule.previous)


def list_query(page: Page) -> str:
    """Return the query for a page of schedules."""
    behind = BEHIND[page.descending] if page.place.is_behind else ""
    return LIST.format(direction="DESC" if page.descending else "ASC", behind=behind)
