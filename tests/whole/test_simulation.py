"""The simulation itself: it replays, and it finds out whatever is broken on purpose."""

import os
import re
import subprocess
import sys

import pytest

from booper.model.lifecycle import TRANSITIONS
from tests.support.configs import Kind
from tests.torture.guarantees.simulated import lived
from tests.torture.stuck import Stuck, alarm
from tests.torture.witness import ARROWS, Move, Witness

SEED, STEPS = 3, 200
STEPS_OF_POSTGRES = 60
# What is broken need not show in each seed: the job of that number may be cancelled first.
SEEDS = range(6)

COPY_OF_JOB = """
INSERT INTO jobs (uuid, user_id, kind, schedule_id, origin, args, state, attempt, max_attempts,
    interruptions, inserted_at, scheduled_at, planned_at)
SELECT randomblob(16), user_id, kind, schedule_id, origin, {args}, state, attempt, max_attempts,
    interruptions, inserted_at, scheduled_at, planned_at
FROM jobs WHERE id = new.id;
"""

# What is broken, as SQL that does it behind booper's back -> what the simulation says of it.
SABOTAGES = {
    "a completed job comes back": (
        "CREATE TRIGGER sabotage AFTER UPDATE ON jobs WHEN new.state = 'completed' BEGIN "
        "UPDATE jobs SET state = 'retryable', completed_at = NULL WHERE id = new.id; END",
        r"off the table: job \d+: completed (\d+) -> retryable \1 ",
    ),
    "an attempt is counted twice": (
        "CREATE TRIGGER sabotage AFTER UPDATE ON jobs "
        "WHEN new.state = 'completed' AND old.state = 'executing' BEGIN "
        "UPDATE jobs SET attempt = attempt + 1 WHERE id = new.id; END",
        r"off the table: job \d+: completed 1 -> completed 2 ",
    ),
    "an accepted job is dropped": (
        "CREATE TRIGGER sabotage AFTER INSERT ON jobs WHEN new.id = 5 BEGIN "
        "DELETE FROM jobs WHERE id = new.id; END",
        "lost: ",
    ),
    "a job goes elsewhere than asked": (
        "CREATE TRIGGER sabotage AFTER INSERT ON jobs WHEN new.id = 5 BEGIN "
        "UPDATE jobs SET args = json_set(args, '$.url', 'https://h1.test/else') "
        "WHERE id = new.id; END",
        "kept and not accepted: ",
    ),
    "a job is made up": (
        "CREATE TRIGGER sabotage AFTER INSERT ON jobs WHEN new.id = 5 BEGIN "
        + COPY_OF_JOB.format(args="json_set(args, '$.url', 'https://h1.test/else')")
        + "END",
        "kept and not accepted: ",
    ),
    "a job is never due": (
        "CREATE TRIGGER sabotage AFTER INSERT ON jobs WHEN new.id % 5 = 0 BEGIN "
        "UPDATE jobs SET scheduled_at = 1 << 52 WHERE id = new.id; END",
        r"never ended: \[",
    ),
    "a planned time runs twice": (
        "DROP INDEX jobs_planned; "
        "CREATE TRIGGER sabotage AFTER INSERT ON jobs WHEN new.kind = 'run' AND new.id % 3 = 0 "
        f"BEGIN {COPY_OF_JOB.format(args='args')} END",
        "told 2 times",
    ),
    "a gap is not logged": (
        "CREATE TRIGGER sabotage AFTER INSERT ON logs WHEN new.event = 'schedule.skipped' BEGIN "
        "DELETE FROM logs WHERE seq = new.seq; END",
        "told 0 times",
    ),
}


SABOTAGE = """
CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {what} RETURN NULL; END $$;
CREATE TRIGGER sabotage AFTER INSERT ON {table} FOR EACH ROW
WHEN ({when}) EXECUTE FUNCTION sabotage();
"""
TO_ELSEWHERE = """(args::jsonb || '{"url": "https://h1.test/else"}')::text"""

# The same over PostgreSQL.
SABOTAGES_OF_POSTGRES = {
    "a completed job comes back": (
        SABOTAGE.format(
            table="ended_jobs",
            when="new.state = 'completed'",
            what="""
            WITH gone AS (DELETE FROM ended_jobs WHERE id = new.id RETURNING *)
            INSERT INTO live_jobs (id, uuid, user_id, kind, schedule_id, origin, path, args, state,
                attempt, max_attempts, interruptions, inserted_at, scheduled_at, planned_at,
                attempted_at, owner, epoch, tags)
            SELECT id, uuid, user_id, kind, schedule_id, origin, path, args, 'retryable',
                attempt, max_attempts, interruptions, inserted_at, scheduled_at, planned_at,
                attempted_at, owner, epoch, tags
            FROM gone;
            """,
        ),
        r"off the table: job \d+: completed (\d+) -> retryable \1 ",
    ),
    "an attempt is counted twice": (
        SABOTAGE.format(
            table="ended_jobs",
            when="new.state = 'completed'",
            what="UPDATE ended_jobs SET attempt = attempt + 1 WHERE id = new.id;",
        ),
        r"off the table: job \d+: completed 1 -> completed 2 ",
    ),
    "an accepted job is dropped": (
        SABOTAGE.format(
            table="live_jobs",
            when="new.id % 5 = 0 AND new.attempt = 0",
            what="DELETE FROM live_jobs WHERE id = new.id; DELETE FROM due WHERE job_id = new.id;",
        ),
        "lost: ",
    ),
    "a job goes elsewhere than asked": (
        SABOTAGE.format(
            table="live_jobs",
            when="new.id % 5 = 0 AND new.attempt = 0",
            what=f"UPDATE live_jobs SET args = {TO_ELSEWHERE} WHERE id = new.id;",
        ),
        "kept and not accepted: ",
    ),
    "a job is never due": (
        SABOTAGE.format(
            table="due",
            when="new.job_id % 5 = 0",
            what="""
            UPDATE live_jobs SET scheduled_at = 1::bigint << 52 WHERE id = new.job_id;
            UPDATE due SET at = 1::bigint << 52 WHERE job_id = new.job_id;
            """,
        ),
        r"never ended: \[",
    ),
    "a gap is not logged": (
        SABOTAGE.format(
            table="logs",
            when="new.event = 'schedule.skipped'",
            what="DELETE FROM logs WHERE seq = new.seq;",
        ),
        "told 0 times",
    ),
}


