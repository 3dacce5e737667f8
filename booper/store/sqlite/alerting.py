"""Incidents and alerts: one bounded read a look, one change for all that comes of it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

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
from booper.store.sqlite.alert_rows import (
    ALERT_COLUMNS,
    INCIDENT_COLUMNS,
    alert_of,
    incident_of,
    put_alerts,
)
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.values import IN_WAITING
from booper.store.sqlite.writer import Writer
from booper.store.stored import loaded, stored

INCIDENTS: Final = f"""
SELECT id, {INCIDENT_COLUMNS} FROM incidents WHERE id > :behind ORDER BY id LIMIT :limit
"""

LATE: Final = f"""
SELECT jobs.id, jobs.schedule_id, schedules.name, jobs.scheduled_at, jobs.origin FROM (
    SELECT id FROM jobs INDEXED BY jobs_waiting
    WHERE {IN_WAITING} AND scheduled_at <= :before ORDER BY scheduled_at, id LIMIT :limit
) AS waiting CROSS JOIN jobs ON jobs.id = waiting.id
JOIN schedules ON schedules.id = jobs.schedule_id
WHERE jobs.kind = 'run'
"""

SCHEDULE: Final = """
SELECT name, disabled_at IS NULL AND ended_at IS NULL FROM schedules WHERE id = :id
"""

ENDED: Final = """
SELECT discarded_at IS NOT NULL FROM (
    SELECT id, kind, completed_at, discarded_at FROM jobs INDEXED BY jobs_by_schedule
    WHERE schedule_id = :id ORDER BY id DESC LIMIT :looked
)
WHERE kind = 'run' AND (completed_at IS NOT NULL OR discarded_at IS NOT NULL)
ORDER BY id DESC LIMIT :limit
"""

ALERTS: Final = f"SELECT {ALERT_COLUMNS} FROM alerts"
FORGET: Final = "DELETE FROM alerts WHERE kind = :kind AND key = :key"
FORGET_INCIDENTS: Final = "DELETE FROM incidents WHERE id <= :until"


class SQLiteAlerting:
    """Incidents and alerts (`booper.store.alerting.Alerting`)."""

    def __init__(self, writer: Writer, reader: Connection) -> None:
        self._writer = writer
        self._reader = reader

    async def leads(self) -> bool:
        """Return True: no other process has the database open."""
        return True

    async def hand_over(self, findings: Sequence[Finding]) -> None:
        """Do nothing: there is nobody to take it."""

    async def take_over(self) -> Sequence[Finding]:
        """Return nothing: nobody hands anything over."""
        return ()

    async def alerts(self) -> Sequence[Alert]:
        """Return all alerts."""
        rows = await self._reader.run(lambda opened: opened.execute(ALERTS).fetchall())
        return [alert_of(row) for row in rows]

    async def facts(
        self, behind: int, late_before: datetime | None, schedules: Collection[UUID], failures: int
    ) -> Facts:
        """Return the incidents behind a number, late runs, and streaks of up to `failures` runs."""

        def read(opened: SQLiteTransaction) -> Facts:
            incidents = _incidents(opened, behind)
            discarded = {
                each.schedule_id for each in incidents if each.kind is IncidentKind.DISCARDED
            }
            streaks = {
                each: streak
                for each in {*schedules, *discarded}
                if each is not None and (streak := _streak(opened, each, failures)) is not None
            }
            late = [] if late_before is None else _late(opened, late_before)
            return Facts(incidents, late, streaks)

        return await self._reader.run(read)

    async def save(
        self, alerts: Sequence[Alert], gone: Sequence[tuple[AlertKind, str]], until: int
    ) -> None:
        """Write alerts; forget others, by kind and key, and all incidents up to a number."""

        def write(transaction: SQLiteTransaction) -> None:
            put_alerts(transaction, alerts)
            for kind, key in gone:
                transaction.execute(FORGET, {"kind": str(kind), "key": key})
            transaction.execute(FORGET_INCIDENTS, {"until": until})

        await self._writer.run(write)


def _incidents(opened: SQLiteTransaction, behind: int) -> list[Incident]:
    values = {"behind": behind, "limit": MAX_INCIDENTS}
    return [incident_of(row) for row in opened.execute(INCIDENTS, values)]


def _late(opened: SQLiteTransaction, before: datetime) -> list[LateRun]:
    values = {"before": stored(before), "limit": MAX_LATE}
    return [
        LateRun(job_id, UUID(bytes=schedule_id), name, loaded(scheduled_at), origin)
        for job_id, schedule_id, name, scheduled_at, origin in opened.execute(LATE, values)
    ]


def _streak(opened: SQLiteTransaction, schedule_id: UUID, failures: int) -> Streak | None:
    """Return the streak of a schedule, None if there is no such schedule."""
    found = opened.execute(SCHEDULE, {"id": schedule_id.bytes}).fetchone()
    if found is None:
        return None
    name, is_planned = found
    values = {"id": schedule_id.bytes, "looked": MAX_RUNS, "limit": failures}
    failed = 0
    for (is_discarded,) in opened.execute(ENDED, values).fetchall():
        if not is_discarded:
            break
        failed += 1
    return Streak(name, failed, bool(is_planned))
