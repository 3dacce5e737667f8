"""Lists and changes of many jobs go on in steps: what one step costs does not grow with the table.

Work is counted as instructions of SQLite's virtual machine, which are the same on every machine.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec import Raw
from msgspec.structs import replace

from booper.model.args import Args, encode_args
from booper.model.job import State
from booper.store.searching import searched_values
from booper.store.sqlite.brief import fetch_brief
from booper.store.sqlite.listing import Listing
from booper.store.sqlite.search import STEP_ROWS, Search, fetch
from booper.store.sqlite.stepwise import MOVE_ROWS
from booper.store.sqlite.store import SQLiteStore, open_store
from booper.store.values import PAGE_BYTES, SEARCH_BYTES, SEARCH_ROWS, Creation, JobFilter, Place
from tests.conftest import START
from tests.support.stores import created, page
from tests.support.stores import wanted as new_job
from tests.torture.work import instructions

pytestmark = pytest.mark.anyio

NO_MATCH = "https://nothing.test/"
BIG = "x" * (1 << 20)
ROWS = 12 * STEP_ROWS

COPY = """
WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers LIMIT ?)
INSERT INTO jobs (uuid, {names}) SELECT randomblob(16), {names} FROM numbers CROSS JOIN jobs
WHERE jobs.id = 1
"""

# What no index leads to: the filter, and the orders in which it is searched for.
FILTERS: list[dict[str, Any]] = [
    {"url_prefix": NO_MATCH},
    {"url_prefix": NO_MATCH, "tag": "every"},
    {"url_prefix": NO_MATCH, "states": frozenset({State.SCHEDULED})},
    {"tag": "every", "states": frozenset({State.COMPLETED})},
    {"tag": "every", "schedule_id": UUID(int=7)},
    {"tag": "none", "url_prefix": NO_MATCH},
    {"before": START - timedelta(days=1)},
    {"after": START + timedelta(days=9), "url_prefix": NO_MATCH},
]
ORDERS = [
    (field, down) for field in ("id", "inserted_at", "scheduled_at") for down in (True, False)
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database of 12,000 equal jobs with one tag, and 40 of a mebibyte with another."""
    return tmp_path_factory.mktemp("filled") / "booper.db"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[tuple[SQLiteStore, UUID]]:
    """Open the database, filled if it is not yet."""
    async with open_store(path, "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        if not (await store.jobs.list(alice, page(1), JobFilter(), START)).items:
            await created(store, alice, args=to("https://a.test/"), tags=("every",))
            _fill(path)
        yield store, alice


def _fill(path: Path) -> None:
    big = f'{{"url":"https://a.test/","body":"{BIG}"}}'
    with closing(sqlite3.connect(path)) as connection, connection:
        _copy(connection, ROWS - 1)
        connection.execute("INSERT OR IGNORE INTO job_tags SELECT 'every', id FROM jobs")
        _copy(connection, 40)
        connection.execute("UPDATE jobs SET args = ? WHERE id > ?", (big, ROWS))
        connection.execute("INSERT INTO job_tags SELECT 'big', id FROM jobs WHERE id > ?", (ROWS,))


def to(url: str) -> str:
    """Return the args of a job."""
    return encode_args(Args(url=url))


def _copy(connection: sqlite3.Connection, count: int) -> None:
    """Copy the first job."""
    columns = connection.execute("PRAGMA table_info(jobs)")
    names = ", ".join(name for _, name, *_ in columns if name not in ("id", "uuid"))
    connection.execute(COPY.format(names=names), (count,))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("wanted", FILTERS)
async def test_no_step_of_a_search_reads_more_than_its_part(
    filled: Path, wanted: dict[str, Any], order: tuple[str, bool]
) -> None:
    """Whatever matches nothing: each step is a hundredth of a second's work, and the last is soon.

    A row of which all is compared takes some 60 instructions; FEW rows are sorted in 200 each.
    """
    async with opened(filled) as (_, alice):
        listing = Listing(alice, JobFilter(**wanted), order, START)
        search, steps = Search(listing, Place()), 0
        with closing(sqlite3.connect(filled)) as connection:
            while not search.is_over:
                before = search.looked
                with instructions(connection) as used:
                    assert search.step(connection, 10, PAGE_BYTES) == []
                steps += 1
                assert search.looked - before <= STEP_ROWS + 256
                assert used.count <= 250_000
        assert steps <= ROWS // STEP_ROWS + 12


async def test_steps_find_what_one_query_would(filled: Path) -> None:
    """Every job once, in order, however many are asked for at a time."""
    async with opened(filled) as (_, alice):
        listing = Listing(alice, JobFilter(tag="every"), ("scheduled_at", False), START)
        with closing(sqlite3.connect(filled)) as connection:
            for count in (1_000, 1_777):
                search, found = Search(listing, Place()), list[int]()
                while not search.is_over:
                    found += [item.id for item in search.step(connection, count, 1 << 40)]
                assert found == list(range(1, ROWS + 1))


async def test_an_offset_counts_what_matches(filled: Path) -> None:
    """Jobs without the tag are not counted, in whichever step they are passed over."""
    async with opened(filled) as (store, alice):
        for order_by in ("id", "scheduled_at"):
            asked = page(3, 9_000, order_by, descending=False)
            part = await store.jobs.list(alice, asked, JobFilter(tag="every"), START)
            assert [job.id for job in part] == [9_001, 9_002, 9_003]


async def test_a_page_of_large_jobs_is_shorter(filled: Path) -> None:
    """40 jobs of a mebibyte and a bit, three to a page of 4 MiB; none is lost between pages."""
    async with opened(filled) as (store, alice):
        found, asked = list[int](), page(100, descending=False)
        while True:
            part = await store.jobs.list(alice, asked, JobFilter(tag="big"), START)
            assert sum(len(job.args) for job in part) <= PAGE_BYTES
            assert not part.is_partial
            found += [job.id for job in part]
            if part.rest is None:
                break
            asked = replace(asked, place=part.rest)
        assert found == list(range(ROWS + 1, ROWS + 41))


async def test_one_job_larger_than_a_page_is_a_page(tmp_path: Path) -> None:
    """A page always goes on."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        huge = f'{{"url":"https://a.test/","body":"{BIG * 5}"}}'
        jobs = [await created(store, alice, args=huge) for _ in range(2)]
        part = await store.jobs.list(alice, page(descending=False), JobFilter(), START)
        assert [job.id for job in part] == [jobs[0].id]
        rest = part.rest
        assert rest is not None
        part = await store.jobs.list(
            alice, replace(page(descending=False), place=rest), JobFilter(), START
        )
        assert [job.id for job in part] == [jobs[1].id]


async def test_a_search_ends_after_its_share_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    """The one job that matches lies behind `SEARCH_ROWS` others: an empty page, then a page."""
    path = tmp_path / "booper.db"
    async with open_store(path, "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        hit = await created(store, alice, args=to("https://hit.test/"))
        with closing(sqlite3.connect(path)) as connection, connection:
            _copy(connection, SEARCH_ROWS + 5_000)
            other = to("https://a.test/")
            connection.execute("UPDATE jobs SET args = ? WHERE id > 1", (other,))
        wanted = JobFilter(url_prefix="https://hit.")
        part = await store.jobs.list(alice, page(), wanted, START)
        assert (len(part), part.is_partial) == (0, True)
        rest = part.rest
        assert rest is not None
        part = await store.jobs.list(alice, replace(page(), place=rest), wanted, START)
        assert ([job.id for job in part], part.is_partial, part.rest) == ([hit.id], False, None)


async def test_a_change_of_many_is_many_short_changes(tmp_path: Path) -> None:
    """No transaction changes more than `MOVE_ROWS`; others write between two of them."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        await store.jobs.create_many(
            [Creation(new_job(alice))] * (10 * MOVE_ROWS), START, atomic=True
        )
        every, sizes = JobFilter(), list[int]()
        await store.jobs.cancel_many(alice, every, START, lambda _, __: (), dry_run=False)
        store.subscribe(lambda jobs: sizes.append(len(jobs)))
        changed = await store.jobs.retry_many(alice, every, START, dry_run=False)
        assert (changed.matched, changed.changed) == (10 * MOVE_ROWS, 10 * MOVE_ROWS)
        assert sizes == [MOVE_ROWS] * 10


