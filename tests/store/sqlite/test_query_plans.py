"""How SQLite reads lists: every query that the API can ask for, explained.

A plan is right if it begins with an index that bounds what is read, and sorts nothing. What else
there is, is named here with its reason:

- The jobs being sent are read as they are, and sorted by time: no more of them than slots.
- Where a filter is known to leave few jobs (`listing.FEW`), those are sorted.

A plan does not tell of what is passed over on the way: that is bounded by the number of jobs that a
query looks at (`tests/store/sqlite/test_search.py`).
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import cache
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import fields, replace

from booper.api.filters import query_readers
from booper.api.jobs import ORDER_FIELDS
from booper.model.event import EVENTS
from booper.model.job import OWN_KINDS, UNFINISHED, WAITING, Kind, State
from booper.model.job import REPORTS as REPORTS_OF_JOBS
from booper.store.counters import MAX_DUE
from booper.store.rules.changing import RETRYABLE_STATES
from booper.store.sqlite import listing as lists
from booper.store.sqlite import logs, schedules
from booper.store.sqlite.audit_search import changes_query
from booper.store.sqlite.bucket_rows import (
    FIRST_LEFT_OUT,
    MAX_HOURS,
    ORIGINS,
    SPAN,
    WHOLE_DAYS,
)
from booper.store.sqlite.counters import DUE_OF
from booper.store.sqlite.history import PAST_RUNS
from booper.store.sqlite.listing import Listing
from booper.store.sqlite.listing_filters import add_functions
from booper.store.sqlite.schema import migrate
from booper.store.values import JobFilter, Page, Place
from tests.conftest import START

USER = UUID(int=1)

# Of each filter: the values that lead to another query.
CHOICES: dict[str, list[Any]] = {
    "states": [frozenset(), *(frozenset({state}) for state in State), UNFINISHED],
    "kinds": [OWN_KINDS, tuple(Kind)],
    "tag": [None, "nightly"],
    "schedule_id": [None, UUID(int=2)],
    "url_prefix": [None, "https://target.test/"],
    "host": [None, "target.test"],
    "before": [None, START + timedelta(days=1)],
    "after": [None, START - timedelta(days=1)],
    "reports_of": [None, 7],
    "text": [None, "order 7"],
}

# What a plan may read rows by, and the columns that must lead there.
STREAM = r"COVERING INDEX jobs_by_(id|time) \(user_id=\? AND kind=\? AND state=\?"
ROWS_OF_STREAM = STREAM.removeprefix("COVERING ")
SCHEDULE = r"(COVERING )?INDEX jobs_by_schedule \(schedule_id=\?"
REPORTS = r"(COVERING )?INDEX jobs_by_parent \(parent_id=\?"
TAG = r"(COVERING INDEX sqlite_autoindex_job_tags_1|PRIMARY KEY) \(tag=\?"
NUMBER = r"INTEGER PRIMARY KEY \(rowid=\?\)"
BOUNDED = rf"SEARCH \w+ USING ({STREAM}|{ROWS_OF_STREAM}|{SCHEDULE}|{REPORTS}|{TAG}|{NUMBER})"
BEING_SENT = r"(SCAN|SEARCH) jobs USING (COVERING )?INDEX jobs_executing"
# The numbers that were found already, no more than a page has; and what reads nothing.
FOUND = r"SCAN (looked|\(subquery-\d+\)|CONSTANT ROW)$"

BY_ID = [order for order in lists.ORDERS if order[0] != "scheduled_at"]

Step = tuple[int, int, int, str]

# The plans of queries by their text; no plan depends on values, of which no statistics are kept.
_EXPLAINED: dict[str, list[Step]] = {}


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    """Return an empty database with the newest schema."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, ":memory:")
        add_functions(connection)
        yield connection


def steps(database: sqlite3.Connection, query: str, values: dict[str, object]) -> list[Step]:
    """Return how SQLite would run a query: number, parent, nothing, and what is done.

    Ten filters lead to each query: it is explained once.
    """
    if query not in _EXPLAINED:
        _EXPLAINED[query] = database.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
    return _EXPLAINED[query]


