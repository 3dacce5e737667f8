"""Schedules as users see them: each method is one transaction of `store.rules`, or a read."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from random import Random
from typing import TypeVar
from uuid import UUID

from booper.errors import Conflict
from booper.model.audit import ADMINISTRATOR, Actor
from booper.model.job import Job, NewJob
from booper.model.schedule import NewSchedule, Schedule
from booper.model.state_version import state_version
from booper.store.nouns.access import Reader, Writer
from booper.store.rules import audited
from booper.store.rules.room import Room
from booper.store.transaction import Transaction
from booper.store.values import AnnounceEnd, ScheduleChange

T = TypeVar("T")


class RuledSchedules:
    """All of `booper.store.base.Schedules` but the lists, which are a database's own."""

    def __init__(
        self, writer: Writer, reader: Reader, random: Random, max_waiting: int = 0
    ) -> None:
        self._written = writer
        self._read = reader
        self._random = random
        self._max_waiting = max_waiting

    async def get(self, user_id: UUID, schedule_id: UUID) -> Schedule:
        """Return a user's schedule. Raises: NotFound."""
        return await self._read.run(lambda opened: opened.schedules.get(user_id, schedule_id))

    async def taken(self, schedule_id: UUID, after: datetime) -> frozenset[datetime]:
        """Return the planned times after a moment that a run has, the waiting one included."""
        found = await self._read.run(lambda opened: opened.schedules.taken(schedule_id, after))
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

        def rule(transaction: Transaction, schedule: Schedule) -> Job:
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

        def rule(transaction: Transaction, schedule: Schedule) -> Schedule:
            if seen is not None and state_version(schedule.state) != seen:
                raise Conflict(f"$state of schedule {schedule.id} has changed; read it again")
            return audited.set_state(transaction, schedule, state, now, by)

        return await self._change(user_id, schedule_id, rule)

    async def _change(
        self,
        user_id: UUID,
        schedule_id: UUID,
        rule: Callable[[Transaction, Schedule], T],
    ) -> T:
        """Apply a rule to a user's schedule in one transaction. Raises: NotFound."""
        return await self._written.run(
            lambda transaction: rule(transaction, transaction.schedules.get(user_id, schedule_id))
        )
