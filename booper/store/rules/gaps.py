"""The planned times of a schedule that were not run, as log entries: one for each gap."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random

from booper.model.job import WAITING, Job
from booper.model.schedule import Gap, Plan, Schedule
from booper.store.rules.counting import count_skipped
from booper.store.transaction import OpenGap, Transaction
from booper.wire.log import gap_payload, skipped

_INSTANT = timedelta(microseconds=1)


def record_gaps(
    transaction: Transaction,
    schedule: Schedule,
    job: Job,
    gaps: Sequence[Gap],
    now: datetime,
    random: Random,
) -> None:
    """Log what was not run: one entry per gap, however long, which grows while the gap does."""
    but = job.id if job.state in WAITING else 0
    for gap, is_new in _pieces(transaction, schedule, gaps, but):
        count_skipped(transaction, schedule, job, gap, now)
        current = transaction.schedules.read_gap(schedule)
        if (
            not is_new
            and current is not None
            and _goes_on(transaction, schedule, current.gap, gap, but)
        ):
            merged = Gap(gap.reason, current.gap.first, gap.last, current.gap.count + gap.count)
            transaction.log.extend(current.entry_id, gap_payload(merged))
            grown = OpenGap(current.entry_id, merged)
        else:
            entry_id = transaction.log.begin(skipped(job, gap, now), random)
            grown = OpenGap(entry_id, gap)
        transaction.schedules.write_gap(schedule, current, grown)


def close_gap(transaction: Transaction, schedule: Schedule) -> None:
    """Note that a run took place: what is skipped after it is another gap."""
    current = transaction.schedules.read_gap(schedule)
    if current is not None:
        transaction.schedules.write_gap(schedule, current, None)


def shorten(
    transaction: Transaction, plan: Plan, schedule: Schedule, next_at: datetime | None
) -> None:
    """Remove from the gaps the times from `next_at` on, which are planned again."""
    if next_at is None or (schedule.next_at is not None and next_at >= schedule.next_at):
        return
    for entry in transaction.log.gaps(schedule, next_at):
        gap = entry.gap
        if gap.last < next_at:
            continue
        last = plan.last_until(next_at - _INSTANT)
        if last is None or last < gap.first:
            transaction.log.drop(entry.entry_id)
        else:
            rest = plan.gap(gap.reason, gap.first, last)
            transaction.log.extend(entry.entry_id, gap_payload(rest))
    close_gap(transaction, schedule)


def _goes_on(transaction: Transaction, schedule: Schedule, gap: Gap, behind: Gap, but: int) -> bool:
    """Return whether a gap is of the same reason as one before it, with no run in between."""
    if gap.reason != behind.reason:
        return False
    between = behind.first - _INSTANT
    return not transaction.schedules.taken(schedule.id, gap.last, between, but=but)


def _pieces(
    transaction: Transaction, schedule: Schedule, gaps: Sequence[Gap], but: int
) -> Iterator[tuple[Gap, bool]]:
    """Yield the gaps without the times that runs have had, and whether one begins behind such."""
    for gap in gaps:
        found = transaction.schedules.taken(schedule.id, gap.first - _INSTANT, gap.last, but=but)
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
