"""The writer: changes of many callers in one commit, each of them whole or not at all."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import pytest
from anyio.lowlevel import checkpoint

from booper.errors import StoreDamaged, StoreFull, StoreUnavailable
from booper.store.sqlite.connection import Connection, writing
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.writer import CHECKPOINT_EVERY, MAX_TOGETHER, Writer

pytestmark = pytest.mark.anyio

TABLES = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL CHECK (text <> 'bad')) STRICT;
CREATE TABLE replies (note_id INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED) STRICT;
CREATE TABLE scraps (text TEXT) STRICT;
"""


class Mistake(Exception):
    """What a change raises in these tests."""


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    """Return a writing connection to a file with the tables of these tests."""
    async with writing(tmp_path / "notes.db", "full") as opened:
        await opened.run(lambda raw: raw.execute("PRAGMA journal_mode = WAL").fetchone())
        await opened.run(lambda raw: raw.executescript(TABLES))
        yield opened


@pytest.fixture
async def writer(connection: Connection) -> AsyncIterator[Writer]:
    """Return a running writer over the connection."""
    async with committing(Writer(connection)) as running:
        yield running


@asynccontextmanager
async def committing(writer: Writer) -> AsyncIterator[Writer]:
    """Run a writer, and close it at the end."""
    task = asyncio.create_task(writer.commit_forever())
    try:
        yield writer
    finally:
        writer.close()
        await task


async def checkpoint_each_commit(connection: Connection) -> None:
    """Have each commit that may do a checkpoint do one."""

    def change(opened: SQLiteTransaction) -> None:
        opened.checkpoint_pages = 1
        opened.execute("PRAGMA wal_autocheckpoint = 1").fetchone()

    await connection.run(change)


def note(text: str) -> Callable[[sqlite3.Connection], int]:
    """Return a change that writes a note and returns its number."""

    def change(connection: sqlite3.Connection) -> int:
        row = connection.execute("INSERT INTO notes (text) VALUES (?) RETURNING id", (text,))
        number: int = row.fetchone()[0]
        return number

    return change


def note_then_fail(text: str) -> Callable[[sqlite3.Connection], int]:
    """Return a change that writes a note and then raises."""

    def change(connection: sqlite3.Connection) -> int:
        note(text)(connection)
        raise Mistake(text)

    return change


def synchronous(connection: sqlite3.Connection) -> int:
    """Return how a commit waits for the disk: FULL is 2, NORMAL 1 (SQLite's pragma)."""
    level: int = connection.execute("PRAGMA synchronous").fetchone()[0]
    return level


async def test_a_commit_waits_for_the_disk_if_one_of_its_changes_must_be_durable(
    writer: Writer,
) -> None:
    """One that need not be does not keep others waiting for the disk, nor from being on it."""
    assert await writer.run(synchronous) == 2
    assert await writer.run(synchronous, is_durable=False) == 1
    levels = await asyncio.gather(
        writer.run(synchronous, is_durable=False),
        writer.run(synchronous),
        writer.run(synchronous, is_durable=False),
    )
    assert set(levels) == {2}
    assert await writer.run(synchronous, is_durable=False) == 1


def scrap(text: str) -> Callable[[sqlite3.Connection], None]:
    """Return a change that writes a scrap: a statement that SQLite cannot undo by itself.

    It keeps a journal for one statement only where a constraint could stop it half way; a scrap
    has none, so a full disk in the middle of it ends the whole transaction.
    """

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO scraps (text) VALUES (?)", (text,))

    return change


def note_that_rolls_back(connection: sqlite3.Connection) -> None:
    """Violate a CHECK in the mode that ends the whole transaction (sqlite.org/lang_conflict)."""
    connection.execute("INSERT OR ROLLBACK INTO notes (text) VALUES ('bad')")


def reply_to_nothing(connection: sqlite3.Connection) -> None:
    """Write a reply whose foreign key is only looked at, and missed, by the COMMIT."""
    connection.execute("INSERT INTO replies (note_id) VALUES (-1)")


async def notes(connection: Connection) -> list[str]:
    """Return the texts of all notes in the order in which they were written."""
    rows = await connection.run(
        lambda raw: raw.execute("SELECT text FROM notes ORDER BY id").fetchall()
    )
    return [text for (text,) in rows]


