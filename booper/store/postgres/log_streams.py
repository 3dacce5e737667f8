"""The SQL of lists of the log: streams, one for each kind and event and each table of their rows.

So a rare event is found at once. A stream is a stretch of an index, of which no more than its
beginning is read. The entries of runs are in the tables of what is not deleted by days; so are
those that only jobs of schedules have.
"""

from collections.abc import Iterator
from typing import Final

from booper.model.event import ERROR, EVENTS, REQUEST, RESPONSE, SKIPPED, STATE_REJECTED
from booper.model.job import OWN_KINDS, Kind
from booper.store.postgres.log_rows import TOGETHER

TABLES: Final = ("live_logs", "kept_logs")
TABLES_OF_DAYS: Final = ("completed_logs", "discarded_logs", "cancelled_logs")

ROWS_OF: Final = {
    REQUEST: (REQUEST, *TOGETHER.values()),
    RESPONSE: (RESPONSE, TOGETHER[RESPONSE]),
    ERROR: (ERROR, TOGETHER[ERROR]),
    SKIPPED: (SKIPPED,),
    STATE_REJECTED: (STATE_REJECTED,),
}
"""Which events of rows have entries of an event."""

OF_SCHEDULES: Final = frozenset({SKIPPED, STATE_REJECTED})

STREAM: Final = """
(SELECT {columns} FROM {table}
WHERE user_id = %(user_id)s AND kind = '{kind}' AND event = '{event}' AND seq <= %(until)s {behind}
ORDER BY {order} LIMIT {limit})
"""
BEHIND: Final = {True: "AND seq <= %(seq)s", False: "AND seq >= %(seq)s"}

ORDERS: Final = {True: "seq DESC NULLS LAST", False: "seq ASC NULLS FIRST"}
"""The order of a list, as only the index of events has it, and that of numbers has not."""

# Entries of callbacks and webhooks are shown to who asks for their job. Of one job all come in
# order: whoever writes them has locked it.
OF_JOB: Final = """
(SELECT {columns} FROM logs
WHERE job_id BETWEEN %(job_id)s AND %(job_id)s AND user_id = %(user_id)s
    AND event IN ({events}) {behind}
ORDER BY job_id {direction}, seq {direction} LIMIT {limit})
"""


def list_streams(
    columns: str,
    limit: int | str,
    *,
    of_job: bool,
    event: str | None,
    descending: bool,
    is_behind: bool,
) -> str:
    """Return the SQL of the first rows of each stream; of one event, or of all.

    They begin with the row `seq` if the list is behind one: the row of the last entry may have
    another to show.
    """
    events = sorted({row for one in ([event] if event else EVENTS) for row in ROWS_OF[one]})
    behind = BEHIND[descending] if is_behind else ""
    if of_job:
        direction = "DESC" if descending else "ASC"
        known = ", ".join(f"'{one}'" for one in events)
        return OF_JOB.format(
            columns=columns, events=known, behind=behind, direction=direction, limit=limit
        )
    return " UNION ALL ".join(
        STREAM.format(
            columns=columns,
            table=table,
            kind=kind,
            event=one,
            behind=behind,
            order=ORDERS[descending],
            limit=limit,
        )
        for table, kind, one in _stretches(events)
    )


def _stretches(events: list[str]) -> Iterator[tuple[str, str, str]]:
    """Return the table, the kind and the event of each stream."""
    for kind in OWN_KINDS:
        for event in events:
            is_kept = kind == Kind.RUN or event in OF_SCHEDULES
            for table in TABLES if is_kept else (*TABLES, *TABLES_OF_DAYS):
                yield table, kind, event
