"""A SQLite database with rows of all kinds, and whether two databases have the same rows.

Rows are written and compared by SQL of their own, not by what moves them.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from tests.support.databases import make_database

TEXTS = (
    "plain",
    "",
    "nul \0 inside",
    "\0",
    "\uffff",
    "\uffff0 and \uffff1",
    "ünï 😀",
    "tab \t, line \n, \\N, \\.",
    """quotes ' " {a,b} NULL""",
)
"""What users may write, and what databases write in a way of their own."""

NOON = 1_893_499_200_000_000
"""2030-01-01 12:00 UTC."""

DAY = 86_400_000_000

# What a database makes of its rows, or draws at each start.
DERIVED = {"job_counts", "counted", "owners", "pulse", "sqlite_sequence", "finished_move"}


def fill(path: Path, seed: int, jobs: int = 60) -> None:
    """Make a database of rows of all kinds, the same ones for the same seed."""
    make_database(path)
    with closing(sqlite3.connect(path)) as connection:
        Filling(connection, Random(seed)).fill(jobs)
        connection.commit()


class Filling:
    """What writes the rows, one table after the other."""

    def __init__(self, connection: sqlite3.Connection, random: Random) -> None:
        self._connection = connection
        self._random = random
        self._users: list[bytes] = []
        self._keys: list[bytes] = []
        self._schedules: list[bytes] = []
        self._executing: list[tuple[int, int]] = []
        self._days: dict[tuple[bytes, int], Counter[str]] = {}

    def fill(self, jobs: int) -> None:
        """Write rows to all tables; with this many jobs."""
        for _ in range(7):
            self._connection.execute("INSERT INTO owners DEFAULT VALUES")
        for number in range(3):
            self._user(number)
        for _ in range(jobs // 6 + 1):
            self._schedule()
        for number in range(1, jobs + 1):
            self._job(number)
        self._logs(jobs + 5, -1)  # of a job that is gone
        self._rest(jobs)
        for (user, begins_at), sums in self._days.items():
            self._insert("days", user_id=user, begins_at=begins_at, **sums)
        # The newest ones are gone, and their numbers are not given again.
        for table in ("jobs", "audit", "incidents"):
            self._insert_as_last(table, 1000 + jobs)
        self._connection.execute("UPDATE counted SET job_id = (SELECT max(id) FROM jobs)")

    def _user(self, number: int) -> None:
        user = self._uuid()
        self._users.append(user)
        name = f"{number} {self._text()}"
        self._insert("users", id=user, name=name, inserted_at=self._time())
        for scope in ("read", "write", "admin"):
            key = self._uuid()
            self._keys.append(key)
            self._insert(
                "keys",
                id=key,
                user_id=user,
                name=self._text(),
                scope=scope,
                digest=self._random.randbytes(32),
                inserted_at=self._time(),
                revoked_at=self._maybe(self._time()),
                last_used_at=self._maybe(self._time()),
            )
            times = {"inserted_at": self._time(), "last_used_at": self._time()}
            self._insert("sessions", digest=self._random.randbytes(32), key_id=key, **times)

    def _schedule(self) -> None:
        schedule, is_ended = self._uuid(), self._random.random() < 0.3
        self._schedules.append(schedule)
        self._insert(
            "schedules",
            id=schedule,
            user_id=self._pick(self._users),
            idempotency_key=self._maybe(f"{schedule.hex()} {self._text()}"),
            name=self._maybe(self._text()),
            description=self._maybe(self._text()),
            origin=self._origin(),
            args=self._json(),
            anchor=self._time(),
            next_at=None if is_ended else self._time(),
            runs=self._random.randrange(1000),
            state=self._json(),
            previous=self._json(),
            gap=self._maybe(self._json()),
            inserted_at=self._time(),
            disabled_at=self._maybe(self._time()),
            ended_at=self._time() if is_ended else None,
        )

    def _job(self, number: int) -> None:
        kind = self._pick(["request", "run", "callback", "webhook", "channel"])
        state = self._pick(
            ["scheduled", "executing", "retryable", "completed", "discarded", "cancelled"]
        )
        may_be_new = state in ("scheduled", "cancelled")
        attempt = 0 if may_be_new and self._random.random() < 0.5 else self._random.randint(1, 9)
        if state == "executing":
            self._executing.append((number, attempt))
        ended: dict[str, int | None] = {
            f"{each}_at": None for each in ("completed", "discarded", "cancelled")
        }
        if f"{state}_at" in ended:
            ended[f"{state}_at"] = self._time()
        self._insert(
            "jobs",
            id=number,
            uuid=self._uuid(),
            user_id=self._pick(self._users),
            kind=kind,
            schedule_id=self._pick(self._schedules) if kind == "run" else None,
            parent_id=self._maybe(self._random.randint(1, 99)),
            idempotency_key=self._maybe(f"{number} {self._text()}"),
            key_until=self._maybe(self._time()),
            name=self._maybe(self._text()),
            description=self._maybe(self._text()),
            origin=self._origin(),
            path=self._random.randint(-(2**63), 2**63 - 1),
            args=self._json(),
            state=state,
            attempt=attempt,
            max_attempts=self._random.randint(1, 20),
            interruptions=self._random.randrange(3),
            inserted_at=self._time(),
            scheduled_at=self._time(),
            planned_at=NOON + number,
            retry_until=self._maybe(self._time()),
            attempted_at=self._time() if attempt else None,
            last_error=self._maybe(self._text()),
            owner=self._random.randint(1, 7),
            epoch=attempt,
            held_since=self._maybe(self._time()),
            keep_for=self._maybe(DAY),
            **ended,
        )
        for tag in {self._text() for _ in range(self._random.randrange(3))}:
            self._insert("job_tags", tag=tag, job_id=number)
        self._logs(number, self._random.randrange(3))
        for each in range(attempt % 3):
            self._wait(number, each)

    def _logs(self, job_id: int, count: int) -> None:
        for _ in range(abs(count)):
            requested_at = self._maybe(self._time())
            self._insert(
                "logs",
                id=self._uuid(),
                user_id=self._pick(self._users),
                job_id=job_id,
                kind="request",
                event=self._pick(["worker.http.request", "schedule.skipped"]),
                inserted_at=self._time(),
                payload=self._json(),
                request=None if requested_at is None else self._json(),
                requested_at=requested_at,
            )

    def _wait(self, job_id: int, attempt: int) -> None:
        times = {"since": self._time(), "until": self._time()}
        ids = {"job_id": job_id, "attempt": attempt}
        self._insert("waits", **ids, reason="slot", target=self._origin(), **times)

    def _rest(self, jobs: int) -> None:
        for target in {self._text() for _ in range(5)}:
            self._insert("pauses", target=target, paused_at=self._time())
        for number in range(jobs):
            self._change(number + 1, jobs)
            self._incident()
            self._bucket(number)
        for number in range(5):
            self._alert(number)
        if self._executing:
            job_id, attempt = self._pick(self._executing)
            self._insert("alone", id=1, job_id=job_id, attempt=attempt)
        begins_at = self._maybe(self._time())
        self._connection.execute("UPDATE pruning SET begins_at = ?", (begins_at,))

    def _change(self, number: int, jobs: int) -> None:
        self._insert(
            "audit",
            id=number,
            at=self._time(),
            key_id=self._maybe(self._pick(self._keys)),
            user_id=self._maybe(self._pick(self._users)),
            action="cancel",
            kind="job",
            object=self._text(),
            jobs=self._random.randrange(9),
            detail=self._text(),
        )
        for job_id in self._random.sample(range(1, jobs + 1), min(jobs, 3)):
            self._insert("audit_jobs", job_id=job_id, audit_id=number)

    def _incident(self) -> None:
        self._insert(
            "incidents",
            kind=self._pick(["discarded", "skipped"]),
            job_id=self._random.randint(1, 99),
            schedule_id=self._maybe(self._pick(self._schedules)),
            name=self._text(),
            origin=self._origin(),
            tags=json.dumps([self._text()]),
            reason=self._text(),
            count=self._random.randint(1, 9),
        )

    def _bucket(self, number: int) -> None:
        row = self._connection.execute("SELECT * FROM buckets LIMIT 0")
        numbers = {each[0]: self._random.randrange(100) for each in row.description[3:]}
        user, origin = self._pick(self._users), self._pick(["", self._origin()])
        begins_at = NOON + number * 300_000_000
        self._insert("buckets", user_id=user, origin=origin, begins_at=begins_at, **numbers)
        if not origin:
            day = (user, begins_at - begins_at % 86_400_000_000)
            self._days.setdefault(day, Counter()).update(numbers)

    def _alert(self, number: int) -> None:
        times = {name: self._time() for name in ("since", "last_at")}
        self._insert(
            "alerts",
            kind=self._pick(["job", "schedule"]),
            key=f"{number} {self._text()}",
            id=self._uuid(),
            subject=self._text(),
            detail=self._text(),
            path=self._text(),
            count=self._random.randint(1, 9),
            closed_at=self._maybe(self._time()),
            told="nothing",
            told_at=self._maybe(self._time()),
            told_count=0,
            **times,
        )

    def _insert_as_last(self, table: str, number: int) -> None:
        statement = "UPDATE sqlite_sequence SET seq = ? WHERE name = ?"
        self._connection.execute(statement, (number, table))

    def _insert(self, table: str, **values: Any) -> None:
        names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)

    def _pick(self, values: Sequence[Any]) -> Any:
        return self._random.choice(values)

    def _maybe(self, value: Any) -> Any:
        return value if self._random.random() < 0.5 else None

    def _text(self) -> str:
        return self._random.choice(TEXTS)

    def _json(self) -> str:
        return json.dumps({"text": self._text(), "body": "x" * self._random.choice([0, 10, 300])})

    def _origin(self) -> str:
        return f"https://{self._random.randrange(4)}.test"

    def _time(self) -> int:
        return NOON + self._random.randrange(-30 * DAY, 30 * DAY)

    def _uuid(self) -> bytes:
        return UUID(bytes=self._random.randbytes(16), version=4).bytes


