"""The database file: its schema, its migrations, its lock, and files that cannot serve."""

import asyncio
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from booper.errors import StartError
from booper.store.sqlite import job_rows, open_store, queue, schedule_rows
from booper.store.sqlite.bucket_rows import NUMBERS
from booper.store.sqlite.connection import CHECKPOINT_PAGES, Connection, reading, writing
from booper.store.sqlite.lock import DatabaseLocked
from booper.store.sqlite.schema import (
    APPLICATION_ID,
    UnusableDatabase,
    add_functions,
    migrate,
    migrations,
)
from tests.conftest import START

USER, KEY, SCHEDULE, JOB, ENTRY = (bytes([number] * 16) for number in range(1, 6))

# A row of each table that every rule lets in.
ROWS: dict[str, dict[str, Any]] = {
    "users": {"id": USER, "name": "alice", "inserted_at": 1},
    "keys": {
        "id": KEY,
        "user_id": USER,
        "name": "first",
        "scope": "write",
        "digest": b"d" * 32,
        "inserted_at": 1,
        "last_used_at": 1,
    },
    "schedules": {
        "id": SCHEDULE,
        "user_id": USER,
        "origin": "https://target.test",
        "args": "{}",
        "anchor": 1,
        "next_at": 1,
        "runs": 0,
        "state": "{}",
        "previous": "{}",
        "inserted_at": 1,
    },
    "jobs": {
        "uuid": JOB,
        "user_id": USER,
        "kind": "request",
        "origin": "https://target.test",
        "args": "{}",
        "state": "scheduled",
        "attempt": 0,
        "max_attempts": 15,
        "interruptions": 0,
        "inserted_at": 1,
        "scheduled_at": 1,
        "planned_at": 1,
    },
    "logs": {
        "seq": 1,
        "id": ENTRY,
        "user_id": USER,
        "job_id": 1,
        "kind": "request",
        "event": "x",
        "inserted_at": 1,
        "payload": "{}",
    },
    "job_tags": {"tag": "nightly", "job_id": 1},
    "pauses": {"target": "target.test", "paused_at": 1},
    "owners": {"id": 1},
    "alone": {"id": 1, "job_id": 1, "attempt": 1},
    "pruning": {"id": 1, "begins_at": 0},
    "pulse": {"id": 1, "beat_at": 1},
    "job_counts": {"user_id": USER, "kind": "callback", "state": "scheduled", "count": 0},
    "counted": {"one": 1, "job_id": 1},
    "buckets": {
        "user_id": USER,
        "origin": "https://target.test",
        "begins_at": 0,
        **dict.fromkeys(NUMBERS, 0),
    },
    "days": {"user_id": USER, "begins_at": 0, **dict.fromkeys(NUMBERS, 0)},
    "waits": {
        "job_id": 1,
        "attempt": 1,
        "reason": "slot",
        "target": "https://target.test",
        "since": 1,
        "until": 2,
    },
    "audit": {
        "at": 1,
        "key_id": KEY,
        "user_id": USER,
        "action": "job.cancel",
        "kind": "job",
        "object": "1",
        "jobs": 1,
        "detail": "{}",
    },
    "audit_jobs": {"job_id": 1, "audit_id": 1},
    "incidents": {
        "kind": "discarded",
        "job_id": 1,
        "schedule_id": SCHEDULE,
        "name": "",
        "origin": "https://target.test",
        "tags": "[]",
        "reason": "",
        "count": 1,
    },
    "alerts": {
        "kind": "disk.low",
        "key": "",
        "id": JOB,
        "subject": "disk",
        "detail": "",
        "path": "/api/status",
        "since": 1,
        "last_at": 1,
        "count": 1,
        "told": "nothing",
        "told_count": 0,
    },
    "sessions": {"digest": b"s" * 32, "key_id": KEY, "inserted_at": 1, "last_used_at": 1},
}

# Tables whose rows are told apart by their primary key alone.
WITHOUT_NUMBERS = ("job_counts", "buckets", "days", "waits", "audit_jobs", "alerts", "sessions")

# How a job stands in each state that is stored.
TRIED = {"attempt": 1, "attempted_at": 1}
STATES: dict[str, dict[str, Any]] = {
    "scheduled": {},
    "executing": TRIED,
    "retryable": TRIED,
    "completed": {**TRIED, "completed_at": 2},
    "discarded": {**TRIED, "discarded_at": 2},
    "cancelled": {"cancelled_at": 2},
}

