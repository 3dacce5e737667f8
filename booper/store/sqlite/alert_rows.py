"""Rows of incidents and alerts."""

import sqlite3
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from booper.model.alert import Alert, AlertKind, Telling
from booper.store.alerting import Incident, IncidentKind
from booper.store.sqlite import bulk
from booper.store.sqlite.values import Row
from booper.store.stored import loaded, loaded_or_none, stored, stored_or_none

INCIDENT_COLUMNS: Final = "kind, job_id, schedule_id, name, origin, tags, reason, count"
APPEND: Final = f"""
INSERT INTO incidents ({INCIDENT_COLUMNS})
SELECT * FROM (VALUES {{rows}}) WHERE column1 <> 0
"""

ALERT_COLUMNS: Final = (
    "kind, key, id, subject, detail, path, since, last_at, count, closed_at, told, told_at, "
    "told_count"
)
PUT: Final = f"""
INSERT OR REPLACE INTO alerts ({ALERT_COLUMNS})
SELECT * FROM (VALUES {{rows}}) WHERE column1 <> 0
"""


class IncidentRows:
    """The incidents of one connection (`booper.store.records.IncidentTable`)."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(self, incidents: Sequence[Incident]) -> None:
        """Write what has happened, for whoever looks next."""
        rows = [
            (
                str(each.kind),
                each.job_id,
                each.schedule_id.bytes if each.schedule_id else None,
                each.name,
                each.origin,
                msgspec.json.encode(each.tags).decode(),
                each.reason,
                each.count,
            )
            for each in incidents
        ]
        bulk.execute(self._connection, APPEND, rows)


def incident_of(row: Row) -> Incident:
    """Return the incident in a row of its number and `INCIDENT_COLUMNS`."""
    number, kind, job_id, schedule_id, name, origin, tags, reason, count = row
    return Incident(
        id=number,
        kind=IncidentKind(kind),
        job_id=job_id,
        schedule_id=UUID(bytes=schedule_id) if schedule_id else None,
        name=name,
        origin=origin,
        tags=msgspec.json.decode(tags, type=tuple[str, ...]),
        reason=reason,
        count=count,
    )


def put_alerts(connection: sqlite3.Connection, alerts: Sequence[Alert]) -> None:
    """Write alerts, each in the place of that of its kind and key."""
    rows = [
        (
            str(each.kind),
            each.key,
            each.id.bytes,
            each.subject,
            each.detail,
            each.path,
            stored(each.since),
            stored(each.last_at),
            each.count,
            stored_or_none(each.closed_at),
            str(each.told),
            stored_or_none(each.told_at),
            each.told_count,
        )
        for each in alerts
    ]
    bulk.execute(connection, PUT, rows)


def alert_of(row: Row) -> Alert:
    """Return the alert in a row of `ALERT_COLUMNS`."""
    kind, key, identity, subject, detail, path, since, last_at, count, *rest = row
    closed_at, told, told_at, told_count = rest
    return Alert(
        id=UUID(bytes=identity),
        kind=AlertKind(kind),
        key=key,
        subject=subject,
        detail=detail,
        path=path,
        since=loaded(since),
        last_at=loaded(last_at),
        count=count,
        closed_at=loaded_or_none(closed_at),
        told=Telling(told),
        told_at=loaded_or_none(told_at),
        told_count=told_count,
    )