async def limit_pages(connection: Connection, spare: int) -> None:
    """Allow the file to grow by this many pages: beyond that the "disk" is full."""
    (pages,) = await connection.run(lambda raw: raw.execute("PRAGMA page_count").fetchone())
    pragma = f"PRAGMA max_page_count = {pages + spare}"
    await connection.run(lambda raw: raw.execute(pragma).fetchone())


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """Make the operating system refuse to write any file past `size` bytes."""
    soft, hard = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, (soft, hard))


async def test_a_change_returns_what_its_work_returns(
    writer: Writer, connection: Connection
) -> None:
    """`run` gives back the work's own result once the change is committed."""
    assert await writer.run(note("one")) == 1
    assert await writer.run(note("two")) == 2
    assert await notes(connection) == ["one", "two"]


async def test_a_commit_is_seen_by_others_when_run_returns(writer: Writer, tmp_path: Path) -> None:
    """Another connection to the file sees the change as soon as its caller knows of it."""
    await writer.run(note("one"))
    with sqlite3.connect(tmp_path / "notes.db") as other:
        found = other.execute("SELECT text FROM notes").fetchall()
    other.close()
    assert found == [("one",)]


async def test_what_waits_together_is_committed_together(writer: Writer, tmp_path: Path) -> None:
    """Ten changes that arrive at once make one commit: none finds another's already on disk."""

    def note_and_look(raw: sqlite3.Connection) -> int:
        note("x")(raw)
        other = sqlite3.connect(tmp_path / "notes.db")
        committed: int = other.execute("SELECT count(*) FROM notes").fetchone()[0]
        other.close()
        return committed

    assert await asyncio.gather(*(writer.run(note_and_look) for _ in range(10))) == [0] * 10


async def test_more_than_a_group_holds_keeps_its_order(
    writer: Writer, connection: Connection
) -> None:
    """One change more than two groups hold: all are written, in the order in which they came."""
    texts = [f"{number:04}" for number in range(2 * MAX_TOGETHER + 1)]
    numbers = await asyncio.gather(*(writer.run(note(text)) for text in texts))
    assert numbers == list(range(1, 2 * MAX_TOGETHER + 2))
    assert await notes(connection) == texts


async def test_a_change_that_raises_is_undone_alone(writer: Writer, connection: Connection) -> None:
    """Of three changes in a group the middle one raises: it alone leaves nothing behind."""
    first, failed, last = await asyncio.gather(
        writer.run(note("first")),
        writer.run(note_then_fail("failed")),
        writer.run(note("last")),
        return_exceptions=True,
    )
    assert isinstance(failed, Mistake)
    assert (isinstance(first, int), isinstance(last, int)) == (True, True)
    assert await notes(connection) == ["first", "last"]


async def test_a_violated_constraint_undoes_its_change_alone(
    writer: Writer, connection: Connection
) -> None:
    """A CHECK that refuses a row of one change takes no other change along."""
    outcomes = await asyncio.gather(
        writer.run(note("first")),
        writer.run(note("bad")),
        writer.run(note("last")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], sqlite3.IntegrityError)
    assert await notes(connection) == ["first", "last"]


async def test_an_operational_error_of_one_change_is_told_as_unavailable(
    writer: Writer, connection: Connection
) -> None:
    """What SQLite cannot do for one change is `StoreUnavailable` to its caller alone."""
    first, failed = await asyncio.gather(
        writer.run(note("first")),
        writer.run(lambda raw: raw.execute("INSERT INTO nowhere VALUES (1)")),
        return_exceptions=True,
    )
    assert isinstance(failed, StoreUnavailable)
    assert not isinstance(failed, StoreFull)
    assert first == 1
    assert await notes(connection) == ["first"]


async def test_a_cancelled_caller_disturbs_nobody(writer: Writer, connection: Connection) -> None:
    """A caller cancelled before its group begins leaves the other changes as they are."""
    first, cancelled, last = (
        asyncio.create_task(writer.run(note(text))) for text in ("first", "cancelled", "last")
    )
    # The writer wakes after these tasks have put their changes in the queue.
    asyncio.get_running_loop().call_soon(cancelled.cancel)
    await asyncio.wait({first, cancelled, last})
    assert cancelled.cancelled()
    assert isinstance(first.result(), int)
    assert isinstance(last.result(), int)
    assert await notes(connection) in (["first", "last"], ["first", "cancelled", "last"])


