"""`/api/status`: how booper is doing, for whoever operates it."""

import platform
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from heapq import nlargest
from typing import Final
from uuid import UUID

import msgspec
from starlette.responses import Response

from booper import __version__
from booper.api.access import Access
from booper.api.breakers import BreakerResource, breaker_resource
from booper.api.call import Call
from booper.api.memory import ITEM_BYTES
from booper.api.operations import Data, DescribedResponse, Documentation, Operation
from booper.api.pauses import PauseResource, pause_resource
from booper.api.responses import JSONResponse
from booper.engine.alerts import Alerts
from booper.engine.backups import BackupStatus
from booper.errors import StoreUnavailable
from booper.model.alert import Telling
from booper.model.bucket import Bucket, Histogram
from booper.model.job import OWN_KINDS, WAITING, State
from booper.store.counters import MAX_DUE, DueCount
from booper.wire.timestamps import precise, precise_or_none

MAX_ORIGINS: Final = 20
MAX_ALERTS: Final = 100
HOUR: Final = timedelta(hours=1)
_SHARE: Final = 0.99


class DueResource(msgspec.Struct, frozen=True):
    """How many jobs wait though their time has come; if there `are_more`, they are not counted."""

    count: int
    are_more: bool
    oldest_at: str | None


class RatesResource(msgspec.Struct, frozen=True):
    """What happened to requests and runs within the last hour.

    `late_seconds` is what 99 of 100 attempts were late at most, `duration_seconds` what they took
    at most; null if that is more than 300, or there were none.
    """

    completed: int
    failed: int
    discarded: int
    skipped: int
    late_seconds: float | None
    duration_seconds: float | None


class SlotsResource(msgspec.Struct, frozen=True):
    """How many attempts there may be at a time, and how many there are, by the busiest origins."""

    total: int
    taken: int
    origins: dict[str, int]


class BackupsResource(msgspec.Struct, frozen=True):
    """What came of the backups that booper makes itself."""

    every_seconds: float
    last_at: str | None
    last_path: str
    error: str
    is_late: bool