# The text of every CHECK, with changes to a good row that it must refuse.
CHECKS: list[tuple[str, str, list[dict[str, Any]]]] = [
    ("users", "length(id) = 16", [{"id": b"x" * 15}, {"id": b""}]),
    ("keys", "length(id) = 16", [{"id": b"x" * 17}]),
    (
        "keys",
        "scope IN ('read', 'write', 'admin')",
        [{"scope": "root"}, {"scope": ""}, {"scope": "Read"}],
    ),
    ("keys", "length(digest) = 32", [{"digest": b"x" * 31}, {"digest": b""}]),
    ("schedules", "length(id) = 16", [{"id": b"x"}]),
    ("schedules", "runs >= 0", [{"runs": -1}]),
    ("schedules", "ended_at IS NULL OR next_at IS NULL", [{"ended_at": 1}]),
    ("alone", "id = 1", [{"id": 2}]),
    ("job_counts", "count >= 0", [{"count": -1}]),
    ("counted", "one = 1", [{"one": 2}]),
    ("counted", "job_id >= 0", [{"job_id": -1}]),
    ("jobs", "length(uuid) = 16", [{"uuid": b"x" * 36}]),
    (
        "jobs",
        "kind = 'request' OR kind = 'run' OR kind = 'callback' OR kind = 'webhook' "
        "OR kind = 'channel'",
        [{"kind": "email"}, {"kind": ""}],
    ),
    ("jobs", "length(schedule_id) = 16", [{"schedule_id": b"x"}]),
    ("jobs", "kind <> 'run' OR schedule_id IS NOT NULL", [{"kind": "run"}]),
    (
        "jobs",
        "state = 'scheduled' OR state = 'executing' OR state = 'completed' "
        "OR state = 'retryable' OR state = 'discarded' OR state = 'cancelled'",
        # `available` is derived on reading and never stored (contract §4).
        [{"state": "available", **TRIED}, {"state": "", **TRIED}],
    ),
    ("jobs", "attempt >= 0", [{"attempt": -1, "attempted_at": 1}]),
    ("jobs", "max_attempts >= 1", [{"max_attempts": 0}]),
    ("jobs", "interruptions >= 0", [{"interruptions": -1}]),
    ("jobs", "keep_for >= 0", [{"keep_for": -1}]),
    ("pruning", "id = 1", [{"id": 2}, {"id": 0}]),
    (
        "jobs",
        "(completed_at IS NOT NULL) = (state = 'completed')",
        [
            {"state": "completed", **TRIED},
            {"completed_at": 2},
            {"state": "retryable", **TRIED, "completed_at": 2},
            {"state": "discarded", **TRIED, "discarded_at": 2, "completed_at": 2},
        ],
    ),
    (
        "jobs",
        "(discarded_at IS NOT NULL) = (state = 'discarded')",
        [
            {"state": "discarded", **TRIED},
            {"discarded_at": 2},
            {"state": "executing", **TRIED, "discarded_at": 2},
            {"state": "cancelled", "cancelled_at": 2, "discarded_at": 2},
        ],
    ),
    (
        "jobs",
        "(cancelled_at IS NOT NULL) = (state = 'cancelled')",
        [
            {"state": "cancelled"},
            {"cancelled_at": 2},
            {"state": "completed", **TRIED, "completed_at": 2, "cancelled_at": 2},
        ],
    ),
    (
        "jobs",
        "attempt > 0 OR state IN ('scheduled', 'cancelled')",
        [
            {"state": "executing", "attempted_at": 1},
            {"state": "retryable"},
            {"state": "completed", "completed_at": 2},
            {"state": "discarded", "discarded_at": 2},
        ],
    ),
    ("jobs", "(attempted_at IS NOT NULL) OR attempt = 0", [{"state": "executing", "attempt": 1}]),
    ("logs", "length(id) = 16", [{"id": b"x" * 15}]),
    (
        "logs",
        "(requested_at IS NULL) = (request IS NULL)",
        [{"request": "{}"}, {"requested_at": 1}],
    ),
    ("pulse", "id = 1", [{"id": 2}]),
    ("incidents", "kind IN ('discarded', 'skipped')", [{"kind": "completed"}, {"kind": ""}]),
    ("incidents", "length(schedule_id) = 16", [{"schedule_id": b"x"}]),
    ("alerts", "length(id) = 16", [{"id": b"x" * 15}]),
    (
        "alerts",
        "told IN ('nothing', 'alert.opened', 'alert.closed')",
        [{"told": ""}, {"told": "opened"}],
    ),
    ("sessions", "length(digest) = 32", [{"digest": b"x" * 31}, {"digest": b""}]),
]

