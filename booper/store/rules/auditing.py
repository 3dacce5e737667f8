"""Entries of the audit, written with the change that each tells of."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from booper.model.audit import Action, Actor, Kind, NewChange
from booper.model.job import Job
from booper.model.key import ApiKey
from booper.model.schedule import Schedule
from booper.store.transaction import Transaction
from booper.store.values import JobFilter

_NOTHING: Final[Mapping[str, Any]] = {}


def note_job(
    transaction: Transaction,
    by: Actor,
    action: Action,
    job: Job,
    now: datetime,
) -> None:
    """Note a change of one job."""
    change = NewChange(by, action, Kind.JOB, str(job.id), now, job.user_id)
    transaction.audit.append(change, [job.id])


def note_schedule(
    transaction: Transaction,
    by: Actor,
    action: Action,
    schedule: Schedule,
    now: datetime,
    jobs: Sequence[Job] = (),
    detail: Mapping[str, Any] = _NOTHING,
) -> None:
    """Note a change of a schedule, and the runs that it has changed."""
    object_id, text = str(schedule.id), msgspec.json.encode(detail).decode()
    change = NewChange(by, action, Kind.SCHEDULE, object_id, now, schedule.user_id, text)
    transaction.audit.append(change, [job.id for job in jobs])


def note_target(
    transaction: Transaction, by: Actor, action: Action, target: str, now: datetime
) -> None:
    """Note a change of what is sent to a target, or to `ALL_TARGETS`."""
    transaction.audit.append(NewChange(by, action, Kind.TARGET, target, now))


def note_key(
    transaction: Transaction, by: Actor, action: Action, key: ApiKey, now: datetime
) -> None:
    """Note that a key was made or revoked."""
    detail = msgspec.json.encode({"name": key.name, "scope": key.scope}).decode()
    transaction.audit.append(NewChange(by, action, Kind.KEY, str(key.id), now, key.user_id, detail))


def note_many(
    transaction: Transaction,
    number: int | None,
    job_ids: Sequence[int],
    *,
    by: Actor,
    action: Action,
    user_id: UUID,
    wanted: JobFilter,
    now: datetime,
) -> int | None:
    """Note a part of a change of many jobs; return the number of its one entry.

    `number` is what its first part returned, None before.
    """
    if not job_ids:
        return number
    if number is not None:
        transaction.audit.extend(number, job_ids)
        return number
    given = {
        name: value
        for name in JobFilter.__struct_fields__
        if (value := getattr(wanted, name)) and name != "kinds"
    }
    detail = msgspec.json.encode({"filter": given}, order="deterministic").decode()
    return transaction.audit.append(
        NewChange(by, action, Kind.JOBS, "", now, user_id, detail), job_ids
    )


def changed_fields(before: str, after: str) -> list[str]:
    """Return the names of the fields in which the args of two creates differ."""
    one, other = (msgspec.json.decode(args, type=dict[str, Any]) for args in (before, after))
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