async def test_a_caller_cancelled_during_the_transaction_has_its_change_whole(
    writer: Writer, connection: Connection
) -> None:
    """A change that has begun is finished: both its rows are there, and so is its neighbour's."""
    loop = asyncio.get_running_loop()
    begun, may_end = asyncio.Event(), asyncio.Event()

    def two_notes(raw: sqlite3.Connection) -> None:
        note("one half")(raw)
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result(timeout=10)
        note("other half")(raw)

    caller = asyncio.create_task(writer.run(two_notes))
    neighbour = asyncio.create_task(writer.run(note("neighbour")))
    await begun.wait()
    caller.cancel()
    await asyncio.wait({caller})
    may_end.set()
    await neighbour
    assert caller.cancelled()
    assert await notes(connection) == ["one half", "other half", "neighbour"]


async def test_a_caller_is_told_while_the_next_group_is_committed(
    writer: Writer, connection: Connection
) -> None:
    """A change that came during a commit goes into the next, which holds up no response."""
    loop = asyncio.get_running_loop()
    begun, may_end, told = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def wait(raw: sqlite3.Connection, event: asyncio.Event) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(event.wait(), loop).result(timeout=10)
        note("waited")(raw)

    first = asyncio.create_task(writer.run(lambda raw: wait(raw, may_end)))
    await begun.wait()
    second = asyncio.create_task(writer.run(lambda raw: wait(raw, told)))
    loop.call_soon(may_end.set)
    await first
    told.set()
    await second
    assert await notes(connection) == ["waited", "waited"]


async def test_a_closed_writer_commits_what_waits_and_takes_no_more(
    connection: Connection,
) -> None:
    """After `close` what was asked for before is still written; what comes later is refused."""
    writer = Writer(connection)
    waiting = [asyncio.create_task(writer.run(note(text))) for text in ("one", "two")]
    barrier = asyncio.Event()
    asyncio.get_running_loop().call_soon(barrier.set)
    await barrier.wait()
    writer.close()
    with pytest.raises(StoreUnavailable, match="stopping"):
        await writer.run(note("late"))
    await writer.commit_forever()
    assert await asyncio.gather(*waiting) == [1, 2]
    assert await notes(connection) == ["one", "two"]


async def test_what_is_done_when_idle_leaves_the_log_to_others(
    writer: Writer, connection: Connection, tmp_path: Path
) -> None:
    """A commit that nobody waits for does no checkpoint; the next one of another kind does."""
    database = tmp_path / "notes.db"
    await checkpoint_each_commit(connection)
    await writer.run(note("before"))
    before = database.read_bytes()
    await writer.run_when_idle(note("x" * 10_000))
    assert database.read_bytes() == before
    await writer.run(note("after"))
    assert b"x" * 1_000 in database.read_bytes()


async def test_much_that_is_done_when_idle_is_checkpointed_by_itself(
    writer: Writer, connection: Connection, tmp_path: Path
) -> None:
    """So the log does not come to the length at which a change that is waited for must do it."""
    database = tmp_path / "notes.db"
    for _ in range(CHECKPOINT_EVERY - 1):
        await writer.run_when_idle(note("x" * 10_000))
    assert b"x" * 1_000 not in database.read_bytes()
    await writer.run_when_idle(note("the last"))
    assert b"x" * 1_000 in database.read_bytes()
    assert len(await notes(connection)) == CHECKPOINT_EVERY


async def test_what_was_done_when_idle_is_done_though_no_checkpoint_can_be(
    connection: Connection,
) -> None:
    """Nobody is told that a change failed which was made, where only its checkpoint is refused."""
    made = False

    def check() -> None:
        if made:
            raise StoreUnavailable("the file is gone")

    def last(opened: sqlite3.Connection) -> int:
        nonlocal made
        made = True
        return note("the last")(opened)

    async with committing(Writer(connection, check)) as writer:
        for _ in range(CHECKPOINT_EVERY - 1):
            await writer.run_when_idle(note("one"))
        assert await writer.run_when_idle(last) == CHECKPOINT_EVERY


async def test_a_writer_closed_while_idle_ends(connection: Connection) -> None:
    """With nothing waiting, `close` lets `commit_forever` return."""
    writer = Writer(connection)
    writer.close()
    await writer.commit_forever()
    assert await notes(connection) == []