def reads(plan: list[Step]) -> list[str]:
    """Return what a plan reads but the numbers it has found."""
    return [text for *_, text in plan if re.match("SCAN|SEARCH", text) and not is_found(text)]


def is_found(text: str) -> bool:
    """Return whether a step reads what was found before, or by its number."""
    return re.match(f"{FOUND}|SEARCH jobs USING {NUMBER}", text) is not None


def check(plan: list[Step], *, of_few: bool) -> None:
    """Check that each step of a plan is bounded, and that nothing is sorted but the exceptions."""
    _check(tuple(plan), of_few)


@cache
def _check(plan: tuple[Step, ...], of_few: bool) -> None:
    for _, parent, _, text in plan:
        if re.match("SCAN|SEARCH", text):
            assert re.match(f"{BOUNDED}|{BEING_SENT}|{FOUND}", text), plan
        if "TEMP B-TREE" in text:
            siblings = [other for _, above, _, other in plan if above == parent]
            assert of_few or any(re.match(BEING_SENT, other) for other in siblings), plan


def every_filter() -> Iterator[JobFilter]:
    """Yield a filter for each combination of choices; text, which no index knows, with some."""
    bare = {name: values for name, values in CHOICES.items() if name != "text"}
    for chosen in product(*bare.values()):
        yield JobFilter(**dict(zip(bare, chosen, strict=True)))
    beside = ("states", "kinds", "tag", "before")
    for chosen in product(*(CHOICES[name] for name in beside)):
        yield JobFilter(**dict(zip(beside, chosen, strict=True)), text=CHOICES["text"][1])


def page(order: tuple[str, bool], *, is_later: bool) -> Page:
    """Return the first page or a later one."""
    return Page(10, *order, Place(is_later, 1, 1))


def listing(order: tuple[str, bool], wanted: JobFilter, *, is_later: bool) -> Listing:
    """Return a list, from its beginning on or from a later place."""
    return Listing(USER, wanted, order, START, lists.BEHIND[order] if is_later else "")


def look(database: sqlite3.Connection, asked: Listing, few: str | None = None) -> list[Step]:
    """Return how SQLite would look at the next jobs of a list."""
    places = {"look": 10, "skip": 0, "after_value": 1, "after_id": 1, "end": 9_000}
    return steps(database, lists.look_query(asked, few), asked.values | places)


def test_every_filter_and_order_is_in_the_tables() -> None:
    """A filter or an order that is added is explained as well."""
    assert set(CHOICES) == {field.name for field in fields(JobFilter)}
    assert len(query_readers(START)) == len(CHOICES)
    assert {field for field, _ in lists.ORDERS} == set(ORDER_FIELDS)
    assert set(lists.BEHIND) == set(lists.ORDERS) == set(product(ORDER_FIELDS, (True, False)))


@pytest.mark.parametrize("is_later", [False, True])
@pytest.mark.parametrize("order", lists.ORDERS)
def test_no_page_of_jobs_reads_a_table_or_sorts_many(
    database: sqlite3.Connection, order: tuple[str, bool], is_later: bool
) -> None:
    """Whatever is asked for, however few a filter leaves."""
    for wanted in every_filter():
        asked = listing(order, wanted, is_later=is_later)
        counts = lists.sources(asked)
        for count in counts.values():
            check(steps(database, count, asked.values), of_few=False)
        for few in (None, *counts):
            check(look(database, asked, few), of_few=few is not None)


def test_jobs_are_counted_in_an_index_alone(database: sqlite3.Connection) -> None:
    """Without a row; where rows must be read, there is no such query."""
    for wanted in every_filter():
        asked = listing(("id", False), wanted, is_later=False)
        query = lists.number_query(asked)
        apart = (wanted.tag, wanted.schedule_id, wanted.url_prefix, wanted.host, wanted.text)
        assert (query is None) == any([*apart, wanted.reports_of])
        if query is not None:
            for text in reads(steps(database, query, asked.values | {"end": 1, "most": 1})):
                assert re.search(f"{STREAM}|{BEING_SENT}", text), text


