"""Creating jobs and schedules, and whose idempotency key is whose (contract §5)."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from random import Random
from typing import cast
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.errors import BatchRefused, BooperError
from booper.errors import Conflict as ConflictError
from booper.model import lifecycle
from booper.model.audit import Action
from booper.model.identity import uuid7
from booper.model.job import WAITING, Job, NewJob
from booper.model.schedule import Conflict, NewSchedule, Schedule
from booper.store.rules import auditing, scheduling
from booper.store.rules.room import Room
from booper.store.transaction import Draft, Drafting, LostRace, Transaction
from booper.store.values import Created, Creation, UserKey


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A create, prepared before the transaction begins: a job's draft, or a schedule."""

    asked: Creation
    made: Draft | Schedule
    now: datetime
    random: Random


def prepare(asked: Creation, now: datetime, random: Random, draft: Drafting) -> Prepared:
    """Prepare a create on the caller's thread."""
    new = asked.new
    made = draft(new, now, random) if isinstance(new, NewJob) else _schedule(new, now, random)
    return Prepared(asked, made, now, random)


def keys_of(asked: Sequence[Prepared]) -> list[UserKey]:
    """Return the idempotency keys of creates, each with its user."""
    new = [item.asked.new for item in asked]
    return [(one.user_id, one.idempotency_key) for one in new if one.idempotency_key]


def is_plain(item: Prepared) -> bool:
    """Return whether a create is one row that nothing can be in the way of, as most are."""
    new = item.asked.new
    return new.idempotency_key is None and isinstance(new, NewJob) and not new.tags


def create_plain(
    transaction: Transaction, asked: Sequence[Prepared], max_waiting: int = 0
) -> list[Created | BooperError]:
    """Write what plain creates ask for, all at once; return each one's result, in order.

    Of a user who has `max_waiting` jobs that wait no more are made; 0 sets no limit.
    """
    if not max_waiting:
        return _insert_plain(transaction, asked)
    return _create_plain(transaction, asked, Room(transaction, max_waiting))


def create_all(
    transaction: Transaction, asked: Sequence[Prepared], max_waiting: int = 0
) -> list[Created | BooperError]:
    """Write what many creates ask for, each with its result, in order."""
    results: list[Created | BooperError] = []
    room = Room(transaction, max_waiting)
    keys = keys_of(asked)
    free = transaction.free_keys(keys, min(item.now for item in asked)) if keys else ()

    def is_new_job(item: Prepared) -> bool:
        new = item.asked.new
        key = new.idempotency_key
        return isinstance(new, NewJob) and (key is None or (new.user_id, key) in free)

    for together, items in groupby(asked, is_new_job):
        if together:
            results += _create_plain(transaction, list(items), room)
            continue
        made = [_create(transaction, item, room) for item in items]
        if transaction.is_damaged:
            _check_claimable(transaction, made)
        results += made
    return results


def holding(
    transaction: Transaction, user_id: UUID, key: str, now: datetime
) -> Job | Schedule | None:
    """Return what holds a user's idempotency key, None if it is free."""
    return transaction.schedules.holding_key(user_id, key) or transaction.jobs.holding_key(
        user_id, key, now
    )


def holding_job(transaction: Transaction, user_id: UUID, key: str, now: datetime) -> Job | None:
    """Return the job that holds a key; of a schedule, its latest run."""
    holder = holding(transaction, user_id, key, now)
    return None if holder is None else _job_of(transaction, holder)


def check_key(transaction: Transaction, schedule: Schedule, now: datetime) -> None:
    """Check that a schedule that may have ended can have its key again. Raises: Conflict."""
    key = schedule.idempotency_key
    holder = holding(transaction, schedule.user_id, key, now) if key is not None else None
    if holder is not None and holder.id != schedule.id:
        raise ConflictError(f"its idempotency key {key!r} is held by {_name(holder)} by now")


def create_batch(
    transaction: Transaction, asked: Sequence[Prepared], max_waiting: int = 0, *, atomic: bool
) -> list[Created | BooperError]:
    """Write what many creates ask for. Raises: BatchRefused, if `atomic` and one has failed."""
    results = create_all(transaction, asked, max_waiting)
    if atomic and any(isinstance(result, BooperError) for result in results):
        raise BatchRefused(results)
    return results


def _check_claimable(transaction: Transaction, results: Sequence[Created | BooperError]) -> None:
    """Claim new jobs and give them back: one that cannot be claimed would never be sent.

    What the database raises where its file is damaged fails the create.
    """
    for result in results:
        if isinstance(result, Created) and not result.is_duplicate:
            claimed = lifecycle.claim(result.job, result.job.inserted_at, transaction.owner)
            transaction.jobs.move(result.job, claimed)
            transaction.jobs.move(claimed, lifecycle.release(claimed))


