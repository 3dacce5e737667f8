"""Rows as PostgreSQL holds them: read as both databases have them, and written where they belong.

A job goes to `live_jobs` or to its partition of those that have ended, with what hangs on it; a log
entry goes to where its job is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from booper.model.job import FINISHED
from booper.store.moving.tables import Key, Row, Table, Values
from booper.store.postgres.connections import Connection
from booper.store.postgres.values import text_in, text_out

NOWHERE: Final = ("live", 0)
"""The place of the log of a job that has not finished, or is gone."""

ADD_ALONE: Final = """
INSERT INTO alone (owner, job_id, attempt) SELECT owner, id, %s FROM live_jobs WHERE id = %s
"""
SET_PRUNING: Final = """
INSERT INTO pruning (id, begins_at) VALUES (%s, %s)
ON CONFLICT (id) DO UPDATE SET begins_at = excluded.begins_at
"""

# What hangs on jobs, of those between two numbers.
FOLLOW: Final = (
    """
    INSERT INTO due (job_id, at, origin, path)
    SELECT id, scheduled_at, origin, path FROM live_jobs
    WHERE id BETWEEN %(first)s AND %(last)s AND state <> 'executing'
    """,
    """
    INSERT INTO planned (schedule_id, at, job_id)
    SELECT schedule_id, planned_at, id FROM jobs
    WHERE id BETWEEN %(first)s AND %(last)s AND kind = 'run' AND state <> 'cancelled'
    """,
    """
    INSERT INTO job_counts (user_id, kind, state, count)
    SELECT user_id, kind, state, count(*) FROM jobs
    WHERE id BETWEEN %(first)s AND %(last)s GROUP BY user_id, kind, state
    """,
)
PLACES: Final = "SELECT id, class, ended_at FROM ended_jobs WHERE id = ANY(%s)"

KEPT_BY: Final = ("schedule_id", "keep_for", "key_until")
"""What makes a finished job go by a rule of its own."""

Change = Callable[[Any], Any]

_OUT: Final[dict[Values, Change]] = {
    Values.UUID: lambda value: value.bytes,
    Values.TEXT: text_out,
    Values.TAGS: lambda tags: sorted(text_out(tag) or "" for tag in tags),
}
_IN: Final[dict[Values, Change]] = {
    Values.UUID: lambda value: UUID(bytes=value),
    Values.TEXT: text_in,
    Values.TAGS: lambda tags: [text_in(tag) for tag in tags],
}


def loaded_rows(table: Table, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows of PostgreSQL with the values that both databases have."""
    changes = _changes(table, table.names, _OUT)
    return (tuple(_changed(row, changes)) for row in rows)


def stored_rows(table: Table, rows: Iterable[Row]) -> list[list[Any]]:
    """Return rows with their values as PostgreSQL has them."""
    changes = _changes(table, table.names, _IN)
    return [_changed(row, changes) for row in rows]


def stored_key(table: Table, key: Key) -> list[Any]:
    """Return a key with its values as PostgreSQL has them."""
    return _changed(key, _changes(table, table.key, _IN))


def insert(connection: Connection, table: Table, rows: Sequence[list[Any]]) -> None:
    """Write rows that have the values of PostgreSQL."""
    match table.name:
        case "jobs":
            _insert_jobs(connection, table, rows)
        case "logs":
            _insert_logs(connection, table, rows)
        case "alone":
            for job_id, attempt in rows:
                connection.execute(ADD_ALONE, [attempt, job_id])
        case "pruning":
            for row in rows:
                connection.execute(SET_PRUNING, row)
        case name:
            _copy(connection, name, table.names, rows)


def _insert_jobs(connection: Connection, table: Table, rows: Sequence[list[Any]]) -> None:
    names = table.names
    at = {name: place for place, name in enumerate(names)}
    live, ended = list[list[Any]](), list[list[Any]]()
    for row in rows:
        state = row[at["state"]]
        if state not in FINISHED:
            live.append(row)
            continue
        is_kept = any(row[at[name]] is not None for name in KEPT_BY)
        ended.append([*row, row[at[f"{state}_at"]], "kept" if is_kept else state])
    _copy(connection, "live_jobs", names, live)
    _copy(connection, "ended_jobs", [*names, "ended_at", "class"], ended)
    between = {"first": rows[0][at["id"]], "last": rows[-1][at["id"]]}
    for statement in FOLLOW:
        connection.execute(statement, between)


def _insert_logs(connection: Connection, table: Table, rows: Sequence[list[Any]]) -> None:
    at = table.names.index("job_id")
    found = connection.execute(PLACES, [list({row[at] for row in rows})])
    places = {number: (name, ended_at) for number, name, ended_at in found}
    placed = [[*row, *places.get(row[at], NOWHERE)] for row in rows]
    _copy(connection, "logs", [*table.names, "class", "ended_at"], placed)


def _copy(
    connection: Connection, name: str, columns: Sequence[str], rows: Sequence[list[Any]]
) -> None:
    if not rows:
        return
    # COPY writes the numbers of identity columns as they are given.
    statement = f"COPY {name} ({', '.join(columns)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _changes(
    table: Table, names: Sequence[str], known: dict[Values, Change]
) -> list[tuple[int, Change]]:
    """Return which columns stand otherwise in the database, by their places, and how."""
    kinds = [table.columns[name] for name in names]
    return [(place, known[kind]) for place, kind in enumerate(kinds) if kind in known]


def _changed(row: Sequence[Any], changes: Sequence[tuple[int, Change]]) -> list[Any]:
    values = list(row)
    for place, change in changes:
        if values[place] is not None:
            values[place] = change(values[place])
    return values
