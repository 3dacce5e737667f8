"""The SQL of lists of jobs: filters, orders and pages, put together from fixed pieces.

A list is a merge of streams, one for each kind and stored state that is asked for. A stream is a
stretch of an index that has the list's order, so nothing is sorted and a page costs what it shows.
What such an index cannot leave out (a tag, a schedule, a URL, a span of time in a list by id) is
passed over on the way, so many jobs at a time as the query is told (`search`); unless it is known
to leave few jobs, which are then sorted.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.model.job import State
from booper.store.searching import in_json, pattern
from booper.store.sqlite.listing_filters import apart
from booper.store.sqlite.listing_sources import (
    IDS_OF_REPORTS,
    IDS_OF_SCHEDULE,
    IDS_OF_TAG,
    OF_FEW,
    OF_NUMBERS,
    OF_REPORTS,
    OF_SCHEDULE,
    OF_TAG,
)
from booper.store.stored import stored
from booper.store.values import JobFilter

# To sort so many numbers takes some milliseconds; among more, a page is soon met on the way.
FEW = 5_000
# The rows of these must be read first, and a row can have a mebibyte.
FEW_ROWS = 200

EARLIEST, LATEST = -(2**63), 2**63 - 1
UNCLAIMED = frozenset({State.SCHEDULED, State.AVAILABLE})

# Numbers first, from indexes, then whether their rows match: so it is the numbers that are counted.
# A CROSS JOIN is a loop within a loop, in the order of the outer one
# (https://www.sqlite.org/optoverview.html#manual_control_of_query_plans_using_cross_join).
# All in one row: to return one for each job takes as long as to look at it. What is materialized
# stays in its order.
LOOK = """
WITH looked AS MATERIALIZED (
    SELECT job_id, due_at FROM ({candidates}) ORDER BY {order} LIMIT :look OFFSET :skip
)
SELECT count(*), coalesce(sum({size}), 0),
    (SELECT json_array(job_id, due_at) FROM looked LIMIT 1 OFFSET :look - 1),
    json_group_array(json_array(id, scheduled_at, {size})) FILTER (WHERE {matches})
FROM looked CROSS JOIN jobs ON id = job_id
"""
SIZE = "length(CAST(args AS BLOB))"
# Where the list leads to just what is wanted, and nothing of it is too large to be shown.
LOOK_BRIEF = """
WITH looked AS MATERIALIZED (
    SELECT job_id, due_at FROM ({candidates}) ORDER BY {order} LIMIT :look OFFSET :skip
)
SELECT count(*), 0, (SELECT json_array(job_id, due_at) FROM looked LIMIT 1 OFFSET :look - 1),
    json_group_array(json_array(job_id, due_at, 0))