# Rows that other rules refuse: a table, changes to a good row, what SQLite says.
OTHER_RULES: list[tuple[str, dict[str, Any], str]] = [
    ("keys", {"user_id": b"?" * 16}, "FOREIGN KEY"),
    ("sessions", {"key_id": b"?" * 16}, "FOREIGN KEY"),
    ("schedules", {"user_id": b"?" * 16}, "FOREIGN KEY"),
    ("jobs", {"user_id": b"?" * 16}, "FOREIGN KEY"),
    ("logs", {"user_id": b"?" * 16}, "FOREIGN KEY"),
    ("users", {"name": None}, "NOT NULL constraint failed: users.name"),
    ("keys", {"digest": None}, "NOT NULL constraint failed: keys.digest"),
    ("jobs", {"origin": None}, "NOT NULL constraint failed: jobs.origin"),
    ("jobs", {"path": None}, "NOT NULL constraint failed: jobs.path"),
    ("jobs", {"kind": None}, "NOT NULL constraint failed: jobs.kind"),
    ("keys", {"scope": None}, "NOT NULL constraint failed: keys.scope"),
    ("schedules", {"anchor": None}, "NOT NULL constraint failed: schedules.anchor"),
    ("schedules", {"state": None}, "NOT NULL constraint failed: schedules.state"),
    ("job_tags", {"tag": None}, "NOT NULL constraint failed: job_tags.tag"),
    ("pauses", {"target": None}, "NOT NULL constraint failed: pauses.target"),
    ("jobs", {"state": None}, "NOT NULL constraint failed: jobs.state"),
    ("jobs", {"attempt": None}, "NOT NULL constraint failed: jobs.attempt"),
    ("jobs", {"scheduled_at": None}, "NOT NULL constraint failed: jobs.scheduled_at"),
    ("jobs", {"planned_at": None}, "NOT NULL constraint failed: jobs.planned_at"),
    ("logs", {"payload": None}, "NOT NULL constraint failed: logs.payload"),
    ("jobs", {"scheduled_at": "2030-01-01"}, "cannot store TEXT value in INTEGER column"),
    ("jobs", {"uuid": "text of sixteen."}, "cannot store TEXT value in BLOB column"),
    ("logs", {"inserted_at": 1.5}, "cannot store REAL value in INTEGER column"),
]

# A run, and one of another planned time.
RUN = {"kind": "run", "schedule_id": SCHEDULE, "idempotency_key": None}
OTHER = {"uuid": b"2" * 16}
KEYED = {"idempotency_key": "key"}

# Pairs of rows of one table that may not both be there: the changes to a good row of the first and
# of the second, what is said.
PAIRS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("users", {}, {"name": "bob"}, "users.id"),
    ("users", {}, {"id": b"2" * 16}, "users.name"),
    ("keys", {}, {"id": b"2" * 16}, "keys.digest"),
    ("schedules", {}, {}, "schedules.id"),
    (
        "schedules",
        KEYED,
        {**KEYED, "id": b"2" * 16},
        "schedules.user_id, schedules.idempotency_key",
    ),
    ("jobs", {}, {}, "jobs.uuid"),
    ("jobs", KEYED, {**KEYED, **OTHER}, "jobs.user_id, jobs.idempotency_key"),
    ("jobs", KEYED, {**KEYED, **OTHER, "state": "executing", **TRIED}, "jobs.idempotency_key"),
    ("jobs", KEYED, {**KEYED, **OTHER, "state": "retryable", **TRIED}, "jobs.idempotency_key"),
    ("jobs", RUN, {**RUN, **OTHER}, "jobs.schedule_id, jobs.planned_at"),
    ("jobs", RUN, {**RUN, **OTHER, "state": "executing", **TRIED}, "jobs.planned_at"),
    (
        "jobs",
        {**RUN, "state": "completed", **TRIED, "completed_at": 2},
        {**RUN, **OTHER},
        "jobs.planned_at",
    ),
    (
        "jobs",
        {**RUN, "state": "discarded", **TRIED, "discarded_at": 2},
        {**RUN, **OTHER},
        "jobs.planned_at",
    ),
    ("job_tags", {}, {}, "job_tags.tag, job_tags.job_id"),
    ("pauses", {}, {"paused_at": 2}, "pauses.target"),
    ("logs", {}, {"seq": 2}, "logs.id"),
]

# Pairs that look alike and may both be there.
PEACEFUL: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # A schedule that has ended leaves its key (contract §5).
    ("schedules", {**KEYED, "next_at": None, "ended_at": 2}, {**KEYED, "id": b"2" * 16}),
    ("schedules", {}, {"id": b"2" * 16}),
    # A run carries its schedule's key and does not hold it.
    ("jobs", {**RUN, **KEYED}, {**RUN, **KEYED, **OTHER, "planned_at": 2}),
    # A cancelled run's planned time may be planned again; a run beside the plan has any time.
    ("jobs", {**RUN, "state": "cancelled", "cancelled_at": 2}, {**RUN, **OTHER}),
    ("jobs", RUN, {**RUN, **OTHER, "kind": "request"}),
    ("jobs", RUN, {**RUN, **OTHER, "schedule_id": b"2" * 16}),
    ("job_tags", {}, {"job_id": 2}),
]