class AlertResource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong, since when, and how often it has happened since then.

    `is_told` is whether an alert of it was sent; false also if one was sent within `repeat`.
    """

    id: UUID
    kind: str
    subject: str
    since: str
    detail: str
    count: int
    is_told: bool


class AlertsResource(msgspec.Struct, frozen=True):
    """The alerts that are open, and how many messages about alerts are yet to be sent.

    Of many, the oldest 100 are shown. `error` is why they cannot be sent now, empty if they can.
    `looked_at` is when booper last looked at what may be wrong, null until it has.
    """

    looked_at: str | None
    unsent: int
    error: str
    open: list[AlertResource]


class StatusResource(msgspec.Struct, frozen=True, kw_only=True):
    """How booper is doing. `jobs` are requests and runs by their states as stored."""

    version: str
    python: str
    sqlite: str
    now: str
    is_sending: bool
    jobs: dict[str, int]
    reports_waiting: int
    due: DueResource
    last_hour: RatesResource
    slots: SlotsResource
    pauses: list[PauseResource]
    breakers: list[BreakerResource]
    loop_age_seconds: float
    oldest_reader_seconds: float
    database_bytes: dict[str, int]
    disk_free_bytes: int | None
    backups: BackupsResource | None
    alerts: AlertsResource


async def status(call: Call) -> Response:
    """Show how booper is doing: jobs, lateness, slots, pauses, breakers, the database."""
    services = call.services
    store, now, loop = services.store, services.clock.now(), services.scheduler.state()
    counts = await store.counters.jobs()
    busiest = nlargest(MAX_ORIGINS, loop.in_flight.items(), key=lambda item: item[1])
    backups = services.backups
    resource = StatusResource(
        version=__version__,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        now=precise(now),
        is_sending=loop.is_sending,
        jobs={
            str(state): sum(counts.get((kind, state), 0) for kind in OWN_KINDS)
            for state in State
            if state is not State.AVAILABLE
        },
        reports_waiting=sum(
            count
            for (kind, state), count in counts.items()
            if kind not in OWN_KINDS and state in WAITING
        ),
        due=_due(await store.counters.due(now)),
        last_hour=_rates(await store.counters.minutes(None, now - HOUR, now + HOUR)),
        slots=SlotsResource(loop.slots, sum(loop.in_flight.values()), dict(busiest)),
        pauses=[pause_resource(pause) for pause in loop.pauses],
        breakers=[breaker_resource(breaker) for breaker in loop.breakers],
        loop_age_seconds=loop.age_seconds,
        oldest_reader_seconds=store.vitals.oldest_reader_seconds(),
        database_bytes=dict(await store.vitals.sizes()),
        disk_free_bytes=await store.vitals.disk_free(),
        backups=None if backups is None else _backups(backups.status, now),
        alerts=_alerts(services.alerts, now),
    )
    return JSONResponse({"data": resource})


def _due(due: DueCount) -> DueResource:
    return DueResource(due.count, due.count >= MAX_DUE, precise_or_none(due.oldest_at))


def _rates(buckets: Sequence[Bucket]) -> RatesResource:
    late = sum((bucket.lateness for bucket in buckets), Histogram())
    took = sum((bucket.duration for bucket in buckets), Histogram())
    return RatesResource(
        sum(bucket.completed for bucket in buckets),
        sum(bucket.failed for bucket in buckets),
        sum(bucket.discarded for bucket in buckets),
        sum(bucket.skipped for bucket in buckets),
        _seconds(late),
        _seconds(took),
    )


def _seconds(histogram: Histogram) -> float | None:
    limit = histogram.quantile(_SHARE)
    return None if limit is None else limit.total_seconds()


def _backups(status: BackupStatus, now: datetime) -> BackupsResource:
    return BackupsResource(
        status.every.total_seconds(),
        precise_or_none(status.last_at),
        status.last_path,
        status.error,
        status.is_late(now),
    )


def _alerts(alerts: Alerts | None, now: datetime) -> AlertsResource:
    if alerts is None:
        return AlertsResource(None, 0, "", [])
    opened = [
        AlertResource(
            id=each.id,
            kind=str(each.kind),
            subject=each.subject,
            since=precise(each.since),
            detail=each.detail,
            count=each.count,
            is_told=each.told is Telling.OPENED,
        )
        for each in alerts.open[:MAX_ALERTS]
    ]
    looked_at = precise_or_none(alerts.looked_at)
    return AlertsResource(looked_at, alerts.unsent(now), alerts.error, opened)


_EXAMPLE: Final = {
    "version": __version__,
    "python": "3.11.7",
    "sqlite": "3.40.1",
    "now": "2030-01-01T12:00:00.000000Z",
    "is_sending": True,
    "jobs": {
        "scheduled": 3,
        "executing": 1,
        "retryable": 0,
        "completed": 1200,
        "discarded": 2,
        "cancelled": 0,
    },
    "reports_waiting": 0,
    "due": {"count": 0, "are_more": False, "oldest_at": None},
    "last_hour": {
        "completed": 58,
        "failed": 1,
        "discarded": 0,
        "skipped": 0,
        "late_seconds": 0.05,
        "duration_seconds": 0.5,
    },
    "slots": {"total": 64, "taken": 1, "origins": {"https://example.com": 1}},
    "pauses": [],
    "breakers": [],
    "loop_age_seconds": 0.2,
    "oldest_reader_seconds": 0.0,
    "database_bytes": {"file": 4096000, "log": 412032, "free": 0},
    "disk_free_bytes": 81722843136,
    "backups": None,
    "alerts": {
        "looked_at": "2030-01-01T11:59:52.000000Z",
        "unsent": 0,
        "error": "",
        "open": [
            {
                "id": "019b76da-a800-7000-8000-5b8f1d9a6c3e",
                "kind": "schedule.failed",
                "subject": "nightly-report",
                "since": "2030-01-01T09:00:07.000000Z",
                "detail": "the last 3 runs failed: all attempts were used up",
                "count": 1,
                "is_told": True,
            }
        ],
    },
}
_STATUS = Documentation(
    tag="probes",
    errors=(StoreUnavailable,),
    responses={200: DescribedResponse("The status", (Data(StatusResource),), {"data": _EXAMPLE})},
)

OPERATIONS = (Operation("GET", "/api/status", Access.ADMIN, status, _STATUS, ITEM_BYTES),)
