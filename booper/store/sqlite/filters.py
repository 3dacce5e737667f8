"""The SQL of lists of jobs: filters, orders and pages, put together from fixed pieces.

A list is a merge of streams, one for each kind and stored state that is asked for. A stream is a
stretch of an index that has the list's order, so nothing is sorted and a page costs what it shows.
What such an index cannot leave out (a tag, a schedule, a URL, a span of time in a list by id) is
passed over on the way; unless it is known to leave few jobs, which are then read and sorted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from booper.model.job import State
from booper.store.base import JobFilter, Page
from booper.store.sqlite import rows
from booper.store.sqlite.values import stored

# How many jobs one transaction of a change of many looks at.
BATCH = 500

# To read and sort so many takes some milliseconds; among more, a page is soon met on the way.
FEW = 5_000

EARLIEST, LATEST = -(2**63), 2**63 - 1
UNCLAIMED = frozenset({State.SCHEDULED, State.AVAILABLE})

# Numbers first, from indexes where they tell enough, so that an offset passes over no rows. A CROSS
# JOIN is a loop within a loop, in the order of the outer one
# (https://www.sqlite.org/optoverview.html#manual_control_of_query_plans_using_cross_join).
PAGE = f"""
SELECT {rows.COLUMNS} FROM ({{found}} ORDER BY {{order}} LIMIT :limit OFFSET :offset)
CROSS JOIN jobs ON id = job_id
"""

COUNT = f"SELECT count(*) FROM (SELECT 1 FROM ({{source}}) LIMIT {FEW})"

# SQLite takes a partial index only for its very words, so the state is told twice.
STREAM = """
SELECT id AS job_id, scheduled_at AS due_at FROM jobs INDEXED BY {index}
WHERE user_id = :user_id AND kind = :kind{kind} AND state = '{state}' AND state <> 'executing'
    {filters}