async def test_a_full_file_that_ends_the_transaction_fails_its_group_and_not_the_next(
    writer: Writer, connection: Connection
) -> None:
    """SQLITE_FULL ends the transaction: everybody in it hears so, and room makes it work again."""
    await limit_pages(connection, spare=1)
    outcomes = await asyncio.gather(
        writer.run(note("small")),
        writer.run(scrap("x" * 100_000)),  # 25 pages of 4096 bytes
        writer.run(note("small too")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [StoreFull] * 3
    assert await notes(connection) == []
    await limit_pages(connection, spare=1_000)
    await writer.run(scrap("x" * 100_000))
    assert await writer.run(note("small")) == 1


async def test_a_full_file_that_one_change_met_is_told_to_it_alone(
    writer: Writer, connection: Connection
) -> None:
    """Where SQLite undoes the statement alone, small changes beside it are still kept."""
    await limit_pages(connection, spare=1)
    first, full, last = await asyncio.gather(
        writer.run(note("small")),
        writer.run(note("x" * 100_000)),
        writer.run(note("small too")),
        return_exceptions=True,
    )
    assert (type(first), type(full), type(last)) == (int, StoreFull, int)
    assert await notes(connection) == ["small", "small too"]


async def test_a_disk_that_takes_no_more_fails_the_commit_and_not_the_next(
    writer: Writer, connection: Connection, tmp_path: Path
) -> None:
    """When the log cannot grow the group is told that the disk is full, and keeps nothing."""
    size = (tmp_path / "notes.db-wal").stat().st_size
    with no_file_grows_beyond(size):
        outcomes = await asyncio.gather(
            writer.run(note("one")), writer.run(note("two")), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [StoreFull] * 2
    assert await notes(connection) == []
    assert await writer.run(note("one")) == 1


@pytest.mark.parametrize("fatal", [note_that_rolls_back, reply_to_nothing])
async def test_an_error_that_ends_the_transaction_fails_the_group_and_not_the_next(
    writer: Writer, connection: Connection, fatal: Callable[[sqlite3.Connection], None]
) -> None:
    """Where SQLite itself rolls back, in a statement or at the COMMIT, no caller is told a lie."""
    outcomes = await asyncio.gather(
        writer.run(note("before")),
        writer.run(fatal),
        writer.run(note("after")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 3
    assert await notes(connection) == []
    assert await writer.run(note("next")) == 1


async def test_a_change_that_ends_its_transaction_and_raises_stops_no_other(
    writer: Writer, connection: Connection
) -> None:
    """Whatever one change does and raises, its caller is answered and the next one is written."""

    def end_and_fail(raw: sqlite3.Connection) -> None:
        raw.execute("ROLLBACK")
        raise Mistake

    with pytest.raises((Mistake, StoreUnavailable)):
        async with asyncio.timeout(5):
            await writer.run(end_and_fail)
    assert await writer.run(note("next")) == 1
    assert await notes(connection) == ["next"]


def all_notes(raw: sqlite3.Connection, texts: Sequence[str]) -> list[tuple[int, int]]:
    """Write many notes; answer each with how many were written by this call, and its place."""
    raw.executemany("INSERT INTO notes (text) VALUES (?)", [(text,) for text in texts])
    return [(len(texts), place) for place in range(len(texts))]


async def test_changes_of_one_kind_that_wait_together_are_made_by_one_call(
    writer: Writer, connection: Connection
) -> None:
    """Three of a kind around another change: one call makes the three, each has its own result."""
    first, other, *rest = await asyncio.gather(
        writer.run_together(all_notes, "one"),
        writer.run(note("other")),
        writer.run_together(all_notes, "two"),
        writer.run_together(all_notes, "three"),
    )
    assert [first, *rest] == [(3, 0), (3, 1), (3, 2)]
    assert other == 4
    assert await notes(connection) == ["one", "two", "three", "other"]


async def test_a_call_for_many_that_raises_is_made_for_each_alone(
    writer: Writer, connection: Connection
) -> None:
    """One of three violates a CHECK: it alone is refused, however often that happens."""
    for text in ("one", "two"):
        first, bad, last = await asyncio.gather(
            writer.run_together(all_notes, text),
            writer.run_together(all_notes, "bad"),
            writer.run_together(all_notes, text),
            return_exceptions=True,
        )
        assert isinstance(bad, sqlite3.IntegrityError)
        assert (first, last) == ((1, 0), (1, 0))
    assert await notes(connection) == ["one", "one", "two", "two"]


def notes_by_a_statement(connection: sqlite3.Connection, texts: Sequence[str]) -> list[str]:
    """Write notes by one statement, and return what was asked for.

    By a SELECT, as jobs are written: SQLite can then undo it alone, if it is a single row, too.
    """
    rows = ", ".join("(?)" for _ in texts)
    connection.execute(f"INSERT INTO notes (text) SELECT * FROM (VALUES {rows})", texts)
    return list(texts)


async def test_changes_by_a_statement_need_no_transaction_around_it(
    writer: Writer, connection: Connection
) -> None:
    """What waits for such changes alone is committed by the statement itself, all of it."""
    seen: list[str] = []
    await connection.run(lambda raw: raw.set_trace_callback(seen.append))
    texts = ["one", "two", "three"]
    results = await asyncio.gather(
        *(writer.run_together(notes_by_a_statement, text, is_statement=True) for text in texts)
    )
    assert results == texts
    assert await notes(connection) == texts
    assert not [statement for statement in seen if statement.startswith(("BEGIN", "COMMIT"))]


async def test_a_statement_that_raises_is_made_for_each_alone(
    writer: Writer, connection: Connection
) -> None:
    """A violated constraint is the one's who asked for it; the others are written."""
    results = await asyncio.gather(
        *(
            writer.run_together(notes_by_a_statement, text, is_statement=True)
            for text in ("one", "bad", "three")
        ),
        return_exceptions=True,
    )
    assert [results[0], results[2]] == ["one", "three"]
    assert isinstance(results[1], sqlite3.IntegrityError)
    assert await notes(connection) == ["one", "three"]


async def test_a_statement_beside_other_changes_shares_their_transaction(
    writer: Writer, connection: Connection
) -> None:
    """Changes of both sorts that wait together are committed together, in the order they came."""
    seen: list[str] = []
    await connection.run(lambda raw: raw.set_trace_callback(seen.append))
    await asyncio.gather(
        writer.run(note("one")),
        writer.run_together(notes_by_a_statement, "two", is_statement=True),
    )
    assert await notes(connection) == ["one", "two"]
    assert [statement for statement in seen if statement.startswith("COMMIT")] == ["COMMIT"]


async def test_a_full_disk_refuses_a_statement_and_changes_nothing(
    writer: Writer, connection: Connection
) -> None:
    """Each caller is told so, and the next one is served as soon as there is space."""
    await limit_pages(connection, 0)
    large = "x" * 100_000
    with pytest.raises(StoreFull):
        await writer.run_together(notes_by_a_statement, large, is_statement=True)
    assert await notes(connection) == []
    await limit_pages(connection, 1_000)
    await writer.run_together(notes_by_a_statement, large, is_statement=True)
    assert await notes(connection) == [large]


async def test_a_statement_too_large_for_the_disk_keeps_no_other_out(
    writer: Writer, connection: Connection
) -> None:
    """One that waits with others is told alone that the disk is full, as any change is."""
    await limit_pages(connection, spare=1)
    first, full, last = await asyncio.gather(
        *(
            writer.run_together(notes_by_a_statement, text, is_statement=True)
            for text in ("small", "x" * 100_000, "small too")
        ),
        return_exceptions=True,
    )
    assert (first, type(full), last) == ("small", StoreFull, "small too")
    assert await notes(connection) == ["small", "small too"]


async def test_nothing_is_tried_in_a_transaction_that_has_met_a_damaged_page(
    connection: Connection,
) -> None:
    """It would fail as well, and be taken for damaged itself: what comes behind is made alone."""
    begun: list[bool] = []
    """For each transaction whether it has met the page."""

    def meet_damage(raw: sqlite3.Connection) -> None:
        begun[-1] = True
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorname = "SQLITE_CORRUPT"
        raise error

    def change(raw: sqlite3.Connection) -> int:
        assert not begun[-1]
        return note("behind")(raw)

    def trace(statement: str) -> None:
        if statement.startswith("BEGIN"):
            begun.append(False)

    await connection.run(lambda raw: raw.set_trace_callback(trace))
    writer = Writer(connection)
    changes = [writer.run(work) for work in (meet_damage, change, change)]
    waiting = [asyncio.create_task(each) for each in changes]
    await checkpoint()  # so that they are one group
    async with committing(writer):
        damaged, *numbers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(damaged, StoreDamaged)
    assert numbers == [1, 2]