# Opens the store at argv[1], says so, and holds it until its standard input ends.
HOLD = """
import asyncio, sys
from pathlib import Path
from random import Random
from booper.store.sqlite import open_store

async def hold():
    async with open_store(Path(sys.argv[1]), "full", Random(1)):
        print("open", flush=True)
        sys.stdin.read()

asyncio.run(hold())
"""

# Tries to open the store at argv[1] from inside the folder argv[2] and prints the error. Root
# may write everywhere, so it becomes nobody first; what Python imports late is loaded by then,
# through a store in a folder of its own, for nobody may not be allowed to read it.
TRY_AS_NOBODY = """
import asyncio, os, sys, tempfile
from pathlib import Path
from random import Random
from booper.errors import StartError
from booper.model.job import OWN_KINDS, Kind, State
from booper.store.sqlite import open_store

async def attempt(path):
    try:
        async with open_store(path, "full", Random(1)):
            return "open"
    except StartError as error:
        return f"{type(error).__name__}: {error}"

with tempfile.TemporaryDirectory() as own:
    asyncio.run(attempt(Path(own, "own.db")))
os.chdir(sys.argv[2])
if os.geteuid() == 0:
    os.setuid(65534)
print(asyncio.run(attempt(Path(sys.argv[1]))))
"""


def opened_and_closed(path: Path) -> None:
    """Open the store at a path and close it again."""

    async def session() -> None:
        async with open_store(path, "full", Random(1)) as store:
            await store.check_writable(START)

    asyncio.run(session())


