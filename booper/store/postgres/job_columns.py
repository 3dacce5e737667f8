"""How a job stands in its row: its columns, a new row, and the job that a row holds."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import msgspec

from booper.model.identity import uuid7
from booper.model.job import Job, Kind, NewJob, State
from booper.store.postgres.values import text_in, text_out
from booper.store.stored import loaded, loaded_or_none, stored, stored_span
from booper.store.transaction import EndedJob

NAMES: Final = Job.__struct_fields__  # which are columns as well
COLUMNS: Final = ", ".join(NAMES)

_KINDS = {kind.value: kind for kind in Kind}
_STATES = {state.value: state for state in State}

NEW_COLUMNS: Final = {
    "uuid": "uuid",
    "user_id": "uuid",
    "kind": "text",
    "schedule_id": "uuid",
    "parent_id": "bigint",
    "idempotency_key": "text",
    "key_until": "bigint",
    "keep_for": "bigint",
    "name": "text",
    "description": "text",
    "origin": "text",
    "path": "bigint",
    "args": "text",
    "max_attempts": "bigint",
    "inserted_at": "bigint",
    "scheduled_at": "bigint",
    "planned_at": "bigint",
    "tags": "text",
}
"""What a new row is given, with the types; tags as a JSON list."""


class NewRow(msgspec.Struct, frozen=True, gc=False):
    """A new job's row, all but its number: prepared before the transaction has begun."""

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
    """Prepare a new job's row, in the order of `NEW_COLUMNS`."""
    uuid = uuid7(now, random)
    values = (
        uuid,
        new.user_id,
        new.kind.value,
        new.schedule_id,
        new.parent_id,
        text_in(new.idempotency_key),
        None if new.key_until is None else stored(new.key_until),
        stored_span(new.keep_for),
        text_in(new.name),
        text_in(new.description),
        new.origin,
        new.path,
        new.args,
        new.max_attempts,
        stored(now),
        stored(new.scheduled_at),
        stored(new.planned_at),
        tags_in(new.tags),
    )
    return NewRow(new, uuid, now, values)


def tags_in(tags: Sequence[str]) -> str:
    """Return tags, each once, as a JSON list of texts that PostgreSQL can hold."""
    return msgspec.json.encode([text_in(tag) for tag in dict.fromkeys(tags)]).decode()


def job_of(row: Sequence[Any]) -> Job:
    """Build a job from a row of `COLUMNS`."""
    return Job(
        id=row[0],
        uuid=row[1],
        user_id=row[2],
        kind=_KINDS[row[3]],
        schedule_id=row[4],
        parent_id=row[5],
        idempotency_key=text_out(row[6]),
        name=text_out(row[7]),
        description=text_out(row[8]),
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
        retry_until=loaded_or_none(row[19]),
        attempted_at=loaded_or_none(row[20]),
        completed_at=loaded_or_none(row[21]),
        discarded_at=loaded_or_none(row[22]),
        cancelled_at=loaded_or_none(row[23]),
        last_error=text_out(row[24]),
        owner=row[25],
        epoch=row[26],
        held_since=loaded_or_none(row[27]),
    )


def ended_job_of(row: Sequence[Any]) -> EndedJob:
    """Build what decides whether a finished job may be deleted, from a row of these columns."""
    number, kind, state, schedule_id, planned_at, ended_at, keep_for, key_until, is_reported = row
    return EndedJob(
        number,
        _KINDS[kind],
        _STATES[state],
        schedule_id,
        loaded(planned_at),
        loaded(ended_at),
        None if keep_for is None else timedelta(microseconds=keep_for),
        loaded_or_none(key_until),
        bool(is_reported),
    )