async def test_a_dry_run_of_a_change_writes_nothing(tmp_path: Path) -> None:
    """The writer is not asked: a store that could not write counts as well."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        await store.jobs.create_many([Creation(new_job(alice))] * 250, START, atomic=True)
        store.jobs._writer.close()
        counted = await store.jobs.cancel_many(
            alice, JobFilter(), START, lambda _, __: (), dry_run=True
        )
        assert (counted.matched, counted.changed) == (250, 0)


async def test_the_api_says_that_a_page_goes_on(api: httpx.AsyncClient) -> None:
    """`next_cursor` leads on from a page that is short because its jobs are large."""
    body = {"url": "https://target.test/", "schedule_in": [1, "day"], "body": BIG[:-200]}
    for _ in range(6):
        assert (await api.post("/api/jobs", json=body)).status_code == 201
    found, cursor = list[int](), ""
    sizes = list[int]()
    while True:
        response = (await api.get(f"/api/jobs?limit=100{cursor}")).json()
        found += [job["job_id"] for job in response["data"]]
        sizes.append(len(response["data"]))
        assert "is_partial" not in response
        if "next_cursor" not in response:
            break
        cursor = f"&cursor={response['next_cursor']}"
    assert sizes == [4, 2]
    assert found == sorted(found, reverse=True)
    assert len(found) == 6


async def test_what_a_step_found_is_read_in_its_order(filled: Path) -> None:
    """By the order of the list, not by number."""
    async with opened(filled) as (_, alice):
        listing = Listing(alice, JobFilter(), ("id", True), START)
        with closing(sqlite3.connect(filled)) as connection:
            search = Search(listing, Place(skip=40))
            found = search.step(connection, 5, PAGE_BYTES)
            numbers = [job.id for job in fetch(connection, found)]
    assert numbers == [ROWS, ROWS - 1, ROWS - 2, ROWS - 3, ROWS - 4]


def texts(args: Args) -> str:
    """Return what a text is looked for in."""
    return searched_values(encode_args(args))


def test_a_text_is_looked_for_in_every_value_but_the_headers() -> None:
    """The names of fields are no values; numbers and nested values are as they came."""
    args = Args(
        method="post",
        url="https://a.test/",
        query={"q": [1]},
        headers={"Authorization": "Bearer secret"},
        body=Raw(b'{"n": 1.10}'),
        tags=["nightly"],
    )
    assert texts(args) == '"post"\n"https://a.test/"\n{"q":[1]}\n{"n": 1.10}\n["nightly"]'
    assert texts(Args(url="https://a.test/")) == '"https://a.test/"'


# Stored args, and which of the texts they are found by.
STORED: list[tuple[Args, set[str]]] = [
    (Args(url="https://a.test/Orders/1"), {"orders"}),
    (Args(url="https://a.test/", headers={"X": "orders"}), set()),
    (Args(url="https://a.test/", headers={"X": "}orders"}), set()),
    (Args(url="https://a.test/", headers={"X": "}"}, body=Raw(b'"orders"')), {"orders"}),
    (Args(url="https://a.test/", headers={"X": '"body":'}, body=Raw(b'"orders"')), {"orders"}),
    (Args(url="https://a.test/", body=Raw(b'{"headers":{"a":"orders"}}')), {"orders"}),
    (Args(url="https://a.test/", query={"headers": {"a": "orders"}}), {"orders"}),
    (
        Args(url="https://a.test/", query={"headers": {"a": "orders"}}, headers={"X": "y"}),
        {"orders"},
    ),
    (
        Args(url="https://a.test/", query={"headers": {"a": "b"}}, headers={"X": "orders"}),
        set(),
    ),
    (Args(url="https://a.test/", body=Raw(b'"50%"')), {"50%"}),
    (Args(url="https://a.test/", body=Raw(b'"500"')), set()),
    (Args(url="https://a.test/", body=Raw(b'"a_b"')), {"a_b"}),
    (Args(url="https://a.test/", body=Raw(b'"axb"')), set()),
    (Args(url="https://a.test/", name='say "hi"'), {'"hi"'}),
    (Args(url="https://a.test/", name="back\\slash"), {"back\\slash"}),
    (Args(url="https://a.test/", name="Grüße"), {"grüße"}),
    (Args(url="https://a.test/", idempotency_key="key-7"), {"KEY-7"}),
]
TEXTS = ["orders", "50%", "a_b", '"hi"', "back\\slash", "grüße", "KEY-7", "headers", "idempotency"]


async def test_a_text_finds_the_jobs_that_have_it_in_a_value(tmp_path: Path) -> None:
    """Neither in a header, nor as the name of a field; %, _ and quotes are what they are."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        numbers = [(await created(store, alice, args=encode_args(args))).id for args, _ in STORED]
        for text in TEXTS:
            part = await store.jobs.list(alice, page(100, descending=False), wanted(text), START)
            expected = [n for n, (_, texts) in zip(numbers, STORED, strict=True) if text in texts]
            if text == "headers":  # it is the name of a value's own field
                expected = [n for n, (args, _) in zip(numbers, STORED, strict=True) if has(args)]
            assert [job.id for job in part] == expected, text


