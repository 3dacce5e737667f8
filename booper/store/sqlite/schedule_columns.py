"""How a schedule stands in its row: its columns, a new row, and the schedule that a row holds."""

from booper.model.identity import uuid_of_bytes
from booper.model.schedule import Schedule
from booper.store.sqlite.values import Row, user_of
from booper.store.stored import loaded, loaded_or_none, stored, stored_or_none

COLUMNS = """
id, user_id, idempotency_key, name, description, origin, args, anchor, next_at, runs, state,
previous, inserted_at, disabled_at, ended_at
"""


def schedule_of(row: Row) -> Schedule:
    """Build a schedule from a row of `COLUMNS`."""
    return Schedule(
        id=uuid_of_bytes(row[0]),
        user_id=user_of(row[1]),
        idempotency_key=row[2],
        name=row[3],
        description=row[4],
        origin=row[5],
        args=row[6],
        anchor=loaded(row[7]),
        next_at=loaded_or_none(row[8]),
        runs=row[9],
        state=row[10],
        previous=row[11],
        inserted_at=loaded(row[12]),
        disabled_at=loaded_or_none(row[13]),
        ended_at=loaded_or_none(row[14]),
    )


def values_of(schedule: Schedule) -> tuple[object, ...]:
    """Return what a new row has in `COLUMNS`."""
    return (
        schedule.id.bytes,
        schedule.user_id.bytes,
        schedule.idempotency_key,
        schedule.name,
        schedule.description,
        schedule.origin,
        schedule.args,
        stored(schedule.anchor),
        stored_or_none(schedule.next_at),
        schedule.runs,
        schedule.state,
        schedule.previous,
        stored(schedule.inserted_at),
        stored_or_none(schedule.disabled_at),
        stored_or_none(schedule.ended_at),
    )
