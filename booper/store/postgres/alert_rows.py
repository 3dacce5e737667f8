"""Rows of incidents and alerts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from booper.model.alert import Alert, AlertKind, Finding, Telling
from booper.store.alerting import Incident, IncidentKind
from booper.store.postgres.values import Row, text_in, text_out
from booper.store.stored import loaded, loaded_or_none, stored, stored_or_none

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

INCIDENT_COLUMNS: Final = "kind, job_id, schedule_id, name, origin, tags, reason, count"

# Sorted, so that their numbers have the order in which they happened.
APPEND: Final = f"""
INSERT INTO incidents ({INCIDENT_COLUMNS})
SELECT {INCIDENT_COLUMNS} FROM unnest(
    %(kind)s::text[], %(job_id)s::bigint[], %(schedule_id)s::uuid[], %(name)s::text[],
    %(origin)s::text[], %(tags)s::text[], %(reason)s::text[], %(count)s::bigint[]
) WITH ORDINALITY AS incident ({INCIDENT_COLUMNS}, place)
ORDER BY place
"""

ALERT_COLUMNS: Final = (
    "kind, key, id, subject, detail, path, since, last_at, count, closed_at, told, told_at, "
    "told_count"
)

# Sorted, so that two nodes that write the same alerts lock them in the same order.
PUT: Final = f"""
INSERT INTO alerts ({ALERT_COLUMNS})
SELECT {ALERT_COLUMNS} FROM unnest(
    %(kind)s::text[], %(key)s::text[], %(id)s::uuid[], %(subject)s::text[], %(detail)s::text[],
    %(path)s::text[], %(since)s::bigint[], %(last_at)s::bigint[], %(count)s::bigint[],
    %(closed_at)s::bigint[], %(told)s::text[], %(told_at)s::bigint[], %(told_count)s::bigint[]
) AS alert ({ALERT_COLUMNS})
ORDER BY kind, key
ON CONFLICT (kind, key) DO UPDATE SET
    id = excluded.id, subject = excluded.subject, detail = excluded.detail, path = excluded.path,
    since = excluded.since, last_at = excluded.last_at, count = excluded.count,
    closed_at = excluded.closed_at, told = excluded.told, told_at = excluded.told_at,
    told_count = excluded.told_count
"""


FINDING_COLUMNS: Final = "kind, key, subject, detail, path, count"
ADD_FINDINGS: Final = f"""
INSERT INTO findings ({FINDING_COLUMNS})
SELECT * FROM unnest(
    %(kind)s::text[], %(key)s::text[], %(subject)s::text[], %(detail)s::text[],
    %(path)s::text[], %(count)s::bigint[]
)
"""
TAKE_FINDINGS: Final = f"DELETE FROM findings RETURNING {FINDING_COLUMNS}"


class IncidentRows:
    """The incidents of one transaction (`booper.store.records.IncidentTable`)."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: "PostgresTransaction") -> None:
        self._transaction = transaction

    def append(self, incidents: Sequence[Incident]) -> None:
        """Write what has happened, for whoever looks next."""
        if not incidents:
            return
        values = {
            "kind": [each.kind.value for each in incidents],
            "job_id": [each.job_id for each in incidents],
            "schedule_id": [each.schedule_id for each in incidents],
            "name": [text_in(each.name) for each in incidents],
            "origin": [each.origin for each in incidents],
            "tags": [msgspec.json.encode(each.tags).decode() for each in incidents],
            "reason": [text_in(each.reason) for each in incidents],
            "count": [each.count for each in incidents],
        }
        self._transaction.execute(APPEND, values)


def incident_of(row: Row) -> Incident:
    """Return the incident in a row of its number and `INCIDENT_COLUMNS`."""
    number, kind, job_id, schedule_id, name, origin, tags, reason, count = row
    return Incident(
        id=number,
        kind=IncidentKind(kind),
        job_id=job_id,
        schedule_id=schedule_id,
        name=text_out(name) or "",
        origin=origin,
        tags=msgspec.json.decode(tags, type=tuple[str, ...]),
        reason=text_out(reason) or "",
        count=count,
    )


def put_alerts(transaction: "PostgresTransaction", alerts: Sequence[Alert]) -> None:
    """Write alerts, each in the place of that of its kind and key; of two alike the last."""
    rows = [_row(each) for each in {(each.kind, each.key): each for each in alerts}.values()]
    if rows:
        values = {name: [row[name] for row in rows] for name in rows[0]}
        transaction.execute(PUT, values)


def _row(alert: Alert) -> dict[str, Any]:
    return {
        "kind": alert.kind.value,
        "key": text_in(alert.key),
        "id": alert.id,
        "subject": text_in(alert.subject),
        "detail": text_in(alert.detail),
        "path": text_in(alert.path),
        "since": stored(alert.since),
        "last_at": stored(alert.last_at),
        "count": alert.count,
        "closed_at": stored_or_none(alert.closed_at),
        "told": alert.told.value,
        "told_at": stored_or_none(alert.told_at),
        "told_count": alert.told_count,
    }


def alert_of(row: Row) -> Alert:
    """Return the alert in a row of `ALERT_COLUMNS`."""
    kind, key, identity, subject, detail, path, since, last_at, count, *rest = row
    closed_at, told, told_at, told_count = rest
    return Alert(
        id=identity,
        kind=AlertKind(kind),
        key=text_out(key) or "",
        subject=text_out(subject) or "",
        detail=text_out(detail) or "",
        path=text_out(path) or "",
        since=loaded(since),
        last_at=loaded(last_at),
        count=count,
        closed_at=loaded_or_none(closed_at),
        told=Telling(told),
        told_at=loaded_or_none(told_at),
        told_count=told_count,
    )


def add_findings(transaction: "PostgresTransaction", findings: Sequence[Finding]) -> None:
    """Write what a node has seen."""
    values = {
        "kind": [each.kind.value for each in findings],
        "key": [text_in(each.key) for each in findings],
        "subject": [text_in(each.subject) for each in findings],
        "detail": [text_in(each.detail) for each in findings],
        "path": [text_in(each.path) for each in findings],
        "count": [each.count for each in findings],
    }
    transaction.execute(ADD_FINDINGS, values)


def take_findings(transaction: "PostgresTransaction") -> list[Finding]:
    """Return what nodes have seen, and delete it."""
    return [
        Finding(
            AlertKind(kind),
            text_out(key) or "",
            text_out(subject) or "",
            text_out(detail) or "",
            text_out(path) or "",
            count,
        )
        for kind, key, subject, detail, path, count in transaction.execute(TAKE_FINDINGS)
    ]