FROM looked
"""

COUNT = "SELECT count(*) < {few} FROM (SELECT 1 FROM ({source}) LIMIT {few})"

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
NUMBER = "SELECT count(*) FROM (SELECT 1 FROM ({source}) WHERE job_id <= :end LIMIT :most)"
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

Query = tuple[str, dict[str, object]]


class Listing(msgspec.Struct, frozen=True):
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
        """Return whether the order is that of `scheduled_at`."""
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
            "url_prefix": in_json(wanted.url_prefix),
            "host": wanted.host,
            "reports_of": wanted.reports_of,
            "text": pattern(wanted.text),
            **kinds,
            **lows,
            **highs,
        }

    @property
    def is_exact(self) -> bool:
        """Return whether the streams lead to just what is wanted."""
        is_within = any(span != (EARLIEST, LATEST) for span in self.spans.values())
        return not apart(self.wanted) and (self.is_by_time or not is_within)


def look_query(listing: Listing, few: str | None, *, is_brief: bool = False) -> str:
    """Return the query for the next jobs of a list, and whether each of them matches.

    `few` names the one of `sources` that is known to be of few jobs, None if none is. Of a brief
    list no job is too large.
    """
    if is_brief and listing.is_exact:
        candidates = _candidates(listing, few)
        return LOOK_BRIEF.format(candidates=candidates, order=ORDERS[listing.order])
    reads_args = listing.wanted.text is not None or listing.wanted.url_prefix is not None
    return LOOK.format(
        matches=_matches(listing),
        candidates=_candidates(listing, few),
        order=ORDERS[listing.order],
        size=SIZE if reads_args or not is_brief else "0",
    )


def check_query(listing: Listing) -> str:
    """Return the query for some jobs of a list by their numbers, and whether each still matches."""
    return LOOK.format(
        matches=_matches(listing),
        candidates=OF_NUMBERS,
        order=ORDERS[listing.order],
        size=SIZE,
    )


def number_query(listing: Listing) -> str | None:
    """Return the query for how many jobs a list has up to one, counted no further than `:most`.

    None if their rows must be read for that.
    """
    if apart(listing.wanted):
        return None
    by_time = replace(listing, order=("scheduled_at", False), behind="")
    return NUMBER.format(source=_streams(by_time))


def sources(listing: Listing) -> Mapping[str, str]:
    """Return what tells whether a set that has all wanted jobs in it is of few jobs, by its name.

    There is none where the list's own index leads to just what is wanted.
    """
    return {
        name: COUNT.format(source=source, few=FEW if name == "streams" else FEW_ROWS)
        for name, source in _sources(listing).items()
    }


def _sources(listing: Listing) -> dict[str, str]:
    wanted = listing.wanted
    if listing.is_exact:
        return {}
    bare = JobFilter(wanted.states, wanted.kinds, before=wanted.before, after=wanted.after)
    by_time = replace(listing, wanted=bare, order=("scheduled_at", False), behind="")
    found = {"streams": _streams(by_time)}
    if wanted.schedule_id is not None:
        found = {"schedule": IDS_OF_SCHEDULE, **found}
    if wanted.reports_of is not None:
        found = {"reports": IDS_OF_REPORTS, **found}
    if wanted.tag is not None:
        found = {"tag": IDS_OF_TAG, **found}
    return found


def _candidates(listing: Listing, few: str | None) -> str:
    """Return the query for the numbers and times of jobs among which are all that are listed."""
    wanted = listing.wanted
    if few is not None:
        return OF_FEW.format(source=_sources(listing)[few], behind=listing.behind.format(id="id"))
    if wanted.reports_of is not None and not listing.is_by_time:
        return OF_REPORTS.format(behind=listing.behind.format(id="id"))
    if wanted.tag is not None and not listing.is_by_time:
        return OF_TAG.format(behind=listing.behind.format(id="job_id"))
    if wanted.schedule_id is not None and not listing.is_by_time:
        return OF_SCHEDULE.format(behind=listing.behind.format(id="id"))
    return _streams(listing)


def _streams(listing: Listing) -> str:
    index = "jobs_by_time" if listing.is_by_time else "jobs_by_id"
    return " UNION ALL ".join(
        (EXECUTING if state == State.EXECUTING else STREAM).format(
            index=index, kind=kind, state=state, filters=stretch.format(state=state)
        )
        for kind in listing.kinds
        for state in listing.spans
        for stretch in _stretches(listing)
    )


def _stretches(listing: Listing) -> list[str]:
    """Return the parts in which each stream is read, for a state to be put in.

    A stream by id is read with what its span leaves out, for it is the reading that is bounded.
    """
    if not listing.is_by_time:
        return [listing.behind.format(id="id")]
    parts: tuple[tuple[str, str, str], ...] = ((listing.behind.format(id="id"), "", ""),)
    if listing.behind:
        parts = STRETCHES[listing.order[1]]
    return [
        SPAN.format(plus_low=low, plus_high=high, state="{state}") + " " + behind
        for behind, low, high in parts
    ]


def _matches(listing: Listing) -> str:
    """Return whether a row is wanted, whatever index led to it."""
    kinds = ", ".join(f":kind{name}" for name in listing.kinds)
    spans = " OR ".join(
        f"state = '{state}' " + SPAN.format(state=state, plus_low="", plus_high="")
        for state in listing.spans
    )
    among = f"user_id = :user_id AND kind IN ({kinds}) AND ({spans})"
    return f"{among} {apart(listing.wanted)}"
