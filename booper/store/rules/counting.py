"""What the buckets count: ends of attempts, jobs that are discarded, planned times not run."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from booper.model.bucket import Happened
from booper.model.job import OWN_KINDS, Job, State
from booper.model.schedule import Gap, Schedule
from booper.store.transaction import Transaction
from booper.store.values import Settlement

_OWN = frozenset(OWN_KINDS)
_NONE = timedelta(0)


def count_settled(transaction: Transaction, settlements: Sequence[Settlement]) -> None:
    """Count attempts that have come to their end."""
    happened: list[Happened] = []
    for settlement in settlements:
        claimed, state = settlement.claimed, settlement.settled.state
        if claimed.kind not in _OWN:
            continue
        lateness = None
        if claimed.attempted_at is not None and not settlement.was_held:
            lateness = max(claimed.attempted_at - claimed.scheduled_at, _NONE)
        happened.append(
            Happened(
                settlement.at,
                claimed.user_id,
                claimed.origin,
                state is State.COMPLETED,
                state is not State.COMPLETED,
                state is State.DISCARDED,
                lateness=lateness,
                duration=settlement.duration,
            )
        )
    if happened:
        transaction.buckets.add(happened)


def count_discarded(transaction: Transaction, jobs: Sequence[Job], now: datetime) -> None:
    """Count jobs that were discarded without an outcome of their attempt."""
    happened = [
        Happened(now, job.user_id, job.origin, discarded=1)
        for job in jobs
        if job.state is State.DISCARDED and job.kind in _OWN
    ]
    if happened:
        transaction.buckets.add(happened)


def count_skipped(transaction: Transaction, schedule: Schedule, gap: Gap, now: datetime) -> None:
    """Count planned times that were not run."""
    transaction.buckets.add([Happened(now, schedule.user_id, schedule.origin, skipped=gap.count)])
