"""The planned times of a schedule that were not run, as log entries: one for each gap."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import msgspec

from booper.model.event import gap_payload, skipped
from booper.model.job import WAITING, Job
from booper.model.schedule import Gap, Plan, Schedule
from booper.store.sqlite import logs, upcoming

READ_GAP = "SELECT gap FROM schedules WHERE id = :id"
WRITE_GAP = "UPDATE schedules SET gap = :gap WHERE id = :id"
EXTEND_ENTRY = "UPDATE logs SET payload = :payload WHERE id = :id"


DROP_ENTRY = "DELETE FROM logs WHERE id = :id"

# Entries of later times are among those of the newest runs.
ENTRIES = """
SELECT logs.id, payload FROM logs JOIN (
    SELECT id FROM jobs WHERE schedule_id = :id ORDER BY id DESC LIMIT 1000
) AS newest ON newest.id = logs.job_id
WHERE event = 'schedule.skipped'
"""

_INSTANT = timedelta(microseconds=1)


class OpenGap(msgspec.Struct, frozen=True):
    """The gap at whose end a schedule stands, and the log entry that grows with it."""

    entry_id: UUID
    gap: Gap


def record_gaps(
    connection: sqlite3.Connection,
    schedule: Schedule,
    job: Job,
    gaps: tuple[Gap, ...],
    now: datetime,
    random: Random,
) -> None:
    """Log what was not run: one entry per gap, however long, which grows while the gap does."""
    but = job.id if job.state in WAITING else 0
    for gap, is_new in _pieces(connection, schedule, gaps, but):
        if is_new:
            close_gap(connection, schedule)
        current = _open_gap(connection, schedule)
        if current is not None and _goes_on(connection, schedule, current.gap, gap, but):
            merged = Gap(gap.reason, current.gap.first, gap.last, current.gap.count + gap.count)
            values = {"id": current.entry_id.bytes, "payload": gap_payload(merged)}
            connection.execute(EXTEND_ENTRY, values)
            _write_gap(connection, schedule, OpenGap(current.entry_id, merged))
        else:
            (entry_id,) = logs.append(connection, [skipped(job, gap, now)], random)
            _write_gap(connection, schedule, OpenGap(UUID(bytes=entry_id), gap))


def _goes_on(
    connection: sqlite3.Connection, schedule: Schedule, gap: Gap, behind: Gap, but: int
) -> bool:
    """Return whether a gap is of the same reason as one before it, with no run in between."""
    if gap.reason != behind.reason:
        return False
    between = behind.first - _INSTANT
    return not upcoming.taken(connection, schedule.id, gap.last, between, but=but)


def close_gap(connection: sqlite3.Connection, schedule: Schedule) -> None:
    """Note that a run took place: what is skipped after it is another gap."""
    _write_gap(connection, schedule, None)


def shorten(
    connection: sqlite3.Connection, plan: Plan, schedule: Schedule, next_at: datetime | None
) -> None:
    """Take back that times were not run from `next_at` on, where it moves before those planned."""
    if next_at is None or (schedule.next_at is not None and next_at >= schedule.next_at):
        return
    values = {"id": schedule.id.bytes}
    for entry_id, payload in connection.execute(ENTRIES, values).fetchall():
        gap = msgspec.json.decode(payload, type=Gap)
        if gap.last < next_at:
            continue
        last = plan.last_until(next_at - _INSTANT)
        if last is None or last < gap.first:
            connection.execute(DROP_ENTRY, {"id": entry_id})
        else:
            rest = plan.gap(gap.reason, gap.first, last)
            connection.execute(EXTEND_ENTRY, {"id": entry_id, "payload": gap_payload(rest)})
    close_gap(connection, schedule)


def _pieces(
    connection: sqlite3.Connection, schedule: Schedule, gaps: tuple[Gap, ...], but: int
) -> Iterator[tuple[Gap, bool]]:
    """Yield the gaps without the times that runs have had, and whether one begins behind such."""
    for gap in gaps:
        found = upcoming.taken(connection, schedule.id, gap.first - _INSTANT, gap.last, but=but)
        if not found:
            yield gap, False
            continue
        plan = Plan.of_schedule(schedule)
        first: datetime | None = gap.first
        for at in [*found, gap.last + _INSTANT]:
            last = plan.last_until(at - _INSTANT)
            if first is not None and last is not None and first <= last:
                yield plan.gap(gap.reason, first, last), first != gap.first
            first = plan.next_after(at)


def _open_gap(connection: sqlite3.Connection, schedule: Schedule) -> OpenGap | None:
    (text,) = connection.execute(READ_GAP, {"id": schedule.id.bytes}).fetchone()
    return None if text is None else msgspec.json.decode(text, type=OpenGap)


def _write_gap(connection: sqlite3.Connection, schedule: Schedule, current: OpenGap | None) -> None:
    text = None if current is None else msgspec.json.encode(current).decode()
    connection.execute(WRITE_GAP, {"id": schedule.id.bytes, "gap": text})
