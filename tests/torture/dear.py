"""Requests that are made to be dear, in every way in that users have, and the rows they meet.

Each is small enough to be accepted by the server. What makes it dear is said in its name.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import available_timezones

import msgspec

from booper.store.rules.settling import MAX_JOB_ENTRIES
from tests.benchmarks.fill import NUMBERS, copy_rows, uuid_of

MIB = 1 << 20
URL = "http://127.0.0.1:9/"
NO_MATCH = "https://nothing.example/"
RARE = "0 0 29 2 */7"
BIG_JOBS = 100
BIG_ENTRIES = 100
RUNS = 300
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Dear:
    """A request that is made to be dear; one that changes what it meets is sent once."""

    name: str
    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    statuses: frozenset[int] = frozenset({200, 201})
    is_once: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """What the requests meet: a schedule with many runs, and a job with a large log."""

    schedule: str
    job: int


def requests(table: Table, batch: int) -> Iterator[Dear]:
    """Yield every request; `batch` is how many creates one of many holds."""
    yield from _batches(batch)
    yield from _creates()
    yield from _forms()
    yield from _lists(table)
    yield from _logs(table)
    yield from _schedules(table)
    yield from _others()
    yield from _changes(table, batch)


def prepare(folder: Path, rows: int) -> Table:
    """Put rows beside the one waiting job that each database begins with."""
    with closing(sqlite3.connect(folder / "booper.db", isolation_level=None)) as connection:
        connection.create_function("uuid_of", 1, uuid_of, deterministic=True)
        connection.create_function("big_args", 0, _big_args, deterministic=True)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        connection.execute("BEGIN")
        table = _fill(connection, rows)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return table


def _fill(connection: sqlite3.Connection, rows: int) -> Table:
    (last,) = connection.execute("SELECT max(id) FROM jobs").fetchone()
    tag = "INSERT INTO job_tags SELECT ?, id FROM jobs WHERE id <= ?"
    connection.execute(tag, ("many", last // 3))
    connection.execute(tag, ("more", last // 5))
    # Waiting jobs with a body of almost a mebibyte.
    big = {"id": "NULL", "uuid": f"uuid_of({10 * rows} + number)", "args": "big_args()"}
    copy_rows(connection, "jobs", big, BIG_JOBS, "WHERE id = 1")
    connection.execute("INSERT INTO job_tags SELECT 'big', id FROM jobs WHERE id > ?", (last,))
    # Cancelled runs of one schedule, a third of all jobs.
    schedule, run = connection.execute(
        "SELECT schedule_id, id FROM jobs WHERE schedule_id IS NOT NULL"
    ).fetchone()
    cancelled = {
        "id": "NULL",
        "uuid": f"uuid_of({20 * rows} + number)",
        "planned_at": "planned_at + number",
        "state": "'cancelled'",
        "cancelled_at": "inserted_at",
    }
    copy_rows(connection, "jobs", cancelled, rows // 3, f"WHERE id = {run}")
    # A log that is as long as one job's may be, long entries first; and one entry of many jobs.
    values = "uuid_of({}), user_id, id, kind, 'worker.http.response', inserted_at, {} FROM jobs"
    entries = "INSERT INTO logs (id, user_id, job_id, kind, event, inserted_at, payload)"
    long = f"json_object('status', 500, 'body', hex(zeroblob({MIB // 8})))"
    for first, count, payload in ((30, BIG_ENTRIES, long), (40, MAX_JOB_ENTRIES, "'{}'")):
        select = values.format(f"{first * rows} + number", payload)
        query = f"{entries} {NUMBERS} SELECT {select} CROSS JOIN numbers WHERE jobs.id = 1"
        connection.execute(query, {"count": count})
    select = values.format(f"{50 * rows} + id", "'{}'")
    connection.execute(f"{entries} SELECT {select} WHERE id BETWEEN 2 AND ?", (rows // 3,))
    return Table(str(UUID(bytes=schedule)), 1)


def _big_args() -> str:
    return '{"method":"post","url":"http://127.0.0.1:9/","body":"%s"}' % ("x" * (MIB - 100))


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _batch(name: str, jobs: Sequence[Any], path: str = "", status: int = 201) -> Dear:
    body = _json({"jobs": jobs})
    return Dear(
        f"batch: {name}",
        "POST",
        f"/api/jobs/batch{path}",
        body,
        tuple(JSON.items()),
        frozenset({status}),
    )


def _zones(count: int) -> list[str]:
    names = sorted(name for name in available_timezones() if "/" in name)
    return list(islice(cycle(names), count))


def _batches(count: int) -> Iterator[Dear]:
    numbers, zones = range(count), _zones(count)
    later = {"url": URL, "schedule_in": [1, "week"]}
    local = {"starts_at": "2040-01-01T00:00", "ends_at": "2041-01-01T00:00"}
    yield _batch("unknown zones", [{**later, "timezone": f"Europe/Berlyn{n}"} for n in numbers])
    yield _batch(
        "local times in unknown zones",
        [
            {"url": URL, "cron": "0 0 1 1 *", "timezone": f"Erope/Belin{n}", **local}
            for n in numbers
        ],
    )
    yield _batch(
        "local times in all zones",
        [{"url": URL, "cron": RARE, "timezone": zone, **local} for zone in zones],
    )
    yield _batch(
        "rare crons in all zones", [{"url": URL, "cron": RARE, "timezone": zone} for zone in zones]
    )
    yield _batch(
        "unknown fields",
        [{"url": URL, **{f"scheduled_att{n}": 1 for n in range(101)}} for _ in numbers],
    )
    yield _batch(
        "unknown fields, all or none",
        [{"url": URL, **{f"scheduled_att{n}": 1 for n in range(101)}} for _ in numbers],
        "?atomic=true",
        422,
    )
    yield _batch(
        "members of a wrong shape",
        [{"url": URL, "headers": {f"X-{n}": [] for n in range(101)}} for _ in numbers],
    )
    words = [{"url": URL, "cron": f"0 0 * * {'SUNDAY' * 60}{n}"} for n in numbers]
    yield _batch("crons with long words", words)
    lists = ",".join(map(str, range(60))) + " " + ",".join(map(str, range(24))) + " * * *"
    yield _batch("crons with long lists", [{"url": URL, "cron": lists} for _ in numbers])
    yield _batch("schedules", [{"url": URL, "repeat_every": 86_400} for _ in numbers])
    tags = [f"tag {n}" for n in range(20)]
    yield _batch("twenty tags each", [{**later, "tags": tags} for _ in numbers])
    headers = {f"X-{n}": "x" * 60 for n in range(100)}
    yield _batch("a hundred headers each", [{**later, "headers": headers} for _ in numbers])
    yield _batch("keys", [{**later, "idempotency_key": f"key {n}"} for n in numbers])
    big = {**later, "body": "x" * (MIB - 1_000)}
    yield _batch("large bodies", [big] * 15)
    yield _batch("large bodies of many parts", [{**later, "body": [[]] * (MIB // 4)}] * 15)
    held = {**big, "idempotency_key": "of a large job"}
    small = {"url": URL, "idempotency_key": "of a large job"}
    yield _batch("a key that a large job holds", [held, *[small] * (count - 1)])


def _post(name: str, body: bytes, *statuses: int, path: str = "/api/jobs") -> Dear:
    return Dear(name, "POST", path, body, tuple(JSON.items()), frozenset(statuses or {201}))


def _creates() -> Iterator[Dear]:
    later = {"url": URL, "schedule_in": [1, "week"]}
    yield _post("create: 20,000 unknown fields", _json({f"u{n}": 1 for n in range(20_000)}), 422)
    yield _post("create: a body that never ends", b'{"url": "x", "body": ' + b"[" * 900_000, 400)
    yield _post("create: a wide body", _json({**later, "body": [[]] * 340_000}))
    yield _post("create: a wide body of objects", _json({**later, "body": [{}] * 340_000}))
    tower = b"[" * 190 + b"]" * 190
    deep = b",".join([tower] * 2_700)
    yield _post("create: many deep bodies", _json(later)[:-1] + b',"body":[' + deep + b"]}")
    numbers = {**later, "body": list(range(100_000, 240_000))}
    yield _post("create: many numbers", _json(numbers))
    names = {f"X-{n}": "" for n in range(60_000)}
    yield _post("create: 60,000 headers", _json({**later, "headers": names}), 422)
    yield _post("create: a wide query", _json({**later, "query": {"a": [1] * 450_000}}), 422)
    yield _post("create: a query of many names", _json({**later, "query": names}), 422)
    recurring = {"url": URL, "cron": "0 0 1 1 *"}
    wide = {"a": [1] * 450_000}
    yield _post("create: a wide query of a schedule", _json({**recurring, "query": wide}), 201, 422)
    yield _post("create: 300,000 tags", _json({**later, "tags": [""] * 300_000}), 422)
    yield _post("create: 300,000 waits", _json({**later, "backoff": [1] * 450_000}), 422)
    yield _post("create: 400,000 statuses", _json({**later, "expect_status": [0] * 450_000}), 422)
    yield _post("create: a long key", _json({**later, "idempotency_key": "k" * MIB})[:MIB], 400)
    long = _json({**later, "idempotency_key": "k" * 1_000_000})
    yield _post("create: a key of a million", long, 422)
    yield _post("create: a url of a million", _json({"url": URL + "a" * 1_000_000}), 422)
    zone = {**recurring, "timezone": "Europe/" + "Berlin" * 150_000}
    yield _post("create: a zone of a million", _json(zone), 422)
    yield _post("create: a cron of a million", _json({"url": URL, "cron": "1," * 500_000}), 422)
    yield _post("create: a date of a million", _json({**later, "starts_at": "2" * 10**6}), 422)
    dry = "/api/jobs?dry_run=true"
    yield _post("dry run: a rare cron", _json({"url": URL, "cron": RARE}), 200, path=dry)
    many = {**later, "max_attempts": 10_000, "backoff": [1] * 100}
    yield _post("dry run: 10,000 attempts", _json(many), 200, path=dry)
    strings = {**recurring, "method": "post", "body": ["$state.a"] * 80_000}
    yield _post("dry run: 80,000 references", _json(strings), 200, path=dry)
    strings = {**recurring, "method": "post", "body": ["$a"] * 200_000}
    yield _post("dry run: a wide body", _json(strings), 200, path=dry)


def _form(name: str, body: str, *statuses: int) -> Dear:
    found = frozenset(statuses)
    return Dear(f"form: {name}", "POST", "/api/jobs", body.encode(), tuple(FORM.items()), found)


def _forms() -> Iterator[Dear]:
    url = urlencode({"url": URL, "schedule_in": 604_800})
    yield _form("1,000 fields", url + "".join(f"&body[a{n}]=x" for n in range(990)), 201)
    yield _form("1,000 unknown fields", url + "".join(f"&u{n}=x" for n in range(990)), 422)
    yield _form("deep fields", url + "".join(f"&body{'[a]' * 15}[{n}]=" for n in range(900)), 201)
    yield _form("too many fields", "a=&" * 300_000, 400)
    yield _form("a name of a million", url + "&" + "[" * 900_000 + "=", 400)
    yield _form("a value of escapes", url + "&body[a]=" + "%41" * 300_000, 201)
    yield _form("escapes and letters by turns", url + "&body[a]=" + "a%41" * 250_000, 201)
    yield _form("percent signs alone", url + "&body[a]=" + "%" * 900_000, 400)
    many = "".join(f"&body[a{n}]={'%' * 1_000}" for n in range(900))
    yield _form("fields of percent signs", url + many, 400)


def _get(name: str, path: str, *statuses: int) -> Dear:
    return Dear(name, "GET", path, statuses=frozenset(statuses or {200}))


def _lists(table: Table) -> Iterator[Dear]:
    nothing = urlencode({"url_prefix": NO_MATCH})
    for order in ("id,desc", "id,asc", "scheduled_at,desc", "scheduled_at,asc"):
        yield _get(f"list: no such url, by {order}", f"/api/jobs?{nothing}&order_by={order}")
    yield _get("list: no such url, far out", f"/api/jobs?{nothing}&offset=10000")
    yield _get("list: no such url of a tag", f"/api/jobs?{nothing}&tag=many")
    by_time = "order_by=scheduled_at,asc"
    yield _get("list: no such url of a tag, by time", f"/api/jobs?{nothing}&tag=many&{by_time}")
    yield _get("list: a tag, by time, far out", f"/api/jobs?tag=more&{by_time}&offset=10000")
    yield _get(
        "list: two sets that do not meet", f"/api/jobs?tag=many&schedule_id={table.schedule}"
    )
    of = f"schedule_id={table.schedule}"
    yield _get("list: no such url of a schedule", f"/api/jobs?{nothing}&{of}")
    yield _get("list: a state that a schedule lacks", f"/api/jobs?{of}&state=completed")
    yield _get("list: a state that a tag lacks", "/api/jobs?tag=many&state=completed,discarded")
    span = "after=2090-01-01T00:00:00Z"
    yield _get("list: a span with nothing in it", f"/api/jobs?{span}&limit=100")
    long = "before=2020-01-01T00:00:00Z"
    yield _get("list: another, by id", f"/api/jobs?{long}&order_by=id,asc&state=cancelled")
    every = ",".join(["scheduled", "completed", "cancelled", "discarded", "retryable"])
    yield _get("list: far out in all states", f"/api/jobs?state={every}&offset=10000&limit=100")
    kinds = ",".join(["request", "run", "callback", "webhook", "channel"])
    yield _get("list: all kinds", f"/api/jobs?kind={kinds}&offset=10000&{by_time}")
    yield _get("list: large jobs", "/api/jobs?tag=big&limit=100")
    many = "&".join(f"limite{n}=1" for n in range(1_300))
    yield _get("list: unknown parameters", f"/api/jobs?{many}", 422)
    states = ",".join(["completed"] * 1_400)
    yield _get("list: a state 1,400 times", f"/api/jobs?state={states}", 200)
    kinds = ",".join(["request"] * 1_400)
    yield _get("list: a kind 1,400 times", f"/api/jobs?kind={kinds}", 200)
    order = "[" * 12_000
    yield _get("list: a deep order", f"/api/jobs?order_by={order}", 422)
    yield _get("list: a long cursor", f"/api/jobs?cursor={'A' * 15_000}", 422)


def _logs(table: Table) -> Iterator[Dear]:
    yield _get("logs: large entries", f"/api/logs?job_id={table.job}&limit=100&order_by=id,asc")
    rare = "event=schedule.skipped"
    yield _get("logs: an event that a job lacks", f"/api/logs?job_id={table.job}&{rare}")
    yield _get("logs: far out", f"/api/logs?job_id={table.job}&limit=100&offset=10000")
    yield _get("logs: far out, of all jobs", "/api/logs?limit=100&offset=10000&order_by=id,asc")


def _schedules(table: Table) -> Iterator[Dear]:
    body = _json({"url": URL, "cron": RARE, "timezone": "America/Nuuk"})
    yield _post("create: a rare cron", body)
    path = f"/api/schedules/{table.schedule}"
    yield _get("schedule: 100 runs of a rare cron", f"{path}?next_runs=100")
    far = "after=2099-01-01T00:00:00Z"
    yield _get("schedule: 100 runs in 70 years", f"{path}?next_runs=100&{far}")
    yield _get("schedules: far out", "/api/schedules?limit=100&offset=10000")
    for change in ("disable", "enable", "run"):
        yield _post(f"schedule: {change}", b"", 200, 201, path=f"{path}/{change}")
    wrong = _json({"timezone": "America/Troll"})
    yield Dear("schedule: a change", "PATCH", path, wrong, tuple(JSON.items()), frozenset({422}))
    rare = _json({"cron": RARE, "timezone": "Antarctica/Troll"})
    yield Dear("schedule: a rare cron", "PATCH", path, rare, tuple(JSON.items()))


def _others() -> Iterator[Dear]:
    yield _post("echo: a wide body", b"[" + b"[]," * 340_000 + b"1]", 200, path="/api/echo")
    yield _get("the API document", "/openapi.json")
    yield _get("keys", "/api/keys")
    yield _get("metrics", "/metrics", 200, 401, 404)


def _change(name: str, path: str, filters: Any, *, dry: bool, limit: int = 200) -> Dear:
    body = _json({"filter": filters, "dry_run": dry})
    statuses = frozenset({limit})
    return Dear(name, "POST", path, body, tuple(JSON.items()), statuses, is_once=not dry)


def _changes(table: Table, batch: int) -> Iterator[Dear]:
    cancel, retry = "/api/jobs/cancel", "/api/jobs/retry"
    nothing = {"url_prefix": NO_MATCH}
    yield _change("cancel: no such url, dry run", cancel, nothing, dry=True)
    yield _change("cancel: no such url", cancel, nothing, dry=False)
    yield _change("retry: no such url, dry run", retry, nothing, dry=True)
    yield _change("retry: no such url of a tag", retry, {**nothing, "tag": "many"}, dry=False)
    yield _change("cancel: everything, dry run", cancel, {"all": True}, dry=True)
    runs = [
        {"url": URL, "cron": RARE, "timezone": zone, "tags": ["rare"]} for zone in _zones(batch)
    ]
    yield _batch("runs to cancel", runs)
    yield _change("cancel: runs of rare crons", cancel, {"tag": "rare"}, dry=False)
    yield _change("cancel: large jobs", cancel, {"tag": "big"}, dry=False)
    yield _change("retry: large jobs", retry, {"tag": "big"}, dry=False)
    yield _change("cancel: many jobs", cancel, {"tag": "more"}, dry=False)