@pytest.mark.parametrize("order", lists.ORDERS)
def test_a_later_page_of_jobs_begins_where_the_last_one_ended(
    database: sqlite3.Connection, order: tuple[str, bool]
) -> None:
    """A cursor is a place in the index, so that the thousandth page costs what the first does."""
    sign = "<" if order[1] else ">"
    by_time = rf"scheduled_at=\? AND id{sign}\?|scheduled_at{sign}\?"
    place = by_time if order[0] == "scheduled_at" else f"(job_)?id{sign}"
    for wanted in every_filter():
        for text in reads(look(database, listing(order, wanted, is_later=True))):
            is_filter = "job_tags" in text and "job_id=" in text
            assert is_filter or "jobs_executing" in text or re.search(place, text), text


@pytest.mark.parametrize("order", lists.ORDERS)
@pytest.mark.parametrize("state", State)
def test_a_list_of_one_state_reads_that_state_alone(
    database: sqlite3.Connection, state: State, order: tuple[str, bool]
) -> None:
    """A stream for each of the two kinds, however many jobs are in other states."""
    wanted = JobFilter(states=frozenset({state}))
    index = "jobs_executing" if state is State.EXECUTING else "jobs_by_"
    found = reads(look(database, listing(order, wanted, is_later=False)))
    assert [index in text for text in found] == [True, True]


@pytest.mark.parametrize("state", [State.AVAILABLE, State.SCHEDULED])
def test_waiting_jobs_by_time_begin_or_end_now(database: sqlite3.Connection, state: State) -> None:
    """Those to come are not read to find those whose time has come, nor the other way round."""
    wanted = JobFilter(states=frozenset({state}))
    for text in reads(look(database, listing(("scheduled_at", False), wanted, is_later=False))):
        assert "scheduled_at>? AND scheduled_at<?" in text


@pytest.mark.parametrize("order", BY_ID)
def test_a_list_of_a_schedules_jobs_reads_no_other_schedules(
    database: sqlite3.Connection, order: tuple[str, bool]
) -> None:
    """Newest or oldest first, of all states or one."""
    for state in (None, *State):
        states = frozenset[State]() if state is None else frozenset({state})
        wanted = JobFilter(schedule_id=UUID(int=2), states=states)
        [text] = reads(look(database, listing(order, wanted, is_later=False)))
        assert re.search(SCHEDULE, text)


@pytest.mark.parametrize("order", BY_ID)
def test_a_list_of_a_jobs_reports_reads_no_others(
    database: sqlite3.Connection, order: tuple[str, bool]
) -> None:
    """Newest or oldest first."""
    wanted = JobFilter(reports_of=7, kinds=REPORTS_OF_JOBS)
    [text] = reads(look(database, listing(order, wanted, is_later=False)))
    assert re.search(REPORTS, text)


def test_a_list_of_a_tag_begins_with_the_tag(database: sqlite3.Connection) -> None:
    """Jobs without the tag are not read, in the order of ids."""
    asked = listing(("id", True), JobFilter(tag="nightly"), is_later=False)
    assert re.search(TAG, reads(look(database, asked))[0])


@pytest.mark.parametrize("states", [UNFINISHED, RETRYABLE_STATES])
def test_a_step_of_a_change_of_many_begins_behind_the_last(
    database: sqlite3.Connection, states: frozenset[State]
) -> None:
    """A million jobs are gone through once, not once for each step; none in other states."""
    for wanted in every_filter():
        if both := states & (wanted.states or states):
            changed = replace(wanted, states=both)
            asked = Listing(USER, changed, ("id", False), START, lists.UP_TO_END)
            plan = look(database, asked)
            check(plan, of_few=False)
            for text in reads(plan):
                is_filter = "job_tags" in text and "job_id=" in text
                assert is_filter or re.search(r"id>\? AND (job_)?(row)?id<\?", text), text


