"""What alerts read of a store and write to it: incidents once, and everything by an index."""

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.model.alert import Alert, AlertKind, Telling
from booper.model.args import Args, encode_args
from booper.model.job import State
from booper.store.alerting import Facts, IncidentKind
from booper.store.base import Store
from booper.store.sqlite import alerting
from tests.conftest import START
from tests.support import stores
from tests.support.databases import make_database
from tests.support.stores import (
    HOUR,
    MINUTE,
    Restart,
    completed,
    created,
    discarded,
    in_state,
    scheduled,
    settle,
    turns,
)

pytestmark = pytest.mark.anyio

opening, process, store, restart = stores.opening, stores.process, stores.store, stores.restart
alice = stores.alice

ALERT = Alert(
    id=UUID(int=7),
    kind=AlertKind.JOB_DISCARDED,
    key="tag a",
    subject="a",
    detail="job 1 was discarded",
    path="/api/jobs/1",
    since=START,
    last_at=START + MINUTE,
    count=3,
    closed_at=START + 2 * MINUTE,
    told=Telling.CLOSED,
    told_at=START,
    told_count=2,
)


async def facts(store: Store, behind: int = 0, *schedules: UUID, failures: int = 3) -> Facts:
    """Return what a look finds, of runs that are late by an hour's beginning."""
    return await store.alerting.facts(behind, START, schedules, failures)


async def test_only_discarded_jobs_are_incidents(store: Store, alice: UUID) -> None:
    """With what an alert says of them."""
    for state in (State.SCHEDULED, State.RETRYABLE, State.COMPLETED, State.CANCELLED):
        await in_state(store, alice, state)
    args = encode_args(Args(url="https://target.test/", tags=["b", "a"]))
    job = await in_state(store, alice, State.DISCARDED, args=args, name="bill")
    [incident] = (await facts(store)).incidents
    assert (incident.kind, incident.job_id) == (IncidentKind.DISCARDED, job.id)
    assert (incident.tags, incident.name) == (("b", "a"), "bill")
    assert (incident.origin, incident.schedule_id) == ("https://target.test", None)


async def test_an_incident_is_there_until_it_is_dealt_with(
    store: Store, alice: UUID, restart: Restart
) -> None:
    """Over a restart as well; then it is gone with the change of the alert."""
    await in_state(store, alice, State.DISCARDED)
    store = await restart()
    [incident] = (await facts(store)).incidents
    assert (await facts(store, incident.id)).incidents == []
    await store.alerting.save([ALERT], [], incident.id)
    assert (await facts(store)).incidents == []
    await in_state(store, alice, State.DISCARDED)
    [later] = (await facts(store)).incidents
    assert later.id > incident.id


async def test_alerts_are_as_they_were_after_a_restart(store: Store, restart: Restart) -> None:
    """One stands for its kind and key, until it is forgotten."""
    await store.alerting.save([replace(ALERT, count=1), replace(ALERT, key="b")], [], 0)
    await store.alerting.save([ALERT], [(ALERT.kind, "b")], 0)
    assert await (await restart()).alerting.alerts() == [ALERT]


async def test_a_streak_is_of_the_newest_runs_that_ended(store: Store, alice: UUID) -> None:
    """Up to the number that is asked for; a completed one ends it."""
    run = await scheduled(store, alice, name="nightly")
    schedule_id = run.schedule_id
    assert schedule_id is not None
    for number, end in enumerate((completed, discarded, discarded, discarded)):
        now = START + number * MINUTE
        claims = await turns(store, run, now=now)
        [attempt] = claims.begun
        [run] = claims.armed
        await settle(store, attempt.job, end(attempt.job, now))
        streak = (await facts(store, 0, schedule_id, failures=9)).streaks[schedule_id]
        assert (streak.name, streak.failed, streak.is_planned) == ("nightly", number, True)
    assert (await facts(store, failures=2)).streaks[schedule_id].failed == 2
    await store.schedules.disable(alice, schedule_id, START + 9 * MINUTE, stores.nothing)
    assert not (await facts(store, failures=2)).streaks[schedule_id].is_planned


async def test_of_a_schedule_that_is_gone_there_is_no_streak(store: Store, alice: UUID) -> None:
    """Nobody waits for its recovery."""
    assert (await facts(store, 0, UUID(int=5))).streaks == {}


async def test_late_are_runs_and_not_other_jobs(store: Store, alice: UUID) -> None:
    """Those that were due by the time that is asked for."""
    await created(store, alice, at=START - HOUR)
    await scheduled(store, alice, at=START + MINUTE)
    run = await scheduled(store, alice, at=START - MINUTE, name="nightly")
    [late] = (await facts(store)).late
    assert (late.job_id, late.schedule_id, late.name) == (run.id, run.schedule_id, "nightly")
    assert late.scheduled_at == START - MINUTE
    assert (await store.alerting.facts(0, None, [], 3)).late == []


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        (alerting.INCIDENTS, ["SEARCH incidents USING INTEGER PRIMARY KEY (rowid>?)"]),
        (
            alerting.LATE,
            [
                "SEARCH jobs USING COVERING INDEX jobs_waiting (scheduled_at<?)",
                "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)",
                "SEARCH schedules USING INDEX sqlite_autoindex_schedules_1 (id=?)",
            ],
        ),
        (
            alerting.ENDED,
            [
                "SEARCH jobs USING INDEX jobs_by_schedule (schedule_id=?)",
                "USE TEMP B-TREE FOR ORDER BY",  # of up to `MAX_RUNS`
            ],
        ),
    ],
)
def test_a_look_reads_by_indexes(tmp_path: Path, query: str, plan: list[str]) -> None:
    """And no further than its limit: a million jobs are none of its business."""
    make_database(tmp_path / "booper.db")
    values = dict.fromkeys(("behind", "limit", "before", "id", "looked"), 1)
    with closing(sqlite3.connect(tmp_path / "booper.db")) as opened:
        rows = opened.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
    steps = [text for *_, text in rows if text.startswith(("SEARCH", "SCAN jobs", "USE TEMP"))]
    assert steps == plan