def refusal(path: Path) -> str:
    """Return why a path cannot serve as a database: one line that names it."""
    with pytest.raises(StartError) as caught:
        opened_and_closed(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def squeezed(text: str) -> str:
    """Return a text without its white space, for comparing SQL."""
    return re.sub(r"\s+", "", text)


def schema_of(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Return everything the schema of a file consists of."""
    return connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    ).fetchall()


def insert(connection: sqlite3.Connection, table: str, **changes: Any) -> None:
    """Insert the good row of a table with some of its columns changed."""
    row = {**ROWS[table], **changes}
    columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", row)


@contextmanager
def holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Open the store at a path in another process, which is gone afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def said_to_nobody(database: str, folder: Path) -> str:
    """Return what a process without privileges is told about a database in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", TRY_AS_NOBODY, database, str(folder)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a test's database goes."""
    return tmp_path / "booper.db"


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """Return a database in memory with the newest schema and, but for jobs and logs, a user."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, ":memory:")
        connection.execute("PRAGMA foreign_keys = ON")
        insert(connection, "users")
        yield connection


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user of the machine can reach; tmp_path is this user's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


# --- invariants -----------------------------------------------------------------------------------


def test_every_table_has_a_good_row_in_the_table() -> None:
    """`ROWS` covers the schema, and all of its rows can be stored together."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, ":memory:")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM pruning")
        connection.execute("DELETE FROM counted")
        for table in ROWS:
            insert(connection, table)
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        assert {name for (name,) in names} == set(ROWS)


def test_every_check_of_the_schema_is_in_the_table(database: sqlite3.Connection) -> None:
    """`CHECKS` names each CHECK of the newest schema, so that none goes untested."""
    tables = database.execute("SELECT sql FROM sqlite_schema WHERE type = 'table'")
    script = "\n".join(sql for (sql,) in tables)
    assert script.count("CHECK (") == len(CHECKS)
    for _, check, _ in CHECKS:
        assert squeezed(f"CHECK ({check})") in squeezed(script)


def test_a_check_of_a_job_needs_no_table_of_its_own() -> None:
    """SQLite fills a table for a list of three or more values, each time a row is written."""
    for table, check, _ in CHECKS:
        for values in re.findall(r"IN \(([^)]*)\)", check) if table in ("jobs", "logs") else ():
            assert values.count(",") < 2, check


@pytest.mark.parametrize(("table", "check", "changes"), CHECKS)
def test_a_row_that_breaks_an_invariant_is_refused(
    database: sqlite3.Connection, table: str, check: str, changes: list[dict[str, Any]]
) -> None:
    """Each CHECK refuses the rows it is there for, inserted."""
    for change in changes:
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed") as caught:
            insert(database, table, **change)
        assert squeezed(check) in squeezed(str(caught.value)), change


@pytest.mark.parametrize(("check", "changes"), [(c, r) for t, c, r in CHECKS if t == "jobs"])
def test_a_job_cannot_be_changed_into_what_breaks_an_invariant(
    database: sqlite3.Connection, check: str, changes: list[dict[str, Any]]
) -> None:
    """A stored job is held to every CHECK by an UPDATE as well."""
    insert(database, "jobs")
    for change in changes:
        assignments = ", ".join(f"{name} = :{name}" for name in change)
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed") as caught:
            database.execute(f"UPDATE jobs SET {assignments}", change)
        assert squeezed(check) in squeezed(str(caught.value)), change


@pytest.mark.parametrize("state", STATES)
def test_a_job_as_it_should_be_is_let_in(database: sqlite3.Connection, state: str) -> None:
    """Every state that is stored has a shape that no CHECK refuses."""
    insert(database, "jobs", state=state, **STATES[state])


@pytest.mark.parametrize(("table", "changes", "message"), OTHER_RULES)
def test_a_row_without_owner_value_or_type_is_refused(
    database: sqlite3.Connection, table: str, changes: dict[str, Any], message: str
) -> None:
    """References must exist, values must be there and of their column's type."""
    with pytest.raises(sqlite3.IntegrityError, match=message):
        insert(database, table, **changes)


@pytest.mark.parametrize(("table", "first", "second", "message"), PAIRS)
def test_a_second_row_of_the_same_name_is_refused(
    database: sqlite3.Connection,
    table: str,
    first: dict[str, Any],
    second: dict[str, Any],
    message: str,
) -> None:
    """Names, digests, UUIDs, keys that are held and planned times are there once."""
    if table != "users":
        insert(database, table, **first)
    with pytest.raises(sqlite3.IntegrityError, match=f"UNIQUE constraint failed: .*{message}"):
        insert(database, table, **second)


@pytest.mark.parametrize(("table", "first", "second"), PEACEFUL)
def test_rows_that_only_look_alike_are_let_in(
    database: sqlite3.Connection, table: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """What is unique is no more than it must be."""
    insert(database, table, **first)
    insert(database, table, **second)


def test_every_unique_index_is_in_the_tables(database: sqlite3.Connection) -> None:
    """`PAIRS` names each unique index of the schema but the integer keys, which SQLite counts."""
    said = {message for *_, message in PAIRS}
    tables = [
        name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    for table in set(tables) & set(ROWS):
        for _, index, is_unique, *_ in database.execute(f"PRAGMA index_list({table})").fetchall():
            columns = database.execute(f"PRAGMA index_info({index})").fetchall()
            names = ", ".join(f"{table}.{column}" for *_, column in columns)
            is_primary = names == "keys.id" or table in WITHOUT_NUMBERS
            assert not is_unique or names in said or is_primary, index


@pytest.mark.parametrize("state", ["completed", "discarded", "cancelled"])
def test_finished_jobs_may_share_a_key(database: sqlite3.Connection, state: str) -> None:
    """A key is held by unfinished jobs only (contract §5)."""
    insert(database, "jobs", idempotency_key="key", state=state, **STATES[state])
    insert(database, "jobs", idempotency_key="key", uuid=b"2" * 16)


# --- plans ----------------------------------------------------------------------------------------


def plan(connection: sqlite3.Connection, query: str, values: dict[str, object]) -> str:
    """Return how SQLite would run a query, in one line."""
    rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
    return "; ".join(row[3] for row in rows)


def test_the_refill_of_the_timers_reads_an_index_alone_and_sorts_nothing(
    database: sqlite3.Connection,
) -> None:
    """`DUE` costs what it returns, however many jobs wait."""
    values: dict[str, object] = {"at": 0, "id": 0, "limit": 10, "now": 0, "origins": "[]"}
    found = plan(database, queue.DUE, values)
    assert "USING COVERING INDEX jobs_waiting " in found
    assert "SEARCH" in found, "it must begin behind `after`, not read what lies before"
    assert found.count("TEMP B-TREE") == 1, "the last of the part is sought in the part"


def test_the_refill_of_an_origin_reads_an_index_alone_and_sorts_nothing(
    database: sqlite3.Connection,
) -> None:
    """`DUE_OF` reads the jobs of one origin, whatever waits for others."""
    values: dict[str, object] = {"origin": "https://a.test", "now": 0, "limit": 10, "ids": "[]"}
    found = plan(database, queue.DUE_OF, values)
    index = "jobs_waiting_of_origin (origin=? AND scheduled_at<?)"
    assert f"SEARCH jobs USING COVERING INDEX {index}" in found
    assert "TEMP B-TREE" not in found


SCHEDULE_VALUES: dict[str, object] = {"id": SCHEDULE, "next_at": 1}
EVENT_VALUES: dict[str, object] = {"parent_id": 1, "id": 1}
KEY_VALUES: dict[str, object] = {"user_id": USER, "key": "key", "now": 1}
# What runs within a create, a claim or a result, and the index that it must begin with.
SHORT: list[tuple[str, dict[str, object], str]] = [
    (job_rows.HOLDING_KEY, KEY_VALUES, "jobs_by_key"),
    (job_rows.LEFT_IDS, {"owner": 1}, "jobs_executing"),
    (job_rows.EARLIER_EVENT, EVENT_VALUES, "jobs_by_parent"),
    (job_rows.NEXT_EVENT, EVENT_VALUES, "jobs_by_parent"),
    (schedule_rows.FIND_DUE, SCHEDULE_VALUES, "jobs_unfinished_of_schedule"),
    (schedule_rows.IS_TAKEN, {"id": SCHEDULE, "at": 1, "but": 0}, "jobs_planned"),
    (schedule_rows.WAITING_RUN, SCHEDULE_VALUES, "jobs_planned"),
    (schedule_rows.FIND_WITH_WAITING_RUN, SCHEDULE_VALUES, "jobs_planned"),
]


@pytest.mark.parametrize(("query", "values", "index"), SHORT)
def test_what_happens_often_is_found_by_an_index_and_not_sorted(
    database: sqlite3.Connection, query: str, values: dict[str, object], index: str
) -> None:
    """No create, claim or result reads a whole table."""
    found = plan(database, query, values)
    assert re.search(rf"USING (COVERING )?INDEX ({index})\b", found), found
    assert not found.startswith("SCAN jobs") or "jobs_executing" in found
    assert "TEMP B-TREE" not in found


def test_a_schedules_key_is_looked_for_among_its_holders(database: sqlite3.Connection) -> None:
    """Only the schedules of that very key are read, however many there are."""
    found = plan(database, schedule_rows.HOLDING_KEY, KEY_VALUES)
    assert re.search(
        r"^SEARCH schedules USING INDEX \w+ \(user_id=\? AND idempotency_key=\?", found
    )
    assert "SCAN" not in found


@pytest.mark.parametrize("query", [schedule_rows.NEWEST_RUN, schedule_rows.LATEST_RUN])
def test_a_schedules_last_run_is_looked_for_among_its_own(
    database: sqlite3.Connection, query: str
) -> None:
    """The runs of other schedules are not read."""
    found = plan(database, query, SCHEDULE_VALUES)
    assert re.search(r"SEARCH jobs USING INDEX \w+ \(schedule_id=\?", found)


# Each index, what needs it, and which rows have an entry there: a move of a job from waiting to
# executing takes four entries away and adds one, its end takes that one and adds two.
INDEXES = {
    "jobs_waiting": "the timers read what is due; jobs that wait",
    "jobs_waiting_of_origin": "the queues read what is due of one origin; jobs that wait",
    "jobs_executing": "a rescue, and lists of what executes; a few dozen jobs",
    "jobs_by_id": "lists by id; jobs that do not execute",
    "jobs_by_time": "lists by time; jobs that do not execute",
    "jobs_by_schedule": "a schedule's newest run, lists of its jobs; runs",
    "jobs_unfinished_of_schedule": "whether a run is blocked; runs that have not ended",
    "jobs_by_parent": "the event before and behind another; reports",
    "jobs_by_key": "who holds a key; jobs with one",
    "jobs_holding_key": "no key is held twice; unfinished jobs with one",
    "jobs_kept_until": "those whose own time is over are deleted; finished ones with keep_for",
    "jobs_planned": "no time is planned twice, and whether it is taken; runs",
    "job_tags_by_job": "a job's tags are replaced; tags",
    "schedules_by_user": "lists; schedules",
    "schedules_by_key": "who holds a key until its last run has ended; schedules with one",
    "schedules_holding_key": "no key is held twice; schedules with one that go on",
    "logs_by_job": "a job's log; rows of the log",
    "logs_by_event": "lists by event and of all; rows of the log",
    "buckets_by_time": "old ones are deleted; one for each five minutes and hour",
    "days_by_time": "old ones are deleted; one for each day and user",
    "audit_by_object": "who changed a schedule; changes",
    "audit_by_time": "old ones are deleted; changes",
    "sessions_by_use": "old ones are deleted; one for each sign-in",
}


def test_every_index_is_weighed(database: sqlite3.Connection) -> None:
    """What it is for and what it costs stands in the table; an index is paid for at each write."""
    names = database.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    )
    assert {name for (name,) in names} == set(INDEXES)


# --- migrations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("known", range(len(migrations()) + 1))
def test_a_file_of_any_earlier_version_becomes_a_fresh_one(known: int) -> None:
    """A file that has seen the first `known` migrations ends with the schema of them all."""
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as older,
    ):
        migrate(fresh, "fresh.db")
        for script in migrations()[:known]:
            add_functions(older)
            older.executescript(script)
        if known:
            older.execute(f"PRAGMA user_version = {known}")
            older.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(older, "older.db")
        assert schema_of(older) == schema_of(fresh)
        assert older.execute("PRAGMA user_version").fetchone() == (len(migrations()),)
        assert older.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_second_start_changes_nothing(path: Path) -> None:
    """An up-to-date file is opened as it is, data and schema."""
    opened_and_closed(path)
    with closing(sqlite3.connect(path)) as connection:
        insert(connection, "users")
        connection.commit()
        before = schema_of(connection)
    opened_and_closed(path)
    with closing(sqlite3.connect(path)) as connection:
        assert schema_of(connection) == before
        assert connection.execute("SELECT name FROM users").fetchall() == [("alice",)]


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    """What `touch` or a temporary-file maker left is as good as no file."""
    path.touch()
    opened_and_closed(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations()),)


