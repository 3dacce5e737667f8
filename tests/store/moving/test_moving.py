"""What has moved to PostgreSQL and back is what it was, wherever the move was interrupted."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import psycopg
import pytest

from booper.errors import StartError
from booper.store.moving import mover
from booper.store.moving.ends import End, MoveRefused, MoveStopped
from booper.store.moving.mover import Moved, begin, move, size_of, sum_of
from booper.store.moving.opening import opened
from booper.store.moving.tables import JOBS, TABLES, Key, Row, Table
from booper.store.postgres import open_store as open_postgres
from booper.store.postgres.partitions import MAX_PARTITIONS
from booper.store.sqlite import open_store
from booper.store.sqlite.bucket_rows import FILL_DAYS
from tests.conftest import START
from tests.support.postgres import postgres_url as postgres_url
from tests.support.varied import differences, drawn, fill

pytestmark = pytest.mark.anyio

# Small, so that each table has several batches.
MAX_ROWS: Final = 25


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mover, "MAX_ROWS", MAX_ROWS)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Return a database with rows of all kinds."""
    fill(tmp_path / "first.db", 1)
    return tmp_path / "first.db"


class Interrupted(Exception):
    """Somebody pulls the plug."""


def moved(source: Path | str, target: Path | str) -> Sequence[Moved] | None:
    """Move a database, or go on with it; return what was moved, None if nothing was to be done."""
    with opened(str(source), str(target)) as (ours, theirs):
        return move(ours, theirs, ignored) if begin(ours, theirs) else None


def ignored(count: int) -> None:
    """Report nothing."""


def back(url: str, folder: Path) -> Path:
    """Move a database of PostgreSQL to a new file, and return that."""
    moved(url, folder / "back.db")
    return folder / "back.db"


# --- the same ---


@pytest.mark.parametrize("seed", range(4))
def test_what_has_moved_there_and_back_is_the_same(
    seed: int, tmp_path: Path, postgres_url: str
) -> None:
    """Each row of each table, and the last number of each kind, also those that no row has."""
    first = tmp_path / "first.db"
    fill(first, seed, jobs=40 + seed)
    moved(first, postgres_url)
    second = back(postgres_url, tmp_path)
    assert differences(first, second) == []
    assert drawn(first) == drawn(second)


def test_differences_are_found(first: Path, tmp_path: Path) -> None:
    """A changed value, a row too few and a wrong count, each in its table."""
    for change, found in {
        "UPDATE users SET inserted_at = 1 WHERE rowid = 1": ["users"],
        "DELETE FROM waits WHERE attempt = 0": ["waits"],
        "UPDATE job_counts SET count = count + 1": ["counts of jobs"],
        "DROP TABLE alerts": ["alerts"],
    }.items():
        changed = tmp_path / "changed.db"
        changed.write_bytes(first.read_bytes())
        with closing(sqlite3.connect(changed)) as connection, connection:
            connection.execute(change)
        assert differences(first, changed) == found


def test_an_empty_database_can_be_moved(tmp_path: Path, postgres_url: str) -> None:
    """With the one row that it has from the start."""
    fill(tmp_path / "other.db", 1)
    with opened(postgres_url, str(tmp_path / "new.db")) as (ours, theirs):
        assert begin(ours, theirs)
        assert [each for each in move(ours, theirs, ignored) if each.rows] == [Moved("pruning", 1)]


def test_a_move_reports_each_row_three_times(first: Path, postgres_url: str) -> None:
    """As it is written, and as it is read in each database; also after an interruption."""
    for interrupted_after in (30, None):
        counts = list[int]()

        def advance(
            count: int, after: int | None = interrupted_after, counts: list[int] = counts
        ) -> None:
            counts.append(count)
            if after is not None and sum(counts) > after:
                raise Interrupted

        with opened(str(first), postgres_url) as (ours, theirs):
            assert begin(ours, theirs)
            if interrupted_after is None:
                move(ours, theirs, advance)
                assert sum(counts) == size_of(ours)
            else:
                with pytest.raises(Interrupted):
                    move(ours, theirs, advance)


