"""The SQL of lists: filters, orders and pages of jobs, put together from fixed pieces."""

from datetime import datetime
from uuid import UUID

from booper.model.job import State
from booper.store.base import JobFilter, Page
from booper.store.sqlite import rows
from booper.store.sqlite.values import stored, stored_or_none

# How many jobs one transaction of a change of many looks at.
BATCH = 500

OF_USER = "WHERE user_id = :user_id"
# A schedule has fewer jobs than its user: the plus leaves the choice to its own index.
OF_USER_LAST = "WHERE +user_id = :user_id"

PAGE = f"""
SELECT {rows.COLUMNS} FROM jobs {OF_USER} {{filters}}
ORDER BY {{order}} LIMIT :limit OFFSET :offset
"""

BATCH_AFTER = f"""
SELECT {rows.COLUMNS} FROM jobs WHERE user_id = :user_id AND id > :last AND id <= :end {{filters}}
ORDER BY id LIMIT {BATCH}
"""

# Jobs are numbered as they are inserted, so the order of ids is that of `inserted_at`.
ORDERS = {
    ("id", True): "id DESC",
    ("id", False): "id ASC",
    ("inserted_at", True): "id DESC",
    ("inserted_at", False): "id ASC",
    ("scheduled_at", True): "scheduled_at DESC, id DESC",
    ("scheduled_at", False): "scheduled_at ASC, id ASC",
}

BEHIND = {
    ("id", True): "AND id < :after_id",
    ("id", False): "AND id > :after_id",
    ("inserted_at", True): "AND id < :after_id",
    ("inserted_at", False): "AND id > :after_id",
    ("scheduled_at", True): "AND (scheduled_at, id) < (:after_value, :after_id)",
    ("scheduled_at", False): "AND (scheduled_at, id) > (:after_value, :after_id)",
}

STATES = {
    # The plus keeps SQLite from the index on `scheduled_at`, which would sort all that match
    # (https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_).
    State.AVAILABLE: "(state = 'scheduled' AND +scheduled_at <= :now)",
    State.SCHEDULED: "(state = 'scheduled' AND +scheduled_at > :now)",
    State.EXECUTING: "state = 'executing'",
    State.RETRYABLE: "state = 'retryable'",
    State.COMPLETED: "state = 'completed'",
    State.DISCARDED: "state = 'discarded'",
    State.CANCELLED: "state = 'cancelled'",
}

TAG = "AND id IN (SELECT job_id FROM job_tags WHERE tag = :tag)"
# For a walk through all jobs in groups, where the list of a tag's jobs would be made each time.
TAGGED = "AND EXISTS (SELECT 1 FROM job_tags WHERE tag = :tag AND job_id = jobs.id)"
SCHEDULE = "AND schedule_id = :schedule_id AND schedule_id IS NOT NULL"
BEFORE = "AND scheduled_at < :before"
AFTER = "AND scheduled_at >= :since"
# A prefix by comparison, since LIKE would read % and _ in a URL.
URL_PREFIX = "AND substr(json_extract(args, '$.url'), 1, length(:url_prefix)) = :url_prefix"


def page_query(
    user_id: UUID, page: Page, wanted: JobFilter, now: datetime
) -> tuple[str, dict[str, object]]:
    """Return the query for a page of jobs, and its values."""
    order = (page.order_by, page.descending)
    clauses = _clauses(wanted)
    values = _values(user_id, wanted, now) | {"limit": page.limit, "offset": page.offset}
    if page.after is not None:
        clauses += " " + BEHIND[order]
        values |= {"after_value": page.after[0], "after_id": page.after[1]}
    query = PAGE.format(filters=clauses, order=ORDERS[order])
    if wanted.schedule_id is not None:
        query = query.replace(OF_USER, OF_USER_LAST)
    return query, values


def batch_query(
    user_id: UUID,
    wanted: JobFilter,
    states: frozenset[State],
    between: tuple[int, int],
    now: datetime,
) -> tuple[str, dict[str, object]]:
    """Return the query for the next matching jobs in `states`, and its values.

    `between` are the id behind which to begin and the last one.
    """
    values = _values(user_id, wanted, now) | {"last": between[0], "end": between[1]}
    clauses = _clauses(wanted).replace(TAG, TAGGED) + f" AND ({_any_of(states)})"
    return BATCH_AFTER.format(filters=clauses), values


def _any_of(states: frozenset[State]) -> str:
    return " OR ".join(STATES[state] for state in sorted(states))


def _clauses(wanted: JobFilter) -> str:
    clauses = [f"AND kind IN ({', '.join(f':kind{n}' for n in range(len(wanted.kinds)))})"]
    if wanted.states:
        clauses.append(f"AND ({_any_of(wanted.states)})")
    given = {
        TAG: wanted.tag,
        SCHEDULE: wanted.schedule_id,
        BEFORE: wanted.before,
        AFTER: wanted.after,
        URL_PREFIX: wanted.url_prefix,
    }
    clauses += [clause for clause, value in given.items() if value is not None]
    return " ".join(clauses)


def _values(user_id: UUID, wanted: JobFilter, now: datetime) -> dict[str, object]:
    kinds = {f"kind{n}": kind for n, kind in enumerate(wanted.kinds)}
    return kinds | {
        "user_id": user_id.bytes,
        "now": stored(now),
        "tag": wanted.tag,
        "schedule_id": wanted.schedule_id.bytes if wanted.schedule_id else None,
        "before": stored_or_none(wanted.before),
        "since": stored_or_none(wanted.after),
        "url_prefix": wanted.url_prefix,
    }