# --- how the file is opened -----------------------------------------------------------------------


def pragma(connection: Connection, name: str) -> int | str:
    """Open a connection and return what one of its pragmas says."""

    async def ask() -> int | str:
        async with connection as opened:
            value: int | str = (
                await opened.run(lambda raw: raw.execute(f"PRAGMA {name}").fetchone())
            )[0]
            return value

    return asyncio.run(ask())


@pytest.mark.parametrize(("durability", "expected"), [("full", 2), ("normal", 1)])
def test_durability_decides_when_the_disk_is_waited_for(
    path: Path, durability: str, expected: int
) -> None:
    """FULL is 2: each commit is synced; NORMAL is 1 (sqlite.org/pragma.html#pragma_synchronous)."""
    assert pragma(writing(path, durability), "synchronous") == expected


def test_the_writing_connection_checks_references_and_bounds_the_log(path: Path) -> None:
    """References hold, and the log is cut back to under 64 MB after a checkpoint."""
    assert pragma(writing(path, "full"), "foreign_keys") == 1
    assert pragma(writing(path, "full"), "wal_autocheckpoint") == CHECKPOINT_PAGES
    limit = pragma(writing(path, "full"), "journal_size_limit")
    assert isinstance(limit, int)
    assert 0 < limit < 64_000_000


