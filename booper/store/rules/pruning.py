"""Which finished jobs may be deleted: those that are old enough, and that nothing needs any more.

A job is needed while it keeps an idempotency key taken, while a report of it is not sent, and as
one of its schedule's newest runs. A run is also needed while its schedule could plan its time once
more, and while the entry of what the schedule skips last is in its log.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from booper.model.job import Kind
from booper.model.retention import Retention
from booper.store.transaction import EndedJob, Transaction
from booper.store.values import Pruned


class Needs(msgspec.Struct, frozen=True, gc=False):
    """What a schedule needs of its runs: from a number on, from a planned time on, and one."""

    from_id: int
    from_time: datetime
    with_gap: int | None


def prune(
    transaction: Transaction,
    job_ids: Sequence[int],
    retention: Retention,
    now: datetime,
    limit: int,
    *,
    is_over_size: bool,
) -> Pruned:
    """Delete those of these jobs that may go, with their logs and tags.

    At most `limit` rows of the log are deleted. If there are more, the jobs go another time, since
    an entry is never without its job.
    """
    going = deletable(transaction, job_ids, retention, now, is_over_size=is_over_size)
    if not going:
        return Pruned(0, 0)
    entries = transaction.log.delete(going, limit)
    if entries >= limit:
        return Pruned(0, entries)
    return Pruned(len(going), entries + transaction.jobs.delete(going))


def deletable(
    transaction: Transaction,
    job_ids: Sequence[int],
    retention: Retention,
    now: datetime,
    *,
    is_over_size: bool,
) -> list[int]:
    """Return which of these jobs may be deleted, in their order.

    Where the database is over its size their age does not matter.
    """
    found = [
        job
        for job in transaction.jobs.find_ended(job_ids)
        if is_over_size or retention.is_over(job.state, job.ended_at, job.keep_for, now)
    ]
    needs = _needs_of(transaction, found, retention.schedule_runs, now)
    going = {job.id for job in found if not _is_needed(job, needs, now)}
    return [number for number in job_ids if number in going]


def _needs_of(
    transaction: Transaction, jobs: Iterable[EndedJob], count: int, now: datetime
) -> Mapping[UUID, Needs]:
    """Return what the schedules of these jobs need; one that was deleted needs nothing."""
    schedule_ids = {job.schedule_id for job in jobs if job.schedule_id is not None}
    found: dict[UUID, Needs] = {}
    for schedule_id in sorted(schedule_ids):  # in one order: no two nodes wait for each other
        schedule = transaction.schedules.find(schedule_id)
        if schedule is None:
            continue
        gap = transaction.schedules.read_gap(schedule)
        since = min(now, schedule.next_at or now)
        found[schedule_id] = Needs(
            # One more than asked for: the newest may be the one that waits.
            transaction.schedules.runs_from(schedule, count + 1),
            min(since, gap.gap.first) if gap is not None else since,
            transaction.log.job_of(gap.entry_id) if gap is not None else None,
        )
    return found


def _is_needed(job: EndedJob, needs: Mapping[UUID, Needs], now: datetime) -> bool:
    if job.has_unsent_report or (job.key_until is not None and job.key_until > now):
        return True
    of_schedule = needs.get(job.schedule_id) if job.schedule_id is not None else None
    if of_schedule is None:
        return False
    if job.id >= of_schedule.from_id or job.id == of_schedule.with_gap:
        return True
    return job.kind is Kind.RUN and job.planned_at >= of_schedule.from_time
