"""Incidents and alerts: one bounded read a look, one change for all that comes of it.

Several nodes write incidents at once: one with a lower number may be there only after one with a
higher number was read. So each is given another number when this process first sees it, and what a
look has dealt with is deleted by what was seen.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from itertools import count
from operator import attrgetter
from typing import Final
from uuid import UUID

from booper.errors import StoreUnavailable
from booper.model.alert import Alert, AlertKind, Finding
from booper.store.alerting import (
    MAX_INCIDENTS,
    MAX_LATE,
    MAX_RUNS,
    Facts,
    Incident,
    IncidentKind,
    LateRun,
    Streak,
)
from booper.store.postgres.alert_rows import (
    ALERT_COLUMNS,
    INCIDENT_COLUMNS,
    add_findings,
    alert_of,
    incident_of,
    put_alerts,
    take_findings,
)
from booper.store.postgres.connections import Readers
from booper.store.postgres.leading import is_led_by_another, leads
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import Row, text_in, text_out
from booper.store.postgres.writer import Writer
from booper.store.stored import loaded, stored

TASK: Final = "alerts"
"""What one node does for all: to look for what is wrong, and to send what follows from it."""

INCIDENTS: Final = f"""
SELECT id, {INCIDENT_COLUMNS} FROM incidents
WHERE id <> ALL(%(behind)s) ORDER BY id LIMIT %(limit)s
"""
FORGET_INCIDENTS: Final = "DELETE FROM incidents WHERE id = ANY(%(ids)s)"

LATE: Final = """
SELECT live_jobs.id, schedule_id, schedules.name, scheduled_at, live_jobs.origin FROM (
    SELECT job_id, at FROM due WHERE at <= %(before)s ORDER BY at, job_id LIMIT %(limit)s
) AS waiting JOIN live_jobs ON live_jobs.id = waiting.job_id
JOIN schedules ON schedules.id = schedule_id
WHERE kind = 'run' ORDER BY waiting.at, waiting.job_id
"""

SCHEDULE: Final = """
SELECT name, disabled_at IS NULL AND ended_at IS NULL FROM schedules WHERE id = %(id)s
"""

# What has ended of a schedule is always of the class `kept`.
ENDED: Final = """
SELECT discarded_at IS NOT NULL FROM (
    SELECT id, kind, completed_at, discarded_at FROM kept_jobs
    WHERE schedule_id = %(id)s ORDER BY id DESC LIMIT %(looked)s
) AS newest
WHERE kind = 'run' AND (completed_at IS NOT NULL OR discarded_at IS NOT NULL)
ORDER BY id DESC LIMIT %(limit)s
"""

ALERTS: Final = f"SELECT {ALERT_COLUMNS} FROM alerts"
FORGET: Final = "DELETE FROM alerts WHERE kind = %(kind)s AND key = %(key)s"


class PostgresAlerting:
    """Incidents and alerts (`booper.store.alerting.Alerting`)."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers
        self._numbers = count(1)
        self._seen: dict[int, int] = {}
        """The number that each incident has here, by that in the table, until it is deleted."""

    async def leads(self) -> bool:
        """Return whether this node looks after alerts; it begins to if no other does."""
        return await self._writer.run(partial(leads, task=TASK))

    async def hand_over(self, findings: Sequence[Finding]) -> None:
        """Write what this node has seen, for the one that looks after alerts."""
        if findings:
            await self._writer.run(partial(add_findings, findings=findings))

    async def take_over(self) -> Sequence[Finding]:
        """Return what other nodes have handed over, which they do not do again."""
        return await self._writer.run(take_findings)

    async def alerts(self) -> Sequence[Alert]:
        """Return all alerts."""
        rows = await self._readers.run(lambda opened: opened.execute(ALERTS).fetchall())
        return [alert_of(row) for row in rows]

    async def facts(
        self, behind: int, late_before: datetime | None, schedules: Collection[UUID], failures: int
    ) -> Facts:
        """Return the incidents behind a number, late runs, and streaks of up to `failures` runs."""
        passed = self._up_to(behind)

        def read(opened: PostgresTransaction) -> tuple[list[Row], Facts]:
            values = {"behind": passed, "limit": MAX_INCIDENTS}
            rows = opened.execute(INCIDENTS, values).fetchall()
            incidents = map(incident_of, rows)
            discarded = {
                each.schedule_id for each in incidents if each.kind is IncidentKind.DISCARDED
            }
            streaks = {
                each: streak
                for each in {*schedules, *discarded}
                if each is not None and (streak := _streak(opened, each, failures)) is not None
            }
            late = [] if late_before is None else _late(opened, late_before)
            return rows, Facts([], late, streaks)

        rows, facts = await self._readers.run(read)
        return Facts(self._numbered(rows), facts.late, facts.streaks)

    async def save(
        self, alerts: Sequence[Alert], gone: Sequence[tuple[AlertKind, str]], until: int
    ) -> None:
        """Write alerts; forget others, by kind and key, and all incidents up to a number.

        Raises: StoreUnavailable, also if another node looks after alerts by now.
        """
        passed = self._up_to(until)

        def write(transaction: PostgresTransaction) -> None:
            if is_led_by_another(transaction, TASK):
                raise StoreUnavailable("another node looks after alerts")
            put_alerts(transaction, alerts)
            for kind, key in gone:
                transaction.execute(FORGET, {"kind": str(kind), "key": text_in(key)})
            if passed:
                transaction.execute(FORGET_INCIDENTS, {"ids": passed})

        await self._writer.run(write)
        for number in passed:
            self._seen.pop(number, None)

    def _up_to(self, number: int) -> list[int]:
        """Return which incidents of the table have numbers up to this one here."""
        return [stands for stands, own in self._seen.items() if own <= number]

    def _numbered(self, rows: Sequence[Row]) -> list[Incident]:
        """Return incidents under the numbers that they have here, in that order."""
        for number, *_ in rows:
            if number not in self._seen:
                self._seen[number] = next(self._numbers)
        numbered = [incident_of((self._seen[number], *rest)) for number, *rest in rows]
        return sorted(numbered, key=attrgetter("id"))


def _late(opened: PostgresTransaction, before: datetime) -> list[LateRun]:
    values = {"before": stored(before), "limit": MAX_LATE}
    return [
        LateRun(job_id, schedule_id, text_out(name), loaded(scheduled_at), origin)
        for job_id, schedule_id, name, scheduled_at, origin in opened.execute(LATE, values)
    ]


def _streak(opened: PostgresTransaction, schedule_id: UUID, failures: int) -> Streak | None:
    """Return the streak of a schedule, None if there is no such schedule."""
    found = opened.execute(SCHEDULE, {"id": schedule_id}).fetchone()
    if found is None:
        return None
    name, is_planned = found
    values = {"id": schedule_id, "looked": MAX_RUNS, "limit": failures}
    failed = 0
    for (is_discarded,) in opened.execute(ENDED, values):
        if not is_discarded:
            break
        failed += 1
    return Streak(text_out(name), failed, is_planned)
