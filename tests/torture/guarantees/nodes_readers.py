"""Somebody who holds a snapshot for long, such as a backup, does not slow down the sending.

PostgreSQL keeps for it all rows and index entries that have gone since. Jobs are due one after the
other at a part of what the nodes can send, which a burst tells that was created through all of them
before; what they reach at the end of the snapshot is compared with what they reached before it.

Dead rows are bounded: while the snapshot is held by what a job leaves behind, and after it, when
all jobs have been sent, a VACUUM removes them. Then only those are left that are made meanwhile. A
node with nothing to do renews its lease each second, one dead row, and makes less than another one
by all else. The time is that from the start of the VACUUM to the look at the numbers, and up to ten
seconds before, since idle connections report numbers so late. That bounds also what the last jobs
left, unless it is reported after a VACUUM: then the next one of some is judged.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from statistics import quantiles
from typing import Final

import httpx
import psycopg

from booper.clock import SystemClock
from tests.support.processes import bearer, monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes.cluster import KEY, Cluster, cluster, create, pause, wait_arrivals
from tests.torture.nodes.sink import Sink

ORIGINS: Final = 50
PART: Final = 0.6
"""The part of the full rate at which jobs are due."""

AHEAD_SECONDS: Final = 3.0
"""How long before it is due a job is created."""

PATIENCE_SECONDS: Final = 10.0
MIN_RATIO: Final = 0.95
MAX_TIMES_LATE: Final = 2.0
MAX_ENTRIES: Final = 100
"""How many entries of what executes may be read for a job: those on their way, and some."""

MAX_DEAD: Final = 12
"""How many dead rows a job may leave behind while the snapshot is held."""

MAX_IDLE: Final = 2
"""How many dead rows a node may make each second while nothing is due."""

REPORTED_SECONDS: Final = 10.0
"""How late an idle connection reports its numbers (PGSTAT_IDLE_INTERVAL of PostgreSQL)."""

VACUUMS: Final = 4
BATCH: Final = 1_000

ENTRIES: Final = """
SELECT coalesce(sum(idx_tup_read), 0)::bigint FROM pg_stat_user_indexes
WHERE indexrelname IN (
    'live_jobs_by_claim', 'live_jobs_unnumbered', 'live_jobs_on_their_way', 'live_jobs_executing'
)
"""
DEAD: Final = "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables"
SNAPSHOT: Final = "SELECT count(*) FROM jobs"


def measure(size: Size) -> Line:
    """Hold a snapshot for 20 minutes beside 4 nodes, in short for 12 seconds beside 2.

    In short the rate and the lateness are shown and not judged: other tests run beside it.
    """
    return _tried(size, "")


def twin() -> Line:
    """Try it with nodes that count claims from the first one on.

    What they read is judged. It slows them down only after many more claims than a short form has
    time for, so that no rate and no lateness gives it away here.
    """
    return _tried(Size.SHORT, "from_first")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which jobs were due: how many of them came a second, and their lateness p99."""

    rate: float
    late: float


def _tried(size: Size, oddities: str) -> Line:
    nodes, burst, ahead = size.pick((4, 6_000, 20.0), (2, 300, 3.0))
    before, held, seconds = size.pick((120, 1_200, 120), (6, 12, 6))
    with (
        cluster(nodes, Sink(), oddities=oddities) as made,
        closing(psycopg.connect(made.url, autocommit=True)) as database,
    ):
        full = _full_rate(made, burst, ahead)
        rate = size.pick(int(PART * full), 60)
        faults, dues = list[str](), list[float]()
        with _creating(made, rate, before + held, dues):
            pause(AHEAD_SECONDS + before)
            entries = _number(database, ENTRIES)
            began = monotonic()
            with _snapshot(made.url):
                pause(held)
                ended = monotonic()
                entries = _number(database, ENTRIES) - entries
                dead = _number(database, DEAD)
            wait_arrivals(made.sink, burst + rate * (before + held), PATIENCE_SECONDS)
        first = _stretch(made, dues, began - seconds, began)
        last = _stretch(made, dues, ended - seconds, ended)
        faults += _missing(made, len(dues))
        left = _vacuumed(database, nodes, faults)
    jobs = max(sum(began <= due < ended for due in dues), 1)
    faults += _too_many(entries / jobs, dead, jobs + before * rate + burst)
    if size is Size.LONG:
        faults += _judged(first, last)
    figure = (
        f"{nodes} nodes, {rate} jobs/s ({full:.0f} where all are due), a snapshot held for {held} "
        f"s: {last.rate:.0f} came a second ({first.rate:.0f} before), late {last.late * 1e3:.0f} "
        f"ms p99 ({first.late * 1e3:.0f}); {entries / jobs:.0f} entries of claims read for a job; "
        f"{dead} dead rows, {left} after a vacuum"
    )
    return line("nodes_readers", figure, faults)


