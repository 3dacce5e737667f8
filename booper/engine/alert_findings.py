"""What is wrong: findings for alerts, of what is in memory and of what the database has.

Nothing here decides whether anybody is told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from booper.engine.alert_book import STORE_SECONDS
from booper.engine.backups import BackupStatus
from booper.errors import StoreUnavailable
from booper.model.alert import AlertKind, Finding, Interests
from booper.model.breaker import Breaker
from booper.store.alerting import Incident, IncidentKind, LateRun, Streak
from booper.wire.words import lasting, moment, skipped_because

MAX_LOOP_AGE: Final = timedelta(seconds=90)
"""How long the loop may not have turned: it does so once a minute where there is nothing to do."""

ENOUGH_DISK: Final = 1.1
"""How many times the wanted room there must be until the alert of too little closes."""

Found = Mapping[AlertKind, Sequence[Finding]]
"""What is wrong now, by kind; of a kind that is not there, nothing could be found out."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts of a booper that alerts look at; None where there is no such part.

    `store_seconds` is how long the database may take to write. `is_over_size` returns None until
    that is known. `loop_age_seconds` is None where the loop's clock is not the machine's, and may
    stand still.
    """

    breakers: Callable[[], Sequence[Breaker]]
    backups: Callable[[], BackupStatus] | None
    is_over_size: Callable[[], bool | None]
    loop_age_seconds: Callable[[], float] | None
    disk_free: Callable[[], Awaitable[int | None]]
    check_writable: Callable[[datetime], Awaitable[None]]
    store_seconds: float = STORE_SECONDS


async def found_in_parts(
    watched: Watched, now: datetime, disk_free_bytes: int, *, was_low: bool
) -> Found:
    """Return what is wrong with the parts; `was_low` is whether the disk had too little room."""
    wanted = int(disk_free_bytes * (ENOUGH_DISK if was_low else 1))
    return {
        AlertKind.STORE_UNWRITABLE: await _unwritable(watched, now),
        AlertKind.LOOP_STUCK: _stuck(watched),
        AlertKind.BREAKER_OPEN: [_breaker(each) for each in watched.breakers()],
        **_over_size(watched),
        **_backups(watched, now),
        **await _low(watched, wanted),
    }


def late_findings(late: Sequence[LateRun], now: datetime) -> Sequence[Finding]:
    """Return a finding for each schedule that is late; its oldest run counts."""
    found: dict[UUID, Finding] = {}
    for run in late:
        if run.schedule_id not in found:
            since = lasting(now - run.scheduled_at)
            detail = (
                f"the run due at {moment(run.scheduled_at)} has waited for {since} for its attempt "
                f"to {run.origin}"
            )
            found[run.schedule_id] = _of_schedule(
                AlertKind.SCHEDULE_LATE, run.schedule_id, run.name, detail
            )
    return list(found.values())


def failed_findings(
    streaks: Mapping[UUID, Streak], failures: int, failing: Collection[UUID]
) -> Sequence[Finding]:
    """Return a finding for each schedule of which so many runs failed in a row.

    One that is among `failing` stays there until a run completes.
    """
    found = []
    for schedule_id, streak in streaks.items():
        if streak.is_planned and streak.failed >= (1 if schedule_id in failing else failures):
            runs = f"the last {streak.failed} runs" if streak.failed > 1 else "the last run"
            kind, detail = AlertKind.SCHEDULE_FAILED, f"{runs} failed: all attempts were used up"
            found.append(_of_schedule(kind, schedule_id, streak.name, detail))
    return found


def happened(incidents: Sequence[Incident], interests: Interests) -> Sequence[Finding]:
    """Return a finding for each incident that is not told otherwise, and that is wanted."""
    found = [_happened(each, interests) for each in incidents]
    return [each for each in found if each is not None]


def stepped(by: timedelta) -> Finding:
    """Return the finding of a clock that went another way than time."""
    if by > timedelta(0):
        detail = f"the clock went ahead by {lasting(by)}: it was set, or this machine was asleep"
    else:
        detail = f"the clock was set back by {lasting(-by)}"
    return Finding(AlertKind.CLOCK_STEPPED, "", "clock", detail)


def revoked_key_used(key_id: UUID, name: str) -> Finding:
    """Return the finding of a revoked key that somebody still sends."""
    detail = "somebody sent a request with this key, which is revoked; it was refused"
    return Finding(AlertKind.KEY_REVOKED, str(key_id), name, detail, "/api/keys")


def _happened(incident: Incident, interests: Interests) -> Finding | None:
    if incident.kind is IncidentKind.SKIPPED:
        assert incident.schedule_id is not None
        detail = f"planned times were skipped because {skipped_because(incident.reason)}"
        schedule_id, kind = incident.schedule_id, AlertKind.SCHEDULE_SKIPPED
        return _of_schedule(kind, schedule_id, incident.name, detail, incident.count)
    if incident.schedule_id is not None:  # a schedule is told of once enough of its runs failed
        return None
    tag = interests.tag_of(incident.tags)
    if tag is None and interests.tags:
        return None
    path = f"/api/jobs/{incident.job_id}"
    kind, named = AlertKind.JOB_DISCARDED, f" ({incident.name})" if incident.name else ""
    detail = f"job {incident.job_id}{named} to {incident.origin or 'a refused URL'} was discarded"
    if tag is None:
        return Finding(kind, f"origin {incident.origin}", incident.origin or "jobs", detail, path)
    return Finding(kind, f"tag {tag}", tag, detail, path)


def _of_schedule(
    kind: AlertKind, schedule_id: UUID, name: str | None, detail: str, count: int = 1
) -> Finding:
    key = str(schedule_id)
    return Finding(kind, key, name or key, detail, f"/api/schedules/{key}", count)


async def _unwritable(watched: Watched, now: datetime) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(watched.store_seconds):
            await watched.check_writable(now)
    except StoreUnavailable as error:
        detail = str(error)
    except TimeoutError:
        detail = f"the database has written nothing for {watched.store_seconds:g} s"
    else:
        return []
    return [Finding(AlertKind.STORE_UNWRITABLE, "", "database", detail)]


def _over_size(watched: Watched) -> Found:
    is_over_size = watched.is_over_size()
    if is_over_size is None:
        return {}
    detail = (
        "the database is over [retention] max_bytes, and all that may be deleted is; what is left "
        "waits to be sent or is needed"
    )
    finding = Finding(AlertKind.SIZE_EXCEEDED, "", "database", detail)
    return {AlertKind.SIZE_EXCEEDED: [finding] if is_over_size else []}


def _stuck(watched: Watched) -> Sequence[Finding]:
    age = watched.loop_age_seconds() if watched.loop_age_seconds else 0.0
    if age < MAX_LOOP_AGE.total_seconds():
        return []
    detail = f"the loop that sends jobs has not turned for {lasting(timedelta(seconds=age))}"
    return [Finding(AlertKind.LOOP_STUCK, "", "loop", detail)]


def _breaker(breaker: Breaker) -> Finding:
    detail = f"{breaker.failures} attempts failed in a row; it is probed until it responds"
    kind, origin = AlertKind.BREAKER_OPEN, breaker.origin
    return Finding(kind, origin, origin, detail, "/api/breakers")


def _backups(watched: Watched, now: datetime) -> Found:
    if watched.backups is None:
        return {AlertKind.BACKUP_FAILED: [], AlertKind.BACKUP_LATE: []}
    status, found = watched.backups(), dict[AlertKind, Sequence[Finding]]()
    if status.error:
        detail = f"the backup failed: {status.error}"
        found[AlertKind.BACKUP_FAILED] = [Finding(AlertKind.BACKUP_FAILED, "", "backup", detail)]
    elif status.last_path:  # one has been made since the start
        found[AlertKind.BACKUP_FAILED] = []
    if status.is_late(now):
        last = (
            f"the last was made at {moment(status.last_at)}" if status.last_at else "there is none"
        )
        detail = f"no backup was made within two periods: {last}"
        found[AlertKind.BACKUP_LATE] = [Finding(AlertKind.BACKUP_LATE, "", "backup", detail)]
    elif status.last_at is not None:
        found[AlertKind.BACKUP_LATE] = []
    return found


async def _low(watched: Watched, wanted: int) -> Found:
    try:
        free = await watched.disk_free() if wanted else 0
    except StoreUnavailable:
        return {}
    if free is None:  # the database does not tell
        return {}
    detail = f"{free:,} bytes are free where the database is; {wanted:,} are wanted"
    low = Finding(AlertKind.DISK_LOW, "", "disk", detail)
    return {AlertKind.DISK_LOW: [low] if free < wanted else []}
