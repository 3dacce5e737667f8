"""The queries of lists of jobs, put together from fixed pieces."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from booper.store.postgres.job_columns import COLUMNS
from booper.store.postgres.listing import Listing
from booper.store.postgres.listing_filters import MAY_HAVE_TEXT, reads_args
from booper.store.postgres.listing_sources import behind, of_set, sets, sorted_set, streams
from booper.store.values import JobFilter

# To sort so many takes some milliseconds; among more, a page is soon met on the way.
FEW: Final = 5_000

ENDLESS: Final = 1 << 62

# The filters are for those that are looked at alone: as many as `max_bytes` of what they send, and
# one more. `jobs` is how many there would have been. The limits are not parameters, so that a
# prepared plan knows how little is read.
LOOK: Final = """
SELECT id, scheduled_at, inserted_at, class, ended_at, size, {matches}, {args}, jobs
FROM (
    SELECT *, count(*) OVER () AS jobs, sum(size) OVER (ORDER BY {order}) - size AS before
    FROM (SELECT * FROM ({candidates}) AS candidates ORDER BY {order} LIMIT {width}) AS looked
) AS sized
WHERE before < {max_bytes} ORDER BY {order}
"""

PASS: Final = """
SELECT id, scheduled_at FROM ({candidates}) AS candidates
ORDER BY {order} LIMIT 1 OFFSET %(skip)s - 1
"""

COUNT: Final = "SELECT count(*) < {few} FROM (SELECT 1 FROM ({source}) AS jobs LIMIT {few}) AS top"

NUMBER: Final = "SELECT count(*) FROM (SELECT 1 FROM ({source}) AS jobs LIMIT %(most)s) AS top"

# Each row as it is once it is locked; in one order, so that two such changes do not lock each
# other out.
LOCK_LIVE: Final = f"""
SELECT {COLUMNS} FROM live_jobs WHERE id = ANY(%(ids)s) AND {{matches}} ORDER BY id FOR UPDATE
"""
LOCK_ENDED: Final = f"""
SELECT {COLUMNS} FROM ended_jobs
WHERE class = ANY(%(classes)s) AND ended_at = ANY(%(times)s) AND id = ANY(%(ids)s) AND {{matches}}
ORDER BY id FOR UPDATE
"""


def look_query(listing: Listing, few: str | None, width: int, max_bytes: int) -> str:
    """Return the query for the next jobs of a list, and whether each of them matches.

    `few` names the one of `sets` that is known to be of few jobs, None if none is. Of what the
    jobs send no more is read than `max_bytes`, or of one job.
    """
    matches, args = "true", "NULL"
    if not listing.is_exact:
        matches = listing.matches
    if listing.wanted.text is not None:
        args = f"CASE WHEN {matches} AND {MAY_HAVE_TEXT} THEN args END"
    return LOOK.format(
        matches=matches,
        args=args,
        candidates=_candidates(listing, few, width),
        order=listing.ordering,
        width=width,
        max_bytes=max_bytes if reads_args(listing.wanted) else ENDLESS,
    )


def pass_query(listing: Listing) -> str:
    """Return the query for the last of so many jobs that a list leaves out at its beginning."""
    candidates = streams(listing, "%(skip)s", is_short=True)
    return PASS.format(candidates=candidates, order=listing.ordering)


def number_query(listing: Listing) -> str | None:
    """Return the query for how many jobs a list has up to one, counted no further than `most`.

    None if their rows must be read for that.
    """
    by_time = replace(listing, order=("scheduled_at", False), is_behind=False, has_end=False)
    if not by_time.is_exact:
        return None
    return NUMBER.format(source=of_set(by_time, "streams", "1", "AND id <= %(end)s"))


def set_queries(listing: Listing) -> Mapping[str, str]:
    """Return what finds out whether a set that has all wanted jobs in it is of few, by its name."""
    bare = _bare(listing)
    return {name: COUNT.format(source=of_set(bare, name, "1"), few=FEW) for name in sets(listing)}


def lock_queries(listing: Listing) -> tuple[str, str]:
    """Return the queries for those of some jobs that match: of unfinished and of finished ones."""
    matches = listing.matches
    if listing.wanted.text is not None:
        matches = f"{matches} AND {MAY_HAVE_TEXT}"
    return LOCK_LIVE.format(matches=matches), LOCK_ENDED.format(matches=matches)


def _candidates(listing: Listing, few: str | None, width: int) -> str:
    """Return the query for jobs among which are the next ones that are listed."""
    wanted = listing.wanted
    if few is not None:
        return of_set(listing, few, behind=behind(listing))
    if not listing.is_by_time and wanted.reports_of is not None:
        return sorted_set(listing, "reports", width)
    if not listing.is_by_time and wanted.schedule_id is not None:
        return sorted_set(listing, "schedule", width)
    return streams(listing, width)


def _bare(listing: Listing) -> Listing:
    """Return a list of all jobs of the same streams."""
    wanted = listing.wanted
    bare = JobFilter(
        wanted.states,
        wanted.kinds,
        schedule_id=wanted.schedule_id,
        before=wanted.before,
        after=wanted.after,
    )
    return replace(listing, wanted=bare, is_behind=False, has_end=False)