@pytest.mark.parametrize("is_later", [False, True])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("event", [None, *EVENTS])
@pytest.mark.parametrize("job_id", [None, 1])
def test_no_page_of_the_log_reads_a_table_or_sorts(
    database: sqlite3.Connection,
    job_id: int | None,
    event: str | None,
    descending: bool,
    is_later: bool,
) -> None:
    """Of all jobs or one, of all events or one: an index in the order of the entries."""
    query = logs.list_query(page(("inserted_at", descending), is_later=is_later), job_id, event)
    values = dict.fromkeys(("user_id", "job_id", "after", "after_row", "rows"), 1)
    plan = [text for *_, text in steps(database, query, dict(values))]
    index = r"logs_by_job \(job_id=\?" if job_id else r"logs_by_event \(user_id=\? AND kind=\? AND"
    place = rf".* AND seq{'<' if descending else '>'}" if is_later else ""
    found = [text for text in plan if re.match("SCAN|SEARCH", text)]
    for text in found:
        known = "SEARCH logs USING (INTEGER PRIMARY KEY|(COVERING )?INDEX sqlite_autoindex_logs_1)"
        assert re.match(
            rf"SEARCH logs USING (COVERING )?INDEX {index}{place}|{known}|{FOUND}", text
        )
    assert not any("TEMP B-TREE" in text for text in plan)


@pytest.mark.parametrize("is_later", [False, True])
@pytest.mark.parametrize("descending", [True, False])
def test_no_page_of_schedules_reads_a_table_or_sorts(
    database: sqlite3.Connection, descending: bool, is_later: bool
) -> None:
    """Their ids are in the order of their creation."""
    query = schedules.list_query(page(("id", descending), is_later=is_later))
    values = {"user_id": 1, "after": 1, "limit": 1, "offset": 0}
    [(*_, text)] = steps(database, query, dict(values))
    place = f" AND id{'<' if descending else '>'}" if is_later else ""
    assert re.match(rf"SEARCH schedules USING INDEX schedules_by_user \(user_id=\?{place}", text)


def test_the_newest_runs_of_a_schedule_are_read_from_their_end(
    database: sqlite3.Connection,
) -> None:
    """Of no other schedule, and in the order of the index: nothing is sorted."""
    [(*_, text)] = steps(database, PAST_RUNS, {"id": b"", "now": 1, "limit": 1})
    assert text == "SEARCH jobs USING INDEX jobs_by_schedule (schedule_id=?)"


def test_numbers_of_a_time_read_no_time_but_the_one_asked_for(
    database: sqlite3.Connection,
) -> None:
    """The buckets of a time are found by it; what is added up is bounded."""
    values = {"user_id": USER.bytes, "since": 0, "until": 1}
    assert [text for *_, text in steps(database, SPAN, values)] == [
        "SEARCH buckets USING PRIMARY KEY (user_id=? AND origin=? AND begins_at>? AND begins_at<?)"
    ]
    assert [text for *_, text in steps(database, WHOLE_DAYS, values)] == [
        "SEARCH days USING PRIMARY KEY (user_id=? AND begins_at>? AND begins_at<?)"
    ]
    for query, index in ((ORIGINS, "INDEX"), (FIRST_LEFT_OUT, "COVERING INDEX")):
        plan = [text for *_, text in steps(database, query, {"since": 0, "until": 1})]
        by_time = f"{index} buckets_by_time (begins_at>? AND begins_at<?)"
        assert f"SEARCH buckets USING {by_time}" in plan
    assert f"LIMIT {MAX_HOURS}" in ORIGINS


def test_what_is_due_of_a_user_is_read_from_an_index_alone(database: sqlite3.Connection) -> None:
    """For each kind and state up to now, and no more than is counted."""
    values = {"user_id": USER.bytes, "now": 1, "limit": MAX_DUE}
    plan = reads(steps(database, DUE_OF, values))
    by_time = r"SEARCH jobs USING COVERING INDEX jobs_by_time"
    columns = r"\(user_id=\? AND kind=\? AND state=\? AND scheduled_at<\?\)"
    assert len(plan) == len(OWN_KINDS) * len(WAITING)
    assert all(re.fullmatch(f"{by_time} {columns}", step) for step in plan), plan


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_of_the_audit_looks_between_two_numbers(
    database: sqlite3.Connection, descending: bool
) -> None:
    """Whatever is wanted; nothing is sorted."""
    page = Page(10, "at", descending, Place())
    names = ("first", "last", "action", "kinds", "key_id", "limit")
    plan = [text for *_, text in steps(database, changes_query(page), dict.fromkeys(names))]
    assert plan[0] == "SEARCH audit USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
    assert not [text for text in plan if "TEMP B-TREE" in text or text.startswith("SCAN audit")]
