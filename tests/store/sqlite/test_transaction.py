"""What the rules are promised of a transaction: a write only replaces what was read."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.model.args import Args, encode_args
from booper.model.job import Job, NewJob, State
from booper.model.schedule import Gap, Schedule
from booper.store.sqlite.changes import Change, alone, commit_together
from booper.store.sqlite.count_rows import MAX_NEW
from booper.store.sqlite.schema import migrate
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.values import bind_plainly
from booper.store.transaction import LostRace, OpenGap, PartUndone, Taken
from tests.conftest import START

USER = UUID(int=1)
MINUTE = timedelta(minutes=1)
ARGS = encode_args(Args(url="https://target.test/"))

SCHEDULE = Schedule(
    id=UUID(int=2),
    user_id=USER,
    idempotency_key=None,
    name=None,
    description=None,
    origin="https://target.test",
    args=ARGS,
    anchor=START,
    next_at=START,
    runs=3,
    state='{"n": 1}',
    inserted_at=START,
)

# What one has changed while another one had read the schedule, and what that one writes then; and
# whether both can stand.
RACES: list[tuple[dict[str, object], dict[str, object], bool]] = [
    ({"state": '{"n": 2}'}, {"state": '{"n": 3}'}, False),
    ({"previous": "[1]"}, {"previous": "[2]", "state": "{}"}, False),
    ({"next_at": None, "ended_at": START}, {"next_at": START + MINUTE}, False),
    ({"runs": 4}, {"runs": 4, "next_at": START + MINUTE}, False),
    ({"disabled_at": START}, {"disabled_at": START + MINUTE}, False),
    ({"args": "{}"}, {"args": ARGS + " "}, False),
    ({"state": '{"n": 2}'}, {"runs": 4, "next_at": START + MINUTE}, True),
    ({"next_at": START + MINUTE, "runs": 4}, {"previous": "[2]", "state": "{}"}, True),
    ({"runs": 4}, {}, True),
]


@pytest.fixture
def transaction() -> Iterator[SQLiteTransaction]:
    """Return a transaction on a database with a user and a schedule."""
    with closing(
        sqlite3.connect(":memory:", isolation_level=None, factory=SQLiteTransaction)
    ) as opened:
        migrate(opened, ":memory:")
        opened.execute("INSERT INTO users VALUES (?, 'alice', 0)", (USER.bytes,))
        opened.schedules.insert(SCHEDULE)
        opened.owner = 1
        opened.execute("BEGIN")
        yield opened


def made(transaction: SQLiteTransaction, seed: int = 0, **fields: object) -> Job:
    """Write a job and return it; its id comes from the seed."""
    new = NewJob(
        user_id=USER,
        args=ARGS,
        origin="https://target.test",
        scheduled_at=START,
        planned_at=START,
        max_attempts=3,
    )
    drafts = [transaction.jobs.draft(replace(new, **fields), START, Random(seed or len(fields)))]
    return transaction.jobs.insert(drafts)[0]


@pytest.mark.parametrize(("first", "second", "stands"), RACES)
def test_a_schedule_is_written_only_where_it_is_as_it_was_read(
    transaction: SQLiteTransaction,
    first: dict[str, object],
    second: dict[str, object],
    stands: bool,
) -> None:
    """What another one has changed meanwhile is not overwritten; the rest may be changed."""
    schedules = transaction.schedules
    schedules.move(SCHEDULE, replace(SCHEDULE, **first))
    if stands:
        schedules.move(SCHEDULE, replace(SCHEDULE, **second))
    else:
        with pytest.raises(LostRace):
            schedules.move(SCHEDULE, replace(SCHEDULE, **second))
    expected = replace(SCHEDULE, **{**first, **(second if stands else {})})
    assert schedules.find(SCHEDULE.id) == expected


def test_a_gap_is_written_only_where_it_is_as_it_was_read(transaction: SQLiteTransaction) -> None:
    """Two that have read the same gap cannot both make it grow."""
    first = OpenGap(UUID(int=3), Gap("overlap", START, START, 1))
    grown = OpenGap(first.entry_id, Gap("overlap", START, START + MINUTE, 2))
    schedules = transaction.schedules
    schedules.write_gap(SCHEDULE, None, first)
    for before, after in ((None, grown), (grown, None)):
        with pytest.raises(LostRace):
            schedules.write_gap(SCHEDULE, before, after)
    schedules.write_gap(SCHEDULE, first, grown)
    assert schedules.read_gap(SCHEDULE) == grown


@pytest.mark.parametrize(
    "moved", [{"state": State.CANCELLED, "cancelled_at": START}, {"epoch": 1}, {"owner": 2}]
)
def test_a_job_is_written_only_where_state_and_claim_are_as_they_were_read(
    transaction: SQLiteTransaction, moved: dict[str, object]
) -> None:
    """A change by another claim, or one that has moved it on, is not overwritten."""
    job = made(transaction)
    transaction.jobs.move(job, replace(job, **moved))
    with pytest.raises(LostRace):
        transaction.jobs.move(job, replace(job, scheduled_at=START + MINUTE))
    assert transaction.jobs.find(job.id) == replace(job, **moved)


def test_a_write_of_a_key_that_another_holds_says_so(transaction: SQLiteTransaction) -> None:
    """What the database refuses otherwise is no matter of keys."""
    held = made(transaction, idempotency_key="key")
    gone = transaction.jobs.move(held, replace(held, state=State.CANCELLED, cancelled_at=START))
    made(transaction, idempotency_key="key", name="other")
    with pytest.raises(Taken):
        transaction.jobs.move(gone, held)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        transaction.jobs.move(gone, replace(gone, state=State.COMPLETED))


def test_a_part_that_raises_is_undone_alone(transaction: SQLiteTransaction) -> None:
    """What was written before it stays, and the transaction goes on; its error is the cause."""
    before = made(transaction)

    def fail() -> None:
        made(transaction, name="inside")
        raise ValueError("inside")

    with pytest.raises(PartUndone) as caught:
        transaction.part(fail)
    assert isinstance(caught.value.__cause__, ValueError)
    found = transaction.jobs.find_all([before.id, before.id + 1])
    assert list(found) == [before.id]
    assert transaction.part(partial(made, transaction, name="behind")).name == "behind"


def by_state(transaction: SQLiteTransaction) -> dict[str, int]:
    """Return how many jobs there are, as the counters have it."""
    rows = transaction.execute("SELECT state, count FROM jobs_by_state WHERE count > 0")
    return dict(rows.fetchall())


def undone_part(transaction: SQLiteTransaction, work: Callable[[], object]) -> None:
    """Undo a part of a transaction."""
    with pytest.raises(PartUndone):
        transaction.part(work)


def undone_change(transaction: SQLiteTransaction, work: Callable[[], object]) -> None:
    """Undo a change alone, and a transaction before it."""
    transaction.execute("COMMIT")
    with closing(asyncio.new_event_loop()) as loop:
        change = Change(alone, lambda connection: work(), loop.create_future())
        [(_, _, problem)] = commit_together([change], transaction)
    assert isinstance(problem, ValueError)
    transaction.execute("BEGIN")


@pytest.mark.parametrize("undo", [undone_part, undone_change])
def test_jobs_that_were_counted_in_vain_are_counted_again(
    transaction: SQLiteTransaction,
    undo: Callable[[SQLiteTransaction, Callable[[], object]], None],
) -> None:
    """What counted them was undone, so the next move must count them before."""
    job = made(transaction)
    cancelled = replace(job, state=State.CANCELLED, cancelled_at=START)

    def fail() -> None:
        transaction.jobs.move(job, cancelled)
        raise ValueError("after the move")

    undo(transaction, fail)
    assert by_state(transaction) == {"scheduled": 1}
    transaction.jobs.move(job, cancelled)
    assert by_state(transaction) == {"cancelled": 1}


def test_many_new_jobs_are_counted_before_more_are_written(transaction: SQLiteTransaction) -> None:
    """Whoever reads the sum has at most `MAX_NEW` and one statement's jobs to count himself."""
    for number in range(1, 2 * MAX_NEW + 2):
        made(transaction, seed=number)
        (behind,) = transaction.execute("SELECT job_id FROM counted").fetchone()
        assert number - behind <= MAX_NEW
        assert by_state(transaction) == {"scheduled": number}


def test_bytes_and_none_are_bound_as_they_are(transaction: SQLiteTransaction) -> None:
    """They come back as they went in, also behind an adapter that changes nothing."""
    bind_plainly()
    for value in (b"", b"\0\xff", None):
        assert transaction.execute("SELECT ?", (value,)).fetchone() == (value,)


def test_an_adapter_of_the_program_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program around booper may have said how sqlite3 binds its bytes."""
    key = (bytes, sqlite3.PrepareProtocol)
    adapters: dict[Any, Any] = sqlite3.adapters
    monkeypatch.setitem(adapters, key, bytes.hex)
    bind_plainly()
    assert adapters[key] == bytes.hex