# --- what PostgreSQL makes of it ---


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query in PostgreSQL."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_what_hangs_on_jobs_is_there(first: Path, postgres_url: str) -> None:
    """What is due, planned times, counts, and the places of finished jobs and of logs."""
    moved(first, postgres_url)
    with closing(sqlite3.connect(first)) as connection:
        ended = "coalesce(completed_at, discarded_at, cancelled_at)"
        place = f"""
            CASE WHEN {ended} IS NULL THEN 'live'
                WHEN schedule_id IS NOT NULL OR keep_for IS NOT NULL OR key_until IS NOT NULL
                THEN 'kept' ELSE state END
        """
        for wanted, has in {
            """
            SELECT id, scheduled_at, origin, path FROM jobs
            WHERE state = 'scheduled' OR state = 'retryable' ORDER BY 1
            """: "SELECT job_id, at, origin, path FROM due ORDER BY 1",
            """
            SELECT id, planned_at FROM jobs WHERE kind = 'run' AND state <> 'cancelled' ORDER BY 1
            """: "SELECT job_id, at FROM planned ORDER BY 1",
            "SELECT kind, state, count(*) FROM jobs GROUP BY 1, 2 ORDER BY 1, 2": """
            SELECT kind, state, sum(count)::bigint FROM job_counts GROUP BY 1, 2 ORDER BY 1, 2
            """,
            f"SELECT id, {ended}, {place} FROM jobs WHERE {ended} > 0 ORDER BY 1": """
            SELECT id, ended_at, class FROM ended_jobs ORDER BY 1
            """,
            f"""
            SELECT seq, coalesce({ended}, 0), {place} FROM logs LEFT JOIN jobs ON jobs.id = job_id
            ORDER BY 1
            """: "SELECT seq, ended_at, class FROM logs ORDER BY 1",
        }.items():
            found = rows(postgres_url, has)
            assert found
            assert found == connection.execute(wanted).fetchall()


def test_finished_jobs_are_in_partitions_of_their_days(first: Path, postgres_url: str) -> None:
    """Of few days each: none is among those of all other days, which go row by row."""
    moved(first, postgres_url)
    found = "SELECT count(*) FROM {0}_{1}_other"
    for state in ("completed", "discarded", "cancelled"):
        assert rows(postgres_url, f"SELECT count(*) > 0 FROM {state}_jobs") == [(True,)]
        for what in ("jobs", "logs"):
            assert rows(postgres_url, found.format(state, what)) == [(0,)]
        query = f"SELECT count(*) FROM pg_inherits WHERE inhparent = '{state}_jobs'::regclass"
        [(count,)] = rows(postgres_url, query)
        assert 1 < count <= MAX_PARTITIONS + 2  # with that of all other days


def test_numbers_go_on_behind_those_that_were_given(first: Path, postgres_url: str) -> None:
    """Also where the newest rows had been deleted; owners of old claims are nobody's new number."""
    moved(first, postgres_url)
    last = drawn(first)
    drawing = "SELECT nextval('{}')"
    for sequence, name in {
        "job_numbers": "jobs",
        "audit_id_seq": "audit",
        "incidents_id_seq": "incidents",
        "nodes_number_seq": "owners",
    }.items():
        assert rows(postgres_url, drawing.format(sequence)) == [(last[name] + 1,)]
    [(newest,)] = rows(postgres_url, "SELECT max(seq) FROM logs")
    assert rows(postgres_url, drawing.format("log_numbers")) == [(newest + 1,)]


