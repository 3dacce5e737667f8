"""The statements that move jobs from row to row: compare-and-set, many at once.

An unfinished job is changed in its row; one that ends leaves `live_jobs` for `ended_jobs`, and one
that is to be sent again comes back. What hangs on that (`due`, planned times, the place of the log)
follows in the same transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import astuple

from booper.model.job import FINISHED, WAITING, Job, Kind, State
from booper.store.postgres import cancelled_claims
from booper.store.postgres.job_columns import NAMES
from booper.store.postgres.values import array_of, text_array_of, text_in
from booper.store.stored import stored

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

Arrays = Mapping[str, str]
"""Values by columns, each an array as PostgreSQL writes it."""

Place = tuple[str, int]
"""The class of a job and when it ended: where its log is."""

LIVE: Final[Place] = ("live", 0)
"""The place of a job that has not finished."""

PLACES: Final = """
SELECT id, 'live', 0 FROM live_jobs WHERE id = ANY(%(ids)s)
UNION ALL SELECT id, class, ended_at FROM ended_jobs WHERE id = ANY(%(ids)s)
"""

IN_PLACES: Final = "class = ANY(%(in_classes)s::text[]) AND ended_at = ANY(%(in_ends)s::bigint[])"
"""The condition of a statement that `PostgresTransaction.execute_at` runs."""

TYPES: Final = {
    **dict.fromkeys(NAMES, "bigint"),
    **dict.fromkeys(("uuid", "user_id", "schedule_id"), "uuid"),
    **dict.fromkeys(
        ("kind", "idempotency_key", "name", "description", "origin", "args", "state", "last_error"),
        "text",
    ),
}

# What an end, or sending again, changes at most.
ENDING: Final = (
    "state",
    "attempt",
    "max_attempts",
    "interruptions",
    "scheduled_at",
    "planned_at",
    "retry_until",
    "attempted_at",
    "completed_at",
    "discarded_at",
    "cancelled_at",
    "last_error",
    "owner",
    "epoch",
    "held_since",
)
_SAME: Final = ", ".join(name for name in NAMES if name not in ENDING)
_BESIDE: Final = "key_until, keep_for, tags"


def _given(columns: Sequence[str]) -> str:
    """Return new values as a table: for each job its number, what it was, and these columns."""
    arrays = ", ".join(f"%({name})s::{TYPES[name]}[]" for name in columns)
    names = ", ".join(f"new_{name}" for name in columns)
    return f"""unnest(%(id)s::bigint[], %(was_state)s::text[], %(was_owner)s::bigint[],
        %(was_epoch)s::bigint[]{", " if columns else ""}{arrays}
    ) AS given (number, was_state, was_owner, was_epoch{", " if columns else ""}{names})"""


_IS_SAME: Final = """
id = number AND state = was_state AND owner = was_owner AND epoch = was_epoch
"""


# Only a claim makes a job execute, and it has the lock of slots (`claim_numbers`).
_CLAIM: Final = """
claim = CASE new_state WHEN 'executing' THEN nextval('claim_numbers') ELSE 0 END
"""


@lru_cache(maxsize=256)
def _update(columns: tuple[str, ...]) -> str:
    changes = ", ".join(f"{name} = new_{name}" for name in columns)
    if "state" in columns:
        changes += f", {_CLAIM}"
    return f"UPDATE live_jobs SET {changes} FROM {_given(columns)} WHERE {_IS_SAME}"


def _moved(columns: str, beside: str) -> str:
    """Return the columns of rows that a CTE `gone` has taken out, with those that are given."""
    new = ", ".join(f"new_{name}" for name in ENDING)
    return f"SELECT {columns}, {new}, {beside} FROM gone"


_ENDED_AT: Final = "coalesce(new_completed_at, new_discarded_at, new_cancelled_at)"
_CLASS: Final = """
CASE WHEN schedule_id IS NOT NULL OR keep_for IS NOT NULL OR key_until IS NOT NULL
    THEN 'kept' ELSE new_state END
