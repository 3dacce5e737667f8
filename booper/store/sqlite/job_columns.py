"""How a job stands in its row: its columns, a new row, and the job that a row holds."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from booper.model.identity import uuid7_bytes, uuid_of_bytes
from booper.model.job import Job, Kind, NewJob, State
from booper.store.sqlite.values import user_of
from booper.store.stored import loaded, loaded_or_none, stored, stored_span
from booper.store.transaction import EndedJob

COLUMNS = """
id, uuid, user_id, kind, schedule_id, parent_id, idempotency_key, name, description, origin, path,
args, state, attempt, max_attempts, interruptions, inserted_at, scheduled_at, planned_at,
retry_until, attempted_at, completed_at, discarded_at, cancelled_at, last_error, owner, epoch,
held_since
"""

MAX_ARGS_BYTES = 16 * 1024
"""How long the args of a job that is read with others may be; longer ones are read alone."""

NAMES = COLUMNS.replace(",", " ").split()
# JSON has no bytes, and the args of many jobs could be longer together than a value may be.
IN_JSON = {name: f"hex({name})" for name in ("uuid", "user_id", "schedule_id")} | {
    "args": f"iif(length(CAST(args AS BLOB)) <= {MAX_ARGS_BYTES}, args, NULL)"
}

# By what stands in the table; calling the enumeration costs four times a look-up.
_KINDS = {kind.value: kind for kind in Kind}
_TEXTS = {kind: kind.value for kind in Kind}
_STATES = {state.value: state for state in State}


class NewRow(msgspec.Struct, frozen=True, gc=False):
    """A new job's row, all but its number: prepared before the writing thread has it."""

    new: NewJob
    uuid: UUID
    inserted_at: datetime
    values: tuple[object, ...]

    def job(self, number: int) -> Job:
        """Return the job that stands in this row under a number."""
        new = self.new
        return Job(
            id=number,
            uuid=self.uuid,
            user_id=new.user_id,
            kind=new.kind,
            schedule_id=new.schedule_id,
            parent_id=new.parent_id,
            idempotency_key=new.idempotency_key,
            name=new.name,
            description=new.description,
            origin=new.origin,
            path=new.path,
            args=new.args,
            state=State.SCHEDULED,
            attempt=0,
            max_attempts=new.max_attempts,
            inserted_at=self.inserted_at,
            scheduled_at=new.scheduled_at,
            planned_at=new.planned_at,
        )


def new_row(new: NewJob, now: datetime, random: Random) -> NewRow:
    """Prepare a new job's row, on the caller's thread: the writing one has enough to do."""
    inserted_at, scheduled_at = stored(now), stored(new.scheduled_at)
    same_plan = new.planned_at is new.scheduled_at
    uuid = uuid7_bytes(inserted_at, random)
    values = (
        uuid,
        new.user_id.bytes,
        _TEXTS[new.kind],
        new.schedule_id.bytes if new.schedule_id else None,
        new.parent_id,
        new.idempotency_key,
        None if new.key_until is None else stored(new.key_until),
        stored_span(new.keep_for),
        new.name,
        new.description,
        new.origin,
        new.path,
        new.args,
        new.max_attempts,
        inserted_at,
        scheduled_at,
        scheduled_at if same_plan else stored(new.planned_at),
    )
    return NewRow(new, uuid_of_bytes(uuid), now, values)


def job_of(row: Sequence[Any]) -> Job:
    """Build a job from a row of `COLUMNS`, whose blobs may be hex digits.

    A call for each NULL would take as long as the rest.
    """
    return Job(
        id=row[0],
        uuid=uuid_of_bytes(row[1]),
        user_id=user_of(row[2]),
        kind=_KINDS[row[3]],
        schedule_id=uuid_of_bytes(row[4]) if row[4] else None,  # hex() of NULL is an empty text
        parent_id=row[5],
        idempotency_key=row[6],
        name=row[7],
        description=row[8],
        origin=row[9],
        path=row[10],
        args=row[11],
        state=_STATES[row[12]],
        attempt=row[13],
        max_attempts=row[14],
        interruptions=row[15],
        inserted_at=loaded(row[16]),
        scheduled_at=loaded(row[17]),
        planned_at=loaded(row[18]),
        retry_until=None if row[19] is None else loaded(row[19]),
        attempted_at=None if row[20] is None else loaded(row[20]),
        completed_at=None if row[21] is None else loaded(row[21]),
        discarded_at=None if row[22] is None else loaded(row[22]),
        cancelled_at=None if row[23] is None else loaded(row[23]),
        last_error=row[24],
        owner=row[25],
        epoch=row[26],
        held_since=None if row[27] is None else loaded(row[27]),
    )


def ended_job_of(row: Sequence[Any]) -> EndedJob:
    """Build what decides whether a finished job may be deleted, from a row of these columns."""
    number, kind, state, schedule_id, planned_at, ended_at, keep_for, key_until, is_reported = row
    return EndedJob(
        number,
        _KINDS[kind],
        _STATES[state],
        None if schedule_id is None else UUID(bytes=schedule_id),
        loaded(planned_at),
        loaded(ended_at),
        None if keep_for is None else timedelta(microseconds=keep_for),
        loaded_or_none(key_until),
        bool(is_reported),
    )