def differences(one: Path, other: Path) -> list[str]:
    """Return in which tables two SQLite files differ, and whether the counts of jobs do."""
    with closing(sqlite3.connect(one)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),))
        tables = _tables(connection, "main") | _tables(connection, "other")
        found = [table for table in sorted(tables - DERIVED) if _differ(connection, table)]
        counted = connection.execute(
            """
            SELECT user_id, kind, state, count(*) FROM main.jobs GROUP BY 1, 2, 3
            EXCEPT SELECT user_id, kind, state, count FROM other.jobs_by_state
            """
        ).fetchall()
        return found + ["counts of jobs"] * bool(counted)


def drawn(path: Path) -> Mapping[str, int]:
    """Return the last numbers that a SQLite file has given."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))


def _tables(connection: sqlite3.Connection, schema: str) -> set[str]:
    query = f"SELECT name FROM {schema}.sqlite_schema WHERE type = 'table'"
    return {name for (name,) in connection.execute(query)}


def _differ(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether one of two files has another number of rows, or a row of its own."""
    counts = f"SELECT (SELECT count(*) FROM main.{table}) <> (SELECT count(*) FROM other.{table})"
    own = f"SELECT EXISTS (SELECT * FROM {{}}.{table} EXCEPT SELECT * FROM {{}}.{table})"
    queries = (counts, own.format("main", "other"), own.format("other", "main"))
    try:
        return any(connection.execute(query).fetchone()[0] for query in queries)
    except sqlite3.OperationalError:  # one of them has no such table
        return True
