"""What has changed since a moment, by the numbers of log entries, jobs and audited changes."""

from functools import partial
from typing import Final
from uuid import UUID

from booper.model.job import Job
from booper.model.schedule import Schedule
from booper.store.postgres.brief import find_brief
from booper.store.postgres.connections import Readers
from booper.store.postgres.numbers import AUDIT, JOBS, LOG, settled_until
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.sharing import Changed, Mark

MAX_CHANGED: Final = 500
"""How many changes are told one by one; where there are more, everything is to be read anew."""

LOGGED: Final = f"""
SELECT job_id FROM logs WHERE seq > %(behind)s AND seq <= %(until)s LIMIT {MAX_CHANGED}
"""
MADE: Final = f"""
(SELECT id FROM live_jobs WHERE id > %(behind)s AND id <= %(until)s LIMIT {MAX_CHANGED})
UNION ALL
(SELECT id FROM ended_jobs WHERE id > %(behind)s AND id <= %(until)s LIMIT {MAX_CHANGED})
"""
AUDITED: Final = f"""
SELECT kind, object FROM audit
WHERE id > %(behind)s AND id <= %(until)s AND kind IN ('job', 'jobs', 'schedule')
LIMIT {MAX_CHANGED}
"""


async def read_changed(readers: Readers, mark: Mark | None) -> Changed:
    """Return what has changed since a mark; from the first one on, None, nothing has."""
    now = await readers.run(_mark)
    if mark is None or mark == now:
        return Changed(now)
    return await readers.run(partial(_changed, behind=mark, until=now))


def _mark(opened: PostgresTransaction) -> Mark:
    return Mark(*(settled_until(opened, numbers) for numbers in (LOG, JOBS, AUDIT)))


def _changed(opened: PostgresTransaction, behind: Mark, until: Mark) -> Changed:
    logged = opened.execute(LOGGED, {"behind": behind.log, "until": until.log}).fetchall()
    made = opened.execute(MADE, {"behind": behind.jobs, "until": until.jobs}).fetchall()
    audited = opened.execute(AUDITED, {"behind": behind.audit, "until": until.audit}).fetchall()
    if max(map(len, (logged, made, audited))) >= MAX_CHANGED:
        return Changed(until, are_more=True)
    numbers = {number for (number,) in (*logged, *made)}
    numbers |= {int(name) for kind, name in audited if kind == "job"}
    schedules = sorted({UUID(name) for kind, name in audited if kind == "schedule"})
    written: list[Job | Schedule] = [*find_brief(opened, sorted(numbers))]
    written += filter(None, map(opened.schedules.find, schedules))
    # Whose schedule was deleted, and which jobs were changed together, is not told.
    are_more = any(kind == "jobs" for kind, _ in audited) or len(schedules) > sum(
        isinstance(each, Schedule) for each in written
    )
    return Changed(until, written, are_more)