@pytest.mark.parametrize("what", SABOTAGES)
def test_what_is_broken_is_found_out(what: str) -> None:
    """A database that does what it may not makes a seed fail, and the fault says what it did."""
    sabotage, fault = SABOTAGES[what]
    found = (lived(seed, STEPS, sabotage + ";")[1] for seed in SEEDS)
    assert any(re.search(fault, text) for faults in found for text in faults)


@pytest.mark.parametrize("what", SABOTAGES_OF_POSTGRES)
def test_what_is_broken_in_postgres_is_found_out(what: str) -> None:
    """The same is found out over PostgreSQL."""
    sabotage, fault = SABOTAGES_OF_POSTGRES[what]
    found = (lived(seed, STEPS_OF_POSTGRES, sabotage, Kind.POSTGRES)[1] for seed in SEEDS)
    assert any(re.search(fault, text) for faults in found for text in faults)


@pytest.mark.parametrize("kind", [Kind.SQLITE, Kind.POSTGRES], ids=lambda kind: kind.value)
def test_what_is_not_broken_has_no_fault(kind: Kind) -> None:
    """So it is the sabotage that the other tests see."""
    steps = STEPS if kind is Kind.SQLITE else STEPS_OF_POSTGRES
    assert [lived(seed, steps, kind=kind)[1] for seed in SEEDS] == [[] for _ in SEEDS]


def test_the_moves_that_are_allowed_are_the_table() -> None:
    """Besides the arrows of the model there is the creation alone."""
    table = {(start.value, end.value) for start, ends in TRANSITIONS.items() for end in ends}
    assert set(ARROWS) - {(None, "scheduled")} == table


def test_a_move_begins_where_the_last_one_ended() -> None:
    """What moved unseen, as a crash would make it that lost a commit, is a fault."""
    witness = Witness()
    assert witness.judge(Move(1, None, "scheduled", 0, 0)) == []
    (fault,) = witness.judge(Move(1, "retryable", "executing", 1, 2))
    assert fault.startswith("unseen before job 1: ")


def test_only_a_stop_gives_an_attempt_back() -> None:
    """What a crash cut off stays counted (contract §8)."""
    witness = Witness()
    witness.judge(Move(1, None, "scheduled", 0, 0))
    witness.judge(Move(1, "scheduled", "executing", 0, 1))
    witness.is_stopping = True
    assert witness.judge(Move(1, "executing", "scheduled", 1, 0)) == []
    witness.died()
    witness.judge(Move(1, "scheduled", "executing", 0, 1))
    assert witness.judge(Move(1, "executing", "scheduled", 1, 0)) == [
        "off the table: job 1: executing 1 -> scheduled 0"
    ]


def test_an_attempt_that_was_begun_is_sent_once() -> None:
    """Neither a second request nor one that nobody claimed, nor one of an earlier process."""
    witness = Witness()
    assert witness.judge_sent(1, 1) == ["sent without a claim: job 1, attempt 1"]
    witness.judge(Move(1, None, "scheduled", 0, 0))
    witness.judge(Move(1, "scheduled", "executing", 0, 1))
    assert witness.judge_sent(1, 1) == []
    assert witness.judge_sent(1, 1) != []
    witness.judge(Move(1, "executing", "retryable", 1, 1))
    witness.judge(Move(1, "retryable", "executing", 1, 2))
    witness.died()
    assert witness.judge_sent(1, 2) != []


def test_a_seed_replays_in_any_process() -> None:
    """One that hashes otherwise, and has another place in memory, leaves the same trace."""
    here, _ = lived(SEED, STEPS)
    for hashing in ("1", "2"):
        program = [sys.executable, "-m", "tests.torture.guarantees.simulated"]
        told = subprocess.run(
            [*program, str(SEED), str(STEPS)],
            env=os.environ | {"PYTHONHASHSEED": hashing},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert told.stdout.splitlines() == here.trace


def test_what_goes_round_without_end_is_stopped() -> None:
    """Also where it never gives way and takes every error for somebody else's."""

    def go_round() -> None:
        while True:
            try:
                sum(range(100))
            except Exception:
                continue

    with pytest.raises(Stuck, match=r"no end after 0\.05 s, at .*test_simulation\.py"), alarm(0.05):
        go_round()
