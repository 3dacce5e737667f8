"""What the buckets count: ends of attempts, jobs that are discarded, planned times not run.

Of what an alert may be about there is an incident as well.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from booper.model.args import decode_args
from booper.model.bucket import Happened
from booper.model.job import OWN_KINDS, Job, Kind, State
from booper.model.overlap import DISABLED
from booper.model.schedule import Gap, Schedule
from booper.store.alerting import Incident, IncidentKind
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
    _note_discarded(transaction, [each.settled for each in settlements])


def count_discarded(transaction: Transaction, jobs: Sequence[Job], now: datetime) -> None:
    """Count jobs that were discarded without an outcome of their attempt."""
    happened = [
        Happened(now, job.user_id, job.origin, discarded=1)
        for job in jobs
        if job.state is State.DISCARDED and job.kind in _OWN
    ]
    if happened:
        transaction.buckets.add(happened)
    _note_discarded(transaction, jobs)


def count_skipped(
    transaction: Transaction, schedule: Schedule, job: Job, gap: Gap, now: datetime
) -> None:
    """Count planned times that were not run; `job` is the run whose log tells of them."""
    transaction.buckets.add([Happened(now, schedule.user_id, schedule.origin, skipped=gap.count)])
    if gap.reason == DISABLED:  # as somebody wanted
        return
    skipped = Incident(
        kind=IncidentKind.SKIPPED,
        job_id=job.id,
        schedule_id=schedule.id,
        name=schedule.name or "",
        reason=gap.reason,
        count=gap.count,
    )
    transaction.incidents.append([skipped])


def _note_discarded(transaction: Transaction, jobs: Sequence[Job]) -> None:
    discarded = [job for job in jobs if job.state is State.DISCARDED and job.kind in _OWN]
    if discarded:
        transaction.incidents.append([_discarded(job) for job in discarded])


def _discarded(job: Job) -> Incident:
    try:
        tags = decode_args(job.args).tags or ()
    except msgspec.MsgspecError:  # which is why it was discarded
        tags = ()
    return Incident(
        kind=IncidentKind.DISCARDED,
        job_id=job.id,
        schedule_id=job.schedule_id if job.kind is Kind.RUN else None,
        name=job.name or "",
        origin=job.origin,
        tags=tuple(tags),
    )