"""
EXECUTING = """
SELECT id AS job_id, scheduled_at AS due_at FROM jobs INDEXED BY jobs_executing
WHERE user_id = :user_id AND kind = :kind{kind} AND state = '{state}' {filters}
"""
NOTHING = "SELECT 0 AS job_id, 0 AS due_at WHERE FALSE"

# A plus keeps SQLite from another index than the one it is to begin with
# (https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_).
OF_FEW = """
SELECT id AS job_id, scheduled_at AS due_at FROM jobs
WHERE id IN (SELECT job_id FROM ({source})) AND +user_id = :user_id {filters}
"""
OF_TAG = """
SELECT job_tags.job_id, scheduled_at AS due_at FROM job_tags CROSS JOIN jobs ON id = job_tags.job_id
WHERE job_tags.tag = :tag AND +user_id = :user_id {filters}
"""
OF_SCHEDULE = """
SELECT id AS job_id, scheduled_at AS due_at FROM jobs INDEXED BY jobs_by_schedule
WHERE schedule_id = :schedule_id AND schedule_id IS NOT NULL AND +user_id = :user_id {filters}
"""
IDS_OF_TAG = "SELECT job_id FROM job_tags WHERE tag = :tag"
IDS_OF_SCHEDULE = """
SELECT id AS job_id FROM jobs INDEXED BY jobs_by_schedule
WHERE schedule_id = :schedule_id AND schedule_id IS NOT NULL
"""

# Jobs are numbered as they are inserted, so the order of ids is that of `inserted_at`.
ORDERS = {
    ("id", True): "job_id DESC",
    ("id", False): "job_id ASC",
    ("inserted_at", True): "job_id DESC",
    ("inserted_at", False): "job_id ASC",
    ("scheduled_at", True): "due_at DESC, job_id DESC",
    ("scheduled_at", False): "due_at ASC, job_id ASC",
}

BEHIND = {
    ("id", True): "AND {id} < :after_id",
    ("id", False): "AND {id} > :after_id",
    ("inserted_at", True): "AND {id} < :after_id",
    ("inserted_at", False): "AND {id} > :after_id",
    ("scheduled_at", True): "AND (scheduled_at, id) < (:after_value, :after_id)",
    ("scheduled_at", False): "AND (scheduled_at, id) > (:after_value, :after_id)",
}
UP_TO_END = "AND {id} > :after_id AND {id} <= :end"

SPAN = "AND {plus_low}scheduled_at >= :low_{state} AND {plus_high}scheduled_at < :high_{state}"

# Where a stream by time goes on: behind what, and a plus at each bound of its span that is not the
# nearest. In two, since of the comparison of two columns SQLite looks only the first up.
STRETCHES = {
    True: (
        ("AND scheduled_at = :after_value AND id < :after_id", "+", "+"),
        ("AND scheduled_at < :after_value", "", "+"),
    ),
    False: (
        ("AND scheduled_at = :after_value AND id > :after_id", "+", "+"),
        ("AND scheduled_at > :after_value", "+", ""),
    ),
}

TAG = "AND EXISTS (SELECT 1 FROM job_tags WHERE tag = :tag AND job_id = jobs.id)"
SCHEDULE = "AND +schedule_id = :schedule_id"
# A prefix by comparison, since LIKE would read % and _ in a URL.
URL_PREFIX = "AND substr(json_extract(args, '$.url'), 1, length(:url_prefix)) = :url_prefix"

Query = tuple[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Listing:
    """Which of a user's jobs are listed, in which order, from where on; states are those at `now`.

    `behind` is the SQL of where the part before ended.
    """

    user_id: UUID
    wanted: JobFilter
    order: tuple[str, bool]
    now: datetime
    behind: str = ""

    @property
    def is_by_time(self) -> bool:
        """Say whether the order is that of `scheduled_at`."""
        return self.order[0] == "scheduled_at"

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of jobs that are wanted, each once, by the names of their values."""
        return {str(n): kind for n, kind in enumerate(dict.fromkeys(self.wanted.kinds))}

    @property
    def spans(self) -> dict[str, tuple[int, int]]:
        """The stored states that are wanted: from when on, and before when, they may be due."""
        states = self.wanted.states or frozenset(State)
        low = stored(self.wanted.after) if self.wanted.after else EARLIEST
        high = stored(self.wanted.before) if self.wanted.before else LATEST
        spans = {str(state): (low, high) for state in sorted(states - UNCLAIMED)}
        if states & UNCLAIMED:
            to_come = stored(self.now) + 1
            begin = low if State.AVAILABLE in states else max(low, to_come)
            end = high if State.SCHEDULED in states else min(high, to_come)
            spans[str(State.SCHEDULED)] = (begin, end)
        return spans

    @property
    def values(self) -> dict[str, object]:
        """The values of all the SQL of this list but its page's."""
        wanted = self.wanted
        kinds = {f"kind{name}": kind for name, kind in self.kinds.items()}
        lows = {f"low_{state}": low for state, (low, _) in self.spans.items()}
        highs = {f"high_{state}": high for state, (_, high) in self.spans.items()}
        return {
            "user_id": self.user_id.bytes,
            "tag": wanted.tag,
            "schedule_id": wanted.schedule_id.bytes if wanted.schedule_id else None,
            "url_prefix": wanted.url_prefix,
            **kinds,
            **lows,
            **highs,
        }


def page_query(
    user_id: UUID, page: Page, wanted: JobFilter, now: datetime, few: str | None = None
) -> Query:
    """Return the query for a page of jobs, and its values.

    `few` names the one of `sources` that is known to be of few jobs, None if none is.
    """
    order = (page.order_by, page.descending)
    listing = Listing(user_id, wanted, order, now, BEHIND[order] if page.after else "")
    value, job_id = page.after or (0, 0)
    part = {"limit": page.limit, "offset": page.offset, "after_value": value, "after_id": job_id}
    return PAGE.format(found=_found(listing, few), order=ORDERS[order]), listing.values | part