def test_the_reading_connection_can_change_nothing(path: Path) -> None:
    """It neither writes nor makes a file that is not there."""
    with pytest.raises(sqlite3.OperationalError):
        pragma(reading(path), "query_only")
    assert not path.exists()
    opened_and_closed(path)
    assert pragma(reading(path), "query_only") == 1


def test_a_new_file_can_give_back_pages_in_steps(path: Path) -> None:
    """INCREMENTAL is 2 (sqlite.org/pragma.html#pragma_auto_vacuum)."""
    opened_and_closed(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_the_file_is_in_wal_mode(path: Path) -> None:
    """Readers and backups do not wait for the writer."""
    opened_and_closed(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("name", ["two words.db", "what?#&%41.db", "größe.db", "-x"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """A name that a URI would have to quote is still that file's name."""
    opened_and_closed(tmp_path / name)
    assert (tmp_path / name).stat().st_size > 0
    assert {item.name for item in tmp_path.iterdir()} == {name, f"{name}.lock"}


@pytest.mark.parametrize("umask", ["077", "027", "022", "000"])
def test_the_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path, umask: str) -> None:
    """Jobs hold secrets: nobody else reads the database, its log or its lock (0600)."""
    path = tmp_path / "booper.db"
    script = f"import os; os.umask(0o{umask})\n{HOLD}"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        modes = {item.name: stat.S_IMODE(item.stat().st_mode) for item in tmp_path.iterdir()}
        process.communicate("")
    names = ("booper.db", "booper.db-wal", "booper.db-shm", "booper.db.lock")
    assert modes == dict.fromkeys(names, 0o600)


def test_a_file_that_is_there_keeps_its_mode(path: Path) -> None:
    """Who opened it to a group on purpose finds it so after the next start."""
    opened_and_closed(path)
    path.chmod(0o640)
    opened_and_closed(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


# --- files that cannot serve ----------------------------------------------------------------------


def test_a_newer_boopers_file_is_refused_and_left_alone(path: Path) -> None:
    """A schema this version does not know is named, and not a byte of the file changes."""
    opened_and_closed(path)
    newer = len(migrations()) + 1
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    before = path.read_bytes()
    message = refusal(path)
    assert "newer booper" in message
    assert f"schema {newer}" in message
    assert path.read_bytes() == before


def test_a_newer_boopers_file_keeps_its_log(path: Path) -> None:
    """Of one that was killed, the log is not moved into the file either."""
    opened_and_closed(path)
    newer = len(migrations()) + 1
    with closing(sqlite3.connect(path)) as writer:
        writer.execute(f"PRAGMA user_version = {newer}")
        for suffix in ("", "-wal"):
            path.with_name(f"killed.db{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    killed, log = path.with_name("killed.db"), path.with_name("killed.db-wal")
    before = killed.read_bytes(), log.read_bytes()
    assert "newer booper" in refusal(killed)
    assert (killed.read_bytes(), log.read_bytes()) == before


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE songs (name TEXT)",
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY)",
        f"CREATE TABLE songs (name TEXT); PRAGMA user_version = {len(migrations())}",
        "CREATE TABLE songs (name TEXT); PRAGMA application_id = 252006674",
        "PRAGMA journal_mode = WAL; CREATE TABLE songs (name TEXT)",
        # No table yet, but the mark or the version of somebody else.
        "PRAGMA application_id = 252006674",
        "PRAGMA user_version = 1",
    ],
)
def test_another_programs_database_is_refused_and_left_alone(path: Path, script: str) -> None:
    """A database without booper's mark is somebody else's: not a byte of it changes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    before = path.read_bytes()
    assert "another program" in refusal(path)
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    """Random bytes, and text, are no database."""
    for content in (Random(7).randbytes(20_000), b"Dear diary,\n" * 1_000, b"xx"):
        path.write_bytes(content)
        with pytest.raises(UnusableDatabase):
            opened_and_closed(path)
        assert "file is not a database" in refusal(path)
        assert path.read_bytes() == content


@pytest.mark.parametrize("size", [50, 100, 512, 4_096, 6_000, 8_192, -4_096])
def test_a_truncated_database_is_refused_and_left_alone(path: Path, size: int) -> None:
    """A file that lacks a page or more is refused, and kept for whoever repairs it."""
    opened_and_closed(path)
    whole = path.read_bytes()
    assert len(whole) > 3 * 4_096
    path.write_bytes(whole[:size])
    refusal(path)
    assert path.read_bytes() == whole[:size]


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """A folder in the file's place is refused."""
    folder = tmp_path / "folder"
    folder.mkdir()
    refusal(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", [".", "/"])
def test_a_path_that_names_no_file_is_refused(name: str) -> None:
    """A path with nothing after its last slash is an error of the operator's, not a crash."""
    with pytest.raises(StartError):
        opened_and_closed(Path(name))


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    """A database is made where its folder is, and nowhere else."""
    message = refusal(tmp_path / "absent" / "booper.db")
    assert message.endswith(f"there is no folder {tmp_path / 'absent'}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    """Without the right to write beside the database there is no lock, and no start."""
    open_folder.chmod(0o555)
    said = said_to_nobody("booper.db", open_folder)
    assert said.startswith("StartError: ")
    assert said.endswith("booper.db.lock: Permission denied")
    assert "\n" not in said


def test_a_file_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    """A database that may only be read cannot serve, though its folder may be written."""
    opened_and_closed(open_folder / "booper.db")
    (open_folder / "booper.db.lock").unlink()
    (open_folder / "booper.db").chmod(0o444)
    open_folder.chmod(0o777)
    said = said_to_nobody("booper.db", open_folder)
    assert said.startswith("UnusableDatabase: ")
    assert "booper.db" in said
    assert "\n" not in said


# --- one process per database ---------------------------------------------------------------------


def test_a_database_that_another_process_serves_is_refused_until_that_ends(path: Path) -> None:
    """The refusal names the holder; once it has stopped, its database can be opened."""
    with holding(path) as process:
        with pytest.raises(DatabaseLocked):
            opened_and_closed(path)
        assert f"process {process.pid}" in refusal(path)
        process.communicate("")
        assert process.returncode == 0
        opened_and_closed(path)


def test_a_lock_dies_with_its_holder(path: Path) -> None:
    """A process that was killed leaves no lock behind, only the file."""
    with holding(path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert path.with_name("booper.db.lock").exists()
        opened_and_closed(path)


def test_a_second_opening_in_the_same_process_is_refused(path: Path) -> None:
    """Two stores over one file would each believe to be the only writer."""

    async def twice() -> None:
        async with open_store(path, "full", Random(1)):
            with pytest.raises(DatabaseLocked, match=f"process {os.getpid()}"):
                async with open_store(path, "full", Random(1)):
                    pass

    asyncio.run(twice())
    opened_and_closed(path)


def test_another_name_of_a_locked_database_is_locked_too(path: Path) -> None:
    """A symbolic link to the file is the same database."""
    link = path.with_name("link.db")
    with holding(path):
        link.symlink_to(path)
        with pytest.raises(DatabaseLocked):
            opened_and_closed(link)


def test_a_lock_does_not_shut_out_a_reader(path: Path) -> None:
    """A backup can be made from outside while booper serves the file."""
    with holding(path), closing(sqlite3.connect(path)) as other:
        copied: sqlite3.Connection
        with closing(sqlite3.connect(":memory:")) as copied:
            other.backup(copied)
            assert schema_of(copied) == schema_of(other) != []


def test_a_refused_start_gives_its_lock_back(path: Path) -> None:
    """After the reason of a refusal is gone, the same process can open the database."""
    path.write_bytes(b"no database" * 100)
    refusal(path)
    path.unlink()
    opened_and_closed(path)