def _vacuumed(database: psycopg.Connection[tuple[int]], nodes: int, faults: list[str]) -> int:
    """Return how many dead rows a VACUUM leaves; that it leaves too many is a fault."""
    for tried in range(VACUUMS):
        pause(REPORTED_SECONDS if tried else 0.0)
        began = monotonic()
        database.execute("VACUUM")
        left = _number(database, DEAD)
        most = nodes * MAX_IDLE * (monotonic() - began + REPORTED_SECONDS)
        if left <= most:
            return left
    faults.append(f"{left} dead rows after a vacuum, more than {most:.0f}")
    return left


def _too_many(entries: float, dead: int, jobs: int) -> Iterator[str]:
    """Yield what there was too much of: entries read for a job, and dead rows of so many jobs."""
    if entries > MAX_ENTRIES:
        yield f"{entries:.0f} entries of claims were read for a job"
    if dead > MAX_DEAD * jobs:
        yield f"{dead} dead rows"


def _judged(first: Stretch, last: Stretch) -> Iterator[str]:
    """Yield what is wrong at the end of a snapshot."""
    if last.rate < MIN_RATIO * first.rate:
        yield f"{last.rate / first.rate:.2f} of the rate before it, less than {MIN_RATIO}"
    if last.late > MAX_TIMES_LATE * first.late:
        yield f"{last.late / first.late:.1f} times as late, more than {MAX_TIMES_LATE}"


def _full_rate(made: Cluster, jobs: int, ahead: float) -> float:
    """Return how many come a second of jobs that are due at once, and were created before.

    Raises: RuntimeError, they were due before all of them were created.
    """
    due = monotonic() + ahead
    names = [f"burst-{number}" for number in range(jobs)]
    with _api() as api:
        for turn, start in enumerate(range(0, jobs, BATCH // len(made.nodes))):
            part = names[start : start + BATCH // len(made.nodes)]
            _create(made, api, turn, dict.fromkeys(part, due))
    if monotonic() > due:
        raise RuntimeError("the jobs of the burst were due before all of them were created")
    wait_arrivals(made.sink, jobs, ahead + PATIENCE_SECONDS)
    return jobs / (max(each.at for each in tuple(made.sink.arrivals)) - due)


@contextmanager
def _creating(made: Cluster, rate: int, seconds: int, dues: list[float]) -> Iterator[None]:
    """Create so many jobs each second in a thread, and note when each is due.

    The block ends when all are created.
    """
    thread = threading.Thread(target=_create_all, args=(made, rate, seconds, dues))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _create_all(made: Cluster, rate: int, seconds: int, dues: list[float]) -> None:
    start = monotonic()
    with _api() as api:
        for second in range(seconds):
            pause(start + second - monotonic())
            part = [start + AHEAD_SECONDS + second + n / rate for n in range(rate)]
            named = [(str(number), due) for number, due in enumerate(part, len(dues))]
            for turn in range(len(made.nodes)):
                _create(made, api, turn, dict(named[turn :: len(made.nodes)]))
            dues.extend(part)


def _create(made: Cluster, api: httpx.Client, turn: int, named: Mapping[str, float]) -> None:
    """Create jobs of these names by a node, each due at a time of the monotonic clock."""
    now, at = SystemClock().now(), monotonic()
    api.base_url = httpx.URL(made.nodes[turn % len(made.nodes)].url)
    create(
        api,
        [
            {
                "url": f"http://{made.host(place % ORIGINS)}:{made.sink.port}/{name}",
                "scheduled_at": (now + timedelta(seconds=due - at)).isoformat(),
            }
            for place, (name, due) in enumerate(named.items())
        ],
    )


def _api() -> httpx.Client:
    return httpx.Client(headers=bearer(KEY), trust_env=False, timeout=60)


@contextmanager
def _snapshot(url: str) -> Iterator[None]:
    """Hold a snapshot until the end of the block."""
    with closing(psycopg.connect(url)) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute(SNAPSHOT).fetchone()
        yield


def _stretch(made: Cluster, dues: Sequence[float], since: float, until: float) -> Stretch:
    """Return how it went with the jobs that were due within a time."""
    late = [
        arrival.at - dues[int(name)]
        for arrival in tuple(made.sink.arrivals)
        if (name := arrival.path.removeprefix("/")).isdigit() and since <= dues[int(name)] < until
    ]
    came = [
        arrival.at
        for arrival in tuple(made.sink.arrivals)
        if since <= arrival.at < until and arrival.path[1:].isdigit()
    ]
    return Stretch(len(came) / (until - since), quantiles(late, n=100)[-1])


def _missing(made: Cluster, jobs: int) -> Iterator[str]:
    times = made.sink.times
    for number in range(jobs):
        if (came := times[f"/{number}"]) != 1:
            yield f"/{number} came {came} times"


def _number(database: psycopg.Connection[tuple[int]], query: str) -> int:
    row = database.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