def batch_query(
    user_id: UUID,
    wanted: JobFilter,
    states: frozenset[State],
    between: tuple[int, int],
    now: datetime,
) -> Query:
    """Return the query for the next matching jobs in `states`, and its values.

    `between` are the id behind which to begin and the last one.
    """
    both = states & wanted.states if wanted.states else states
    listing = Listing(user_id, replace(wanted, states=both), ("id", False), now, UP_TO_END)
    found = _found(listing, None) if both else NOTHING
    part = {"limit": BATCH, "offset": 0, "after_id": between[0], "end": between[1]}
    return PAGE.format(found=found, order=ORDERS[listing.order]), listing.values | part


def sources(user_id: UUID, page: Page, wanted: JobFilter, now: datetime) -> Mapping[str, Query]:
    """Return how to count, up to `FEW`, each set of jobs that has all those wanted in it.

    There is none where the list's own index leads to just what is wanted.
    """
    listing = Listing(user_id, wanted, (page.order_by, page.descending), now)
    counts = {name: COUNT.format(source=source) for name, source in _sources(listing).items()}
    return {name: (count, listing.values) for name, count in counts.items()}


def _sources(listing: Listing) -> dict[str, str]:
    wanted = listing.wanted
    is_within = any(span != (EARLIEST, LATEST) for span in listing.spans.values())
    if not _apart(wanted) and (listing.is_by_time or not is_within):
        return {}
    bare = replace(wanted, tag=None, schedule_id=None, url_prefix=None)
    by_time = replace(listing, wanted=bare, order=("scheduled_at", False), behind="")
    found = {"streams": _streams(by_time)}
    if wanted.schedule_id is not None:
        found = {"schedule": IDS_OF_SCHEDULE, **found}
    if wanted.tag is not None:
        found = {"tag": IDS_OF_TAG, **found}
    return found


def _found(listing: Listing, few: str | None) -> str:
    """Return the query for the numbers and times of the jobs that are listed."""
    wanted = listing.wanted
    if few is not None:
        return OF_FEW.format(source=_sources(listing)[few], filters=_of_row(listing, "id"))
    if wanted.tag is not None and not listing.is_by_time:
        return OF_TAG.format(filters=_of_row(listing, "job_tags.job_id"))
    if wanted.schedule_id is not None and not listing.is_by_time:
        return OF_SCHEDULE.format(filters=_of_row(listing, "id"))
    return _streams(listing)


def _streams(listing: Listing) -> str:
    index = "jobs_by_time" if listing.is_by_time else "jobs_by_id"
    apart = _apart(listing.wanted)
    return " UNION ALL ".join(
        (EXECUTING if state == State.EXECUTING else STREAM).format(
            index=index, kind=kind, state=state, filters=f"{stretch.format(state=state)} {apart}"
        )
        for kind in listing.kinds
        for state in listing.spans
        for stretch in _stretches(listing)
    )


def _stretches(listing: Listing) -> list[str]:
    """Return the parts in which each stream is read, for a state to be put in."""
    plus = "" if listing.is_by_time else "+"
    parts: tuple[tuple[str, str, str], ...] = ((listing.behind.format(id="id"), plus, plus),)
    if listing.is_by_time and listing.behind:
        parts = STRETCHES[listing.order[1]]
    return [
        SPAN.format(plus_low=low, plus_high=high, state="{state}") + " " + behind
        for behind, low, high in parts
    ]


def _of_row(listing: Listing, number: str) -> str:
    """Return all that is asked of a job that was found by another index than the streams'."""
    kinds = ", ".join(f":kind{name}" for name in listing.kinds)
    spans = " OR ".join(
        f"+state = '{state}' " + SPAN.format(state=state, plus_low="+", plus_high="+")
        for state in listing.spans
    )
    behind = listing.behind.format(id=number)
    return f"AND +kind IN ({kinds}) AND ({spans}) {_apart(listing.wanted)} {behind}"


def _apart(wanted: JobFilter) -> str:
    """Return the filters that the streams' indexes know nothing of."""
    given = {TAG: wanted.tag, SCHEDULE: wanted.schedule_id, URL_PREFIX: wanted.url_prefix}
    return " ".join(clause for clause, value in given.items() if value is not None)