"""

END: Final = f"""
WITH gone AS (
    DELETE FROM live_jobs USING {_given(ENDING)} WHERE {_IS_SAME} RETURNING live_jobs.*, given.*
)
INSERT INTO ended_jobs ({_SAME}, {", ".join(ENDING)}, {_BESIDE}, ended_at, class)
{_moved(_SAME, f"{_BESIDE}, {_ENDED_AT}, {_CLASS}")}
RETURNING id, class, ended_at
"""

COME_BACK: Final = f"""
WITH gone AS (
    DELETE FROM ended_jobs USING {_given(ENDING)} WHERE {_IS_SAME} AND {IN_PLACES}
    RETURNING ended_jobs.*, given.*
)
INSERT INTO live_jobs ({_SAME}, {", ".join(ENDING)}, {_BESIDE})
{_moved(_SAME, _BESIDE)}
"""

LEAVE_DUE: Final = "DELETE FROM due WHERE job_id = ANY(%s::bigint[])"
ENTER_DUE: Final = """
INSERT INTO due (job_id, at, origin, path)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[])
"""
SHIFT_DUE: Final = """
UPDATE due SET at = new.at, origin = new.origin, path = new.path
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[]) AS new (id, at, origin, path)
WHERE job_id = new.id
"""

FREE_TIMES: Final = "DELETE FROM planned WHERE job_id = ANY(%s)"
TAKE_TIMES: Final = """
INSERT INTO planned (schedule_id, at, job_id)
SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[])
"""
MOVE_TIMES: Final = """
UPDATE planned SET at = new.at FROM unnest(%s::bigint[], %s::bigint[]) AS new (id, at)
WHERE job_id = new.id
"""

# A job's log goes where the job is.
_LOG: Final = (
    "seq, id, user_id, job_id, kind, event, inserted_at, payload, request, requested_at, "
    "class, ended_at"
)
MOVE_LOG: Final = f"""
WITH gone AS (DELETE FROM {{source}} job_id = ANY(%(ids)s::bigint[]) RETURNING *)
INSERT INTO logs ({_LOG})
SELECT seq, id, user_id, job_id, kind, event, inserted_at, payload, request, requested_at,
    place.class, place.ended_at
FROM gone JOIN unnest(%(ids)s::bigint[], %(classes)s::text[], %(ends)s::bigint[])
    AS place (number, class, ended_at) ON number = job_id