def wanted(text: str) -> JobFilter:
    """Return a filter by a text."""
    return JobFilter(text=text)


def has(args: Args) -> bool:
    """Return whether there is a field `headers` within a value."""
    return "headers" in (args.query or {}) or '"headers":{"a"' in encode_args(args)


async def test_a_search_that_has_read_its_share_says_how_far_it_is(tmp_path: Path) -> None:
    """40 jobs of a mebibyte are read 16 MiB at a time; the last that was read has its time."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        big = f'{{"url":"https://a.test/","body":"{BIG}"}}'
        for n in range(40):
            at = START + timedelta(seconds=n)
            new = new_job(alice, at=at + timedelta(hours=1), args=big)
            await store.jobs.create(Creation(new), at)
        asked, last = page(50), 41
        parts = 0
        while True:
            part = await store.jobs.list(alice, asked, wanted("nothing"), START)
            if part.rest is None:
                break
            assert part.is_partial
            assert (
                SEARCH_BYTES // (1 << 20) <= last - part.rest.id <= SEARCH_BYTES // (1 << 20) + 16
            )
            last, parts = part.rest.id, parts + 1
            assert part.searched_to == START + timedelta(seconds=last - 1)
            asked = replace(asked, place=part.rest)
        assert parts == 2
        by_time = page(50, order_by="scheduled_at")
        part = await store.jobs.list(alice, by_time, wanted("nothing"), START)
        assert part.rest is not None
        planned = timedelta(hours=1, seconds=part.rest.id - 1)
        assert part.searched_to == START + planned


BRIEF: list[tuple[str, str]] = [
    ('{"url":"https://a.test/","body":1}', '{"url":"https://a.test/"}'),
    ('{"method":"post","url":"https://a.test/"}', '{"method":"post","url":"https://a.test/"}'),
    (
        r'{"method":"get","url":"https://a.test/\"}\\","headers":{"X":"y"}}',
        r'{"method":"get","url":"https://a.test/\"}\\"}',
    ),
    (f'{{"url":"https://a.test/","body":"{BIG}"}}', '{"url":"https://a.test/"}'),
    (f'{{"url":"https://a.test/{BIG}","body":1}}', f'{{"url":"https://a.test/{BIG}"}}'),
    (
        '{"body":1,"url":"https://a.test/","method":"put"}',
        '{"method":"put","url":"https://a.test/"}',
    ),
]
"""Stored args, and what a brief list has of them; the last is not written so by booper."""


@pytest.mark.parametrize("filtered", [{}, {"tag": "every"}, {"url_prefix": "https://a.test/"}])
async def test_a_brief_list_has_the_method_and_the_url(
    tmp_path: Path, filtered: dict[str, Any]
) -> None:
    """Wherever they stand; all else of a job is as it is otherwise."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        jobs = [
            await created(store, alice, args=args, tags=("every",), name="n") for args, _ in BRIEF
        ]
        asked, found = page(100, descending=False), JobFilter(**filtered)
        brief = await store.jobs.list(alice, asked, found, START, is_brief=True)
        expected = [replace(job, args=args) for job, (_, args) in zip(jobs, BRIEF, strict=True)]
        if "url_prefix" in filtered:
            expected = [job for job in expected if BIG not in job.args]
            assert [job for job in brief if BIG not in job.args] == expected
        else:
            assert list(brief) == expected


