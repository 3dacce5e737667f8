"""How a schedule stands in its row: its columns, a new row, and the schedule that a row holds."""

from typing import Final

from booper.model.schedule import Schedule
from booper.store.postgres.values import Row, text_in, text_out
from booper.store.stored import loaded, loaded_or_none, stored, stored_or_none

NAMES: Final = Schedule.__struct_fields__  # which are columns as well
COLUMNS: Final = ", ".join(NAMES)


def schedule_of(row: Row) -> Schedule:
    """Build a schedule from a row of `COLUMNS`."""
    return Schedule(
        id=row[0],
        user_id=row[1],
        idempotency_key=text_out(row[2]),
        name=text_out(row[3]),
        description=text_out(row[4]),
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
    """Return what a row has in `COLUMNS`."""
    return (
        schedule.id,
        schedule.user_id,
        text_in(schedule.idempotency_key),
        text_in(schedule.name),
        text_in(schedule.description),
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