"""
END_LOG: Final = MOVE_LOG.format(source="live_logs WHERE")
BRING_LOG: Final = MOVE_LOG.format(source=f"logs WHERE {IN_PLACES} AND")


def statements(pairs: Sequence[tuple[Job, Job]]) -> Iterator[tuple[str, list[int], Arrays]]:
    """Yield the statements that move jobs: each with the numbers of its jobs, and its arrays."""
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[Job, Job]]] = {}
    for before, after in pairs:
        if (group := _group(before, after)) is not None:
            groups.setdefault(group, []).append((before, after))
    for (statement, columns), group_pairs in groups.items():
        group_pairs.sort(key=_number)  # in one order everywhere: no two wait for each other
        yield statement, [job.id for job, _ in group_pairs], _arrays(group_pairs, columns)


def follow(
    transaction: "PostgresTransaction",
    pairs: Sequence[tuple[Job, Job]],
    places: Mapping[int, Place],
) -> None:
    """Write what hangs on moves that are written: `due`, planned times, slots and logs.

    `places` has where these jobs are now, by their numbers.
    """
    execute = transaction.execute
    waiting = [(one, other, one.state in WAITING, other.state in WAITING) for one, other in pairs]
    if left := [other.id for _, other, did, does in waiting if did and not does]:
        execute(LEAVE_DUE, [array_of(left)])
    if entered := [other for _, other, did, does in waiting if does and not did]:
        execute(ENTER_DUE, _dues(entered))
    if shifted := [b for a, b, did, does in waiting if did and does and _due_of(a) != _due_of(b)]:
        execute(SHIFT_DUE, _dues(shifted))
    _follow_plan(transaction, pairs)
    cancelled_claims.keep(transaction, pairs)
    if ended := [other.id for one, other in pairs if _has_ended(other) and not _has_ended(one)]:
        execute(END_LOG, _placed(ended, places))
    if back := [other.id for one, other in pairs if _has_ended(one) and not _has_ended(other)]:
        transaction.execute_at(places_before(pairs), BRING_LOG, _placed(back, places))


def places_before(pairs: Sequence[tuple[Job, Job]]) -> Iterator[Place]:
    """Yield where jobs that come back may have been: who asked for it was kept."""
    for before, _ in pairs:
        if ended_at := before.completed_at or before.discarded_at or before.cancelled_at:
            yield before.state.value, stored(ended_at)
            yield "kept", stored(ended_at)


def _follow_plan(transaction: "PostgresTransaction", pairs: Sequence[tuple[Job, Job]]) -> None:
    """Keep the planned times of runs as they are now; that of a cancelled one is free."""
    runs = [pair for pair in pairs if pair[1].kind is Kind.RUN]
    if not runs:
        return
    execute = transaction.execute
    cancelled = State.CANCELLED
    if freed := [b.id for a, b in runs if b.state is cancelled and a.state is not cancelled]:
        execute(FREE_TIMES, [freed])
    taken = [b for a, b in runs if a.state is cancelled and b.state is not cancelled]
    if taken:
        columns = ([b.schedule_id for b in taken], [stored(b.planned_at) for b in taken])
        execute(TAKE_TIMES, (*columns, [b.id for b in taken]))
    moved = [
        b for a, b in runs if cancelled not in (a.state, b.state) and a.planned_at != b.planned_at
    ]
    if moved:
        execute(MOVE_TIMES, ([b.id for b in moved], [stored(b.planned_at) for b in moved]))


def _group(before: Job, after: Job) -> tuple[str, tuple[str, ...]] | None:
    """Return the statement of a move and the columns that it is given, None if nothing changes."""
    if _has_ended(before):
        return None if _has_ended(after) else (COME_BACK, ENDING)
    if _has_ended(after):
        return END, ENDING
    values = zip(NAMES, astuple(before), astuple(after), strict=True)
    columns = tuple(name for name, old, new in values if old is not new)
    return (_update(columns), columns) if columns else None


def _arrays(pairs: Sequence[tuple[Job, Job]], columns: Sequence[str]) -> Arrays:
    arrays = {
        "id": array_of(before.id for before, _ in pairs),
        "was_state": array_of(before.state.value for before, _ in pairs),
        "was_owner": array_of(before.owner for before, _ in pairs),
        "was_epoch": array_of(before.epoch for before, _ in pairs),
    }
    for name in columns:
        values = [_value(getattr(after, name)) for _, after in pairs]
        arrays[name] = text_array_of(values) if TYPES[name] == "text" else array_of(values)
    return arrays


def _value(value: Any) -> Any:
    if value is None or type(value) is int:
        return value
    if isinstance(value, datetime):
        return stored(value)
    if isinstance(value, State):
        return value.value
    return text_in(value) if isinstance(value, str) else value


def _placed(job_ids: Sequence[int], places: Mapping[int, Place]) -> Arrays:
    classes, ends = zip(*(places[number] for number in job_ids), strict=True)
    return {"ids": array_of(job_ids), "classes": array_of(classes), "ends": array_of(ends)}


def _dues(jobs: Sequence[Job]) -> tuple[str, ...]:
    return (
        array_of(job.id for job in jobs),
        array_of(stored(job.scheduled_at) for job in jobs),
        text_array_of(job.origin for job in jobs),
        array_of(job.path for job in jobs),
    )


def _due_of(job: Job) -> tuple[datetime, str, int]:
    return job.scheduled_at, job.origin, job.path


def _has_ended(job: Job) -> bool:
    return job.state in FINISHED


def _number(pair: tuple[Job, Job]) -> int:
    return pair[0].id
