"""What the buckets count: ends of attempts, jobs that are discarded, planned times not run.

Of what an alert may be about there is an incident as well.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from booper.clock import EPOCH
from booper.model.args import decode_args
from booper.model.bucket import MINUTES, Happened, begin_of
from booper.model.job import OWN_KINDS, Job, Kind, State
from booper.model.overlap import DISABLED
from booper.model.schedule import Gap, Schedule
from booper.store.alerting import Incident, IncidentKind
from booper.store.transaction import Transaction
from booper.store.values import Settlement

_NONE = timedelta(0)


def count_settled(transaction: Transaction, settlements: Sequence[Settlement]) -> None:
    """Count attempts that have come to their end, those of one origin and bucket at once."""
    ended: dict[tuple[int, str, datetime], list[Settlement]] = {}
    begins_at = ends_at = EPOCH
    for each in settlements:
        claimed = each.claimed
        if claimed.kind in OWN_KINDS:
            if not begins_at <= each.at < ends_at:  # nearly all end in the same five minutes
                begins_at = begin_of(each.at, MINUTES)
                ends_at = begins_at + MINUTES
            key = claimed.user_id.int, claimed.origin, begins_at
            if (group := ended.get(key)) is None:
                ended[key] = [each]
            else:
                group.append(each)
    if not ended:
        return
    happened = [_happened(begins_at, group) for (_, _, begins_at), group in ended.items()]
    transaction.buckets.add(happened)
    if any(each.discarded for each in happened):
        _note_discarded(transaction, [each.settled for each in settlements])


def _happened(at: datetime, ended: Sequence[Settlement]) -> Happened:
    """Return what has happened to attempts of one user and origin."""
    claimed = ended[0].claimed
    states = [each.settled.state for each in ended]
    completed = states.count(State.COMPLETED)
    return Happened(
        at,
        claimed.user_id,
        claimed.origin,
        completed,
        failed=len(ended) - completed,
        discarded=states.count(State.DISCARDED),
        lateness=[
            max(job.attempted_at - job.scheduled_at, _NONE)
            for each in ended
            if (job := each.claimed).attempted_at is not None and not each.was_held
        ],
        durations=[each.duration for each in ended if each.duration is not None],
    )


def count_discarded(transaction: Transaction, jobs: Sequence[Job], now: datetime) -> None:
    """Count jobs that were discarded without an outcome of their attempt."""
    happened = [
        Happened(now, job.user_id, job.origin, discarded=1)
        for job in jobs
        if job.state is State.DISCARDED and job.kind in OWN_KINDS
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
    discarded = [job for job in jobs if job.state is State.DISCARDED and job.kind in OWN_KINDS]
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