async def test_a_brief_list_has_a_job_that_is_deleted_while_it_is_read(tmp_path: Path) -> None:
    """Its row is read, and then its args: both as they were at one moment."""
    path = tmp_path / "booper.db"
    async with open_store(path, "normal", Random(1)) as store:
        alice = await store.keys.user("alice", START)
        jobs = [await created(store, alice, args='{"url":"https://a.test/"}') for _ in range(2)]

    class Deleted(sqlite3.Connection):
        """A connection that looks at what a job sends just after all jobs were deleted."""

        def blobopen(self, *arguments: Any, **options: Any) -> sqlite3.Blob:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("DELETE FROM jobs")
            return super().blobopen(*arguments, **options)

    with closing(sqlite3.connect(path, isolation_level=None, factory=Deleted)) as reader:
        assert fetch_brief(reader, [job.id for job in jobs]) == jobs
        assert fetch_brief(reader, [job.id for job in jobs]) == []


@pytest.mark.parametrize("order_by", ["id", "scheduled_at"])
async def test_a_brief_page_of_large_jobs_is_full_and_reads_little(
    filled: Path, order_by: str
) -> None:
    """40 jobs of a mebibyte on one page; a list that is not brief has three."""
    async with opened(filled) as (store, alice):
        asked = page(40, order_by=order_by)
        part = await store.jobs.list(alice, asked, JobFilter(tag="big"), START, is_brief=True)
        assert [job.id for job in part] == list(range(ROWS + 40, ROWS, -1))
        assert max(len(job.args) for job in part) < 100
        part = await store.jobs.list(alice, page(40), JobFilter(), START, is_brief=True)
        assert [job.id for job in part] == list(range(ROWS + 40, ROWS, -1))
        after = replace(page(40), place=Place(is_behind=True, id=ROWS + 5, value=ROWS + 5))
        part = await store.jobs.list(alice, after, JobFilter(), START, is_brief=True)
        assert [job.id for job in part] == list(range(ROWS + 4, ROWS - 36, -1))