def _create_plain(
    transaction: Transaction, asked: Sequence[Prepared], room: Room
) -> list[Created | BooperError]:
    if not room.is_limited:
        return _insert_plain(transaction, asked)
    refused = [room.take(item.asked.new) for item in asked]
    taken = [item for item, error in zip(asked, refused, strict=True) if error is None]
    made = iter(_insert_plain(transaction, taken))
    return [next(made) if error is None else error for error in refused]


def _insert_plain(
    transaction: Transaction, plain: Sequence[Prepared]
) -> list[Created | BooperError]:
    """Write plain creates, which are of jobs; return each one's result, in order."""
    drafts = cast(list[Draft], [item.made for item in plain])
    created: list[Created | BooperError] = [
        Created(job, is_duplicate=False) for job in transaction.jobs.insert(drafts)
    ]
    if transaction.is_damaged:
        _check_claimable(transaction, created)
    return created


def _create(transaction: Transaction, item: Prepared, room: Room) -> Created | BooperError:
    """Write what one create asks for, unless its key is taken."""
    new, now = item.asked.new, item.now
    key = new.idempotency_key
    holder = key and holding(transaction, new.user_id, key, now)
    if not holder:
        refused = room.take(new)
        return refused or Created(_insert(transaction, item), is_duplicate=False)
    match item.asked.on_conflict:
        case Conflict.IGNORE:
            return Created(_job_of(transaction, holder), is_duplicate=True)
        case Conflict.REJECT:
            return ConflictError(f"the idempotency key {key!r} is held by {_name(holder)}")
        case Conflict.REPLACE:
            replaced = _replace(transaction, _locked(transaction, holder), item)
            if isinstance(replaced, ConflictError):
                return replaced
            return Created(replaced, is_duplicate=True)


def _locked(transaction: Transaction, holder: Job | Schedule) -> Job | Schedule:
    """Return what holds a key, locked. Raises: LostRace, if it has changed since it was read."""
    current: Job | Schedule | None
    if isinstance(holder, Job):
        current = transaction.jobs.find(holder.id)
    else:
        current = transaction.schedules.find(holder.id)
    if current != holder:
        raise LostRace(f"{_name(holder)} has changed since it was read")
    return holder


def _insert(transaction: Transaction, item: Prepared) -> Job:
    new, made = item.asked.new, item.made
    if not isinstance(made, Schedule):
        return transaction.jobs.insert([made])[0]
    assert made.next_at is not None
    transaction.schedules.insert(made)
    return scheduling.plan_run(
        transaction, made, made.next_at, new.max_attempts, item.now, item.random
    )


def _schedule(new: NewSchedule, now: datetime, random: Random) -> Schedule:
    return Schedule(
        id=uuid7(now, random),
        user_id=new.user_id,
        idempotency_key=new.idempotency_key,
        name=new.name,
        description=new.description,
        origin=new.origin,
        args=new.args,
        anchor=new.anchor,
        next_at=new.first_at,
        runs=0,
        inserted_at=now,
    )


def _replace(
    transaction: Transaction, holder: Job | Schedule, item: Prepared
) -> Job | ConflictError:
    """Put new args in the place of a waiting job or a schedule, which keeps its id."""
    new, now, random, by = item.asked.new, item.now, item.random, item.asked.by
    if isinstance(holder, Schedule) and isinstance(new, NewSchedule):
        # The one who replaces it knows; its waiting run has no end of its own to report.
        _, armed = scheduling.change(transaction, holder, new, now, random, lambda _, __: ())
        detail = {"fields": auditing.changed_fields(holder.args, new.args)}
        action = Action.SCHEDULE_CHANGE
        auditing.note_schedule(transaction, by, action, holder, now, armed, detail)
        return armed[0] if armed else _job_of(transaction, holder)
    if isinstance(holder, Job) and isinstance(new, NewJob) and holder.state in WAITING:
        transaction.jobs.retag(holder, new.tags)
        transaction.jobs.keep(holder, new.key_until, new.keep_for)
        auditing.note_job(transaction, by, Action.JOB_REPLACE, holder, now)
        return transaction.jobs.move(holder, _replaced(holder, new))
    if isinstance(holder, Job) and isinstance(new, NewJob):
        return ConflictError(f"{_name(holder)} is {holder.state} and cannot be replaced now")
    return ConflictError(f"{_name(holder)} cannot be replaced: only one of the two repeats")


def _replaced(job: Job, new: NewJob) -> Job:
    return replace(
        job,
        args=new.args,
        origin=new.origin,
        path=new.path,
        name=new.name,
        description=new.description,
        scheduled_at=new.scheduled_at,
        planned_at=new.planned_at,
        max_attempts=max(new.max_attempts, job.attempt + 1),
    )


def _job_of(transaction: Transaction, holder: Job | Schedule) -> Job:
    if isinstance(holder, Job):
        return holder
    runs = transaction.schedules
    latest = runs.waiting_run(holder) or runs.latest_run(holder)
    assert latest is not None, "the first run is written with its schedule"
    return latest


def _name(holder: Job | Schedule) -> str:
    return f"job {holder.id}" if isinstance(holder, Job) else f"schedule {holder.id}"