def test_rows_of_a_bucket_are_moved_as_one(first: Path, tmp_path: Path, postgres_url: str) -> None:
    """PostgreSQL has several where nodes have counted side by side; readers add them up."""
    moved(first, postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO buckets SELECT * FROM buckets")
    second = back(postgres_url, tmp_path)
    with closing(sqlite3.connect(first)) as one, closing(sqlite3.connect(second)) as other:
        query = "SELECT count(*), sum({}completed), sum({}took_14), max(begins_at) FROM buckets"
        doubled, found = (
            one.execute(query.format("2 * ", "2 * ")),
            other.execute(query.format("", "")),
        )
        assert found.fetchall() == doubled.fetchall()
        days = other.execute("SELECT * FROM days ORDER BY user_id, begins_at").fetchall()
        assert days
        other.execute("DELETE FROM days")
        other.execute(FILL_DAYS)
        assert days == other.execute("SELECT * FROM days ORDER BY user_id, begins_at").fetchall()


async def test_jobs_of_a_killed_booper_are_rescued_by_the_next_start(
    first: Path, tmp_path: Path, postgres_url: str
) -> None:
    """Over either database: their owners are gone, and their attempts stay counted."""
    attempts = "SELECT id, attempt, interruptions FROM jobs WHERE state = 'executing' ORDER BY id"
    with closing(sqlite3.connect(first)) as connection:
        left = connection.execute(attempts).fetchall()
    assert left
    moved(first, postgres_url)
    second = back(postgres_url, tmp_path)
    async with open_postgres(postgres_url, Random(1)) as store:
        assert await store.queue.rescue(START, lambda *_: ()) == len(left)
    async with open_store(second, "full", Random(2)) as store:
        assert await store.queue.rescue(START, lambda *_: ()) == len(left)
    rescued = "SELECT id, attempt FROM jobs WHERE last_error LIKE 'interrupted: booper %'"
    with closing(sqlite3.connect(second)) as connection:
        found = connection.execute(f"{rescued} ORDER BY id").fetchall()
    assert found == [(number, attempt) for number, attempt, _ in left]
    assert (
        rows(postgres_url, f"{rescued.replace('%', '%%')} ORDER BY id".replace("%%", "%")) == found
    )


# --- interrupted ---


class Unnoted(Table, frozen=True):
    """A table whose rows can be written, but not how far it is filled: the transaction fails."""

    def written(self, key: Key) -> str:
        """Fail."""
        raise Interrupted


class Failing:
    """An end that fails at a point: 2 n before its write with number n is done, 2 n + 1 behind."""

    def __init__(self, end: End, point: int) -> None:
        self._end = end
        self._point = point
        self._writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Write rows, unless it fails."""
        number, self._writes = self._writes, self._writes + 1
        if self._point == 2 * number:
            table = Unnoted(table.name, table.columns, table.key)
        self._end.write(table, rows)
        if self._point == 2 * number + 1:
            raise Interrupted


@contextmanager
def failing(source: str, target: str, point: int) -> Iterator[tuple[End, End]]:
    """Open two ends, the second of which fails at a point."""
    with opened(source, target) as (ours, theirs):
        yield ours, Failing(theirs, point)


def interrupted(source: Path | str, target: Path | str, point: int) -> bool:
    """Move until a point; return whether there was one, which is not so after the end."""
    with failing(str(source), str(target), point) as (ours, theirs):
        if not begin(ours, theirs):
            return False
        try:
            move(ours, theirs, ignored)
        except Interrupted:
            return True
        return False


def test_a_move_that_is_interrupted_after_each_batch_goes_on(
    first: Path, tmp_path: Path, postgres_url: str
) -> None:
    """Each time one batch further, there and back; at the end nothing lacks or is twice."""
    second = tmp_path / "second.db"
    for source, target in ((first, postgres_url), (postgres_url, second)):
        times = 0
        while interrupted(source, target, 1):
            times += 1
        assert times > len(TABLES)
    assert differences(first, second) == []


def test_a_move_that_fails_within_a_batch_has_written_nothing_of_it(
    first: Path, tmp_path: Path, postgres_url: str
) -> None:
    """At each batch once, there and back: the next time that batch is written, and one more."""
    second = tmp_path / "second.db"
    for source, target in ((first, postgres_url), (postgres_url, second)):
        point = 0
        while interrupted(source, target, point):
            assert interrupted(source, target, 1)
            point = 0
        assert moved(source, target) is None
    assert differences(first, second) == []


# --- refused ---


def test_a_finished_move_is_told_as_done(first: Path, postgres_url: str) -> None:
    """And changes nothing."""
    assert moved(first, postgres_url)
    assert moved(first, postgres_url) is None


def test_another_source_is_refused(first: Path, tmp_path: Path, postgres_url: str) -> None:
    """Behind a finished move, and behind an interrupted one."""
    fill(tmp_path / "other.db", 2)
    assert interrupted(first, postgres_url, 3)
    with pytest.raises(MoveRefused, match="has a part of another database"):
        moved(tmp_path / "other.db", postgres_url)
    moved(first, postgres_url)
    with pytest.raises(MoveRefused, match=r"is not empty: it has rows in users, keys"):
        moved(tmp_path / "other.db", postgres_url)


async def test_a_source_that_was_used_meanwhile_is_refused(first: Path, postgres_url: str) -> None:
    """A part of it would be older than the rest."""
    assert interrupted(first, postgres_url, 3)
    async with open_store(first, "full", Random(1)):
        pass
    with pytest.raises(MoveRefused, match="before it was used again"):
        moved(first, postgres_url)


def test_a_target_that_has_something_is_refused(
    first: Path, tmp_path: Path, postgres_url: str
) -> None:
    """Whatever it has stays."""
    moved(first, postgres_url)
    other = tmp_path / "other.db"
    fill(other, 2)
    before = other.read_bytes()
    with pytest.raises(MoveRefused, match="not empty"):
        moved(postgres_url, other)
    assert other.read_bytes() == before


async def test_a_partly_filled_database_cannot_be_served(
    first: Path, tmp_path: Path, postgres_url: str
) -> None:
    """Nor moved on; that which is filled can."""
    second = tmp_path / "second.db"
    assert interrupted(first, postgres_url, 9)
    with pytest.raises(StartError, match="only partly filled"):
        async with open_postgres(postgres_url, Random(1)):
            pass
    with pytest.raises(MoveRefused, match="only partly filled"):
        moved(postgres_url, second)
    moved(first, postgres_url)
    assert interrupted(postgres_url, second, 9)
    with pytest.raises(StartError, match="only partly filled"):
        async with open_store(second, "full", Random(1)):
            pass
    moved(postgres_url, second)
    async with open_store(second, "full", Random(1)), open_postgres(postgres_url, Random(1)):
        pass


async def test_a_database_that_is_served_is_refused(
    first: Path, tmp_path: Path, postgres_url: str
) -> None:
    """On either side; it can be moved when it is stopped."""
    async with open_store(first, "full", Random(1)):
        with pytest.raises(StartError, match="already served"):
            moved(first, postgres_url)
    async with open_postgres(postgres_url, Random(1)):
        with pytest.raises(MoveRefused, match="is served by 1 booper node"):
            moved(first, postgres_url)
        with pytest.raises(MoveRefused, match="is served by 1 booper node"):
            moved(postgres_url, tmp_path / "second.db")
    assert moved(first, postgres_url)


def test_two_moves_at_once_are_refused(first: Path, tmp_path: Path, postgres_url: str) -> None:
    """The second one, whose source is free, by its target."""
    fill(tmp_path / "other.db", 2)
    with opened(str(first), postgres_url), pytest.raises(MoveRefused, match="another move"):
        moved(tmp_path / "other.db", postgres_url)


def test_no_file_is_made_where_there_is_nothing_to_move(tmp_path: Path, postgres_url: str) -> None:
    """A source that is not there is named, and so is one without a schema."""
    with pytest.raises(MoveRefused, match="there is no database"):
        moved(tmp_path / "absent.db", postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DROP TABLE booper_schema")
    with pytest.raises(MoveRefused, match="has schema 0"):
        moved(postgres_url, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_difference_stops_the_move(first: Path, postgres_url: str) -> None:
    """It names the table, and the target is not finished."""
    assert interrupted(first, postgres_url, 3)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE users SET inserted_at = 1")
    with pytest.raises(MoveStopped, match=r"differs from .* in users \(3 and 3 rows\)"):
        moved(first, postgres_url)


def test_an_error_of_a_database_says_how_to_go_on(first: Path, postgres_url: str) -> None:
    """In one line, whatever it was."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("ALTER TABLE audit ADD CHECK (id < 20)")
    with pytest.raises(MoveStopped, match=r"violates check constraint .*; run the same command"):
        moved(first, postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("ALTER TABLE audit DROP CONSTRAINT audit_id_check")
    assert moved(first, postgres_url)


# --- sums and batches ---


def test_a_sum_is_of_all_rows_in_any_order() -> None:
    """Two rows alike are not none."""
    one, two = (1, "a"), (2, None)
    assert sum_of([one, two]) == sum_of([two, one])
    assert sum_of([one, one]) != sum_of([two, two])
    assert sum_of([one]) != sum_of([(1, b"a")])
    assert sum_of([("a", "bc")]) != sum_of([("ab", "c")])


def test_a_batch_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows and of text; a row that is longer alone is a batch."""
    monkeypatch.setattr(mover, "MAX_ROWS", 3)
    monkeypatch.setattr(mover, "MAX_BYTES", 10)
    given: list[Row] = [(1, ""), (2, ""), (3, ""), (4, "x" * 20), (5, "x" * 5), (6, "x" * 5), (7,)]
    lengths = [len(batch) for batch in mover.batches(given)]
    assert lengths == [3, 1, 2, 1]


# --- complete ---

# What each database makes of its rows or draws anew; tags are columns of jobs for a move.
OWN_OF_SQLITE = {
    *("counted", "days", "job_counts", "job_tags", "owners", "pulse", "sqlite_sequence"),
}
OF_NODES = {
    *("breakers", "findings", "leaders", "limits", "messages", "nodes", "rate_limits"),
    *("cancelled_claims", "server_life"),
}
OWN_OF_POSTGRES = OF_NODES | {"booper_schema", "due", "job_counts", "planned", "pulse"}
PARTS_OF_JOBS = {"live_jobs", "ended_jobs"}


def test_every_table_and_column_of_sqlite_is_moved(first: Path) -> None:
    """A new one must be moved as well, or named here with what is made of rows."""
    with closing(sqlite3.connect(first)) as connection:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        tables = {name for (name,) in connection.execute(query)} - OWN_OF_SQLITE
        assert tables == {table.name for table in TABLES}
        for table in TABLES:
            found = connection.execute(f"PRAGMA table_info({table.name})")
            names = {name for _, name, *_ in found} - ({"id"} if table.name == "alone" else set())
            assert names | ({"tags"} if table is JOBS else set()) == set(table.columns)


def test_every_table_and_column_of_postgres_is_moved(postgres_url: str) -> None:
    """As in SQLite. Partitions are parts of their tables."""
    tables = rows(
        postgres_url,
        """
        SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
            AND relnamespace = 'public'::regnamespace
        """,
    )
    names = {table.name for table in TABLES}
    assert {name for (name,) in tables} - OWN_OF_POSTGRES == (names - {"jobs"}) | PARTS_OF_JOBS
    beside = {
        "logs": {"class", "ended_at"},
        "alone": {"owner"},
        "keys": {"given_until"},  # of nodes that are given it
    }
    for table in TABLES:
        query = f"SELECT * FROM {table.name} LIMIT 0"
        with psycopg.connect(postgres_url) as connection:
            columns = {each.name for each in connection.execute(query).description or ()}
        assert columns - beside.get(table.name, set()) == set(table.columns)
    for name, more in {"live_jobs": {"claim"}, "ended_jobs": {"ended_at", "class"}}.items():
        with psycopg.connect(postgres_url) as connection:
            found = connection.execute(f"SELECT * FROM {name} LIMIT 0").description or ()
        assert {each.name for each in found} - more == set(JOBS.columns)
