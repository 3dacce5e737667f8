"""What the end of an attempt writes: its result, or that it was given back or cut off."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from random import Random
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.model import dynamic, exact, lifecycle
from booper.model.job import Attempt, Job, Kind, State
from booper.model.schedule import Schedule
from booper.store.rules.counting import count_discarded, count_settled
from booper.store.rules.scheduling import insert
from booper.store.transaction import LostRace, Transaction
from booper.store.values import AnnounceRescue, Settled, Settlement
from booper.wire.log import interruption_of, state_rejected

TRIMMED_AFTER: Final = 8
"""After every so many attempts a job's log is trimmed: most jobs never get there."""

MAX_JOB_ENTRIES: Final = 1_000
MAX_JOB_BYTES: Final = 8 << 20
"""How much of one job's log is kept: its newest entries, up to both of these."""


def settle_all(
    transaction: Transaction, settlements: Sequence[Settlement], *, random: Random
) -> list[Settled]:
    """Write the results of attempts; of one that has lost its job, the log entries alone.

    A job moves before its entries are written: they go where its log is by then.

    Raises: LostRace, if one of several has lost its job; each is to be tried by itself.
    """
    entries = [entry for settlement in settlements for entry in settlement.entries]
    try:
        transaction.jobs.move_all([(each.claimed, each.settled) for each in settlements])
    except LostRace:
        if len(settlements) > 1:
            raise
        claimed = settlements[0].claimed
        transaction.end_cancelled(claimed)
        current = transaction.jobs.get(claimed.user_id, claimed.id)
        transaction.log.append(entries, random)
        return [Settled(current, following(transaction, current))]
    transaction.log.append(entries, random)
    count_settled(transaction, settlements)
    return [_settled(transaction, settlement, random) for settlement in settlements]


def following(transaction: Transaction, job: Job) -> Sequence[Job]:
    """Return what waited for a job's end: its schedule's next run, or the next event."""
    if job.kind is Kind.WEBHOOK:
        waiting = transaction.jobs.next_event(job)
    else:
        _, waiting = transaction.schedules.find_with_waiting_run(job.schedule_id)
    return [waiting] if waiting else []


def release(
    transaction: Transaction, claimed: Sequence[Job], due_at: datetime | None
) -> Sequence[Job]:
    """Release claimed jobs whose attempts were not made, not counting them; return them."""
    released = list[Job]()
    for job in sorted(claimed, key=_place_in_order):
        current = transaction.jobs.find(job.id)
        if current and _is_claimed(current, job):
            after = lifecycle.release(current, due_at)
            released.append(transaction.jobs.move(current, after))
        else:
            transaction.end_cancelled(job)
    return released


def rescue(
    transaction: Transaction, now: datetime, announce: AnnounceRescue, random: Random
) -> int:
    """Make due again what owners that are gone have left; return how many jobs there were.

    Their attempts stay counted. This process's own claims go on.
    """
    left = transaction.jobs.find_left()
    alone = transaction.alone()
    rescued = [lifecycle.rescue(job, now, was_alone=(job.id, job.attempt) == alone) for job in left]
    transaction.jobs.move_all(list(zip(left, rescued, strict=True)))
    count_discarded(transaction, rescued, now)
    transaction.log.append([interruption_of(job, now) for job in left], random)
    for job, after in zip(left, rescued, strict=True):
        with suppress(msgspec.MsgspecError):  # unreadable args: the next claim reports them
            insert(transaction, announce(Attempt.of(job), after, now), now, random)
    return len(left)


def _settled(transaction: Transaction, settlement: Settlement, random: Random) -> Settled:
    """Write what follows from an attempt whose job is written."""
    settled, now = settlement.settled, settlement.at
    if settled.attempt % TRIMMED_AFTER == 0:
        transaction.log.trim(settled.id, MAX_JOB_ENTRIES, MAX_JOB_BYTES)
    armed = insert(transaction, settlement.reports, now, random)
    if settled.schedule_id is None:
        if settled.kind is Kind.WEBHOOK:
            armed += following(transaction, settled)
        return Settled(settled, armed)
    schedule, waiting = transaction.schedules.find_with_waiting_run(settled.schedule_id)
    if schedule is not None:
        _leave(transaction, schedule, settlement, random)
    return Settled(settled, [*armed, waiting] if waiting else armed)


def _place_in_order(job: Job) -> tuple[UUID, int]:
    """Return where a job stands in the order in which everybody locks: by schedules, then jobs."""
    return job.schedule_id or UUID(int=0), job.id


def _is_claimed(current: Job, job: Job) -> bool:
    """Return whether a job is still executing by the same claim."""
    claim = (State.EXECUTING, job.owner, job.epoch)
    return (current.state, current.owner, current.epoch) == claim


def _leave(
    transaction: Transaction, schedule: Schedule, settlement: Settlement, random: Random
) -> None:
    """Write what a completed run leaves to its schedule: `$previous` and `$state`."""
    previous, state = schedule.previous, schedule.state
    if settlement.previous is not None and schedule.disabled_at is None:
        previous = settlement.previous
    if settlement.changes is not None:
        try:
            merged = dynamic.merge_state(exact.decode(state), dict(settlement.changes))
            state = msgspec.json.encode(merged).decode()
        except dynamic.StateRejected as error:
            rejected = state_rejected(settlement.settled, str(error), settlement.at)
            transaction.log.append([rejected], random)
    if (previous, state) != (schedule.previous, schedule.state):
        transaction.schedules.move(schedule, replace(schedule, previous=previous, state=state))
