"""The metrics: their names, what they mean, and their values of one reading.

Units are seconds and bytes. No label has values without end: of many origins the busiest are named.
"""

import platform
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from booper import __version__
from booper.metrics.reading import Reading
from booper.model.job import OWN_KINDS, WAITING, Kind, State
from booper.model.tally import Tallied
from booper.store.counters import MAX_DUE
from booper.store.nodes import NodeInfo
from booper.store.values import ALL_TARGETS

MAX_ORIGINS: Final = 20
"""How many origins are named; the others are `OTHER` together."""

OTHER: Final = "other"

_STORED: Final = [state for state in State if state is not State.AVAILABLE]


def families(reading: Reading) -> Iterator[Metric]:
    """Yield every metric with its values."""
    yield _gauge(
        "build_info",
        "The version of booper, of Python and of SQLite; its value is 1.",
        [((__version__, platform.python_version(), sqlite3.sqlite_version), 1)],
        ("version", "python", "sqlite"),
    )
    yield from _of_jobs(reading)
    yield from _of_attempts(reading)
    yield from _of_loop(reading)
    yield from _of_store(reading)
    yield from _of_nodes(reading.nodes or ())
    yield _counter(
        "api_requests",
        "Requests that the API has responded to, by method, path and status.",
        [((*route, str(status)), count) for (route, status), count in reading.requests.items()],
        ("method", "route", "status"),
    )


def _of_jobs(reading: Reading) -> Iterator[Metric]:
    jobs = reading.jobs
    if jobs is not None:
        yield _gauge(
            "jobs",
            "Jobs in the database by state and kind. Those that are due count as scheduled.",
            [((state, kind), jobs.get((kind, state), 0)) for state in _STORED for kind in Kind],
            ("state", "kind"),
        )
        reports = [kind for kind in Kind if kind not in OWN_KINDS]
        waiting = sum(jobs.get((kind, state), 0) for kind in reports for state in WAITING)
        yield _plain(
            "reports_waiting", "Callbacks, webhook events and messages that wait.", waiting
        )
    if reading.due is not None:
        yield _plain(
            "overdue_jobs",
            "Jobs that wait though their time has come: for a slot, a breaker, a pause or another "
            f"job. At most {MAX_DUE} are counted.",
            reading.due.count,
        )
        oldest_at = reading.due.oldest_at
        yield _plain(
            "oldest_due_seconds",
            "How long ago the first of the overdue jobs was due, whatever it waits for; 0 if none.",
            0.0 if oldest_at is None else (reading.now - oldest_at).total_seconds(),
        )


def _of_attempts(reading: Reading) -> Iterator[Metric]:
    yield _histogram(
        "lateness_seconds",
        "How long after its time each attempt of a request or a run began.",
        {(): reading.lateness},
    )
    yield _histogram(
        "attempt_duration_seconds",
        "How long attempts of requests and runs took, by what they led to: completed, retried, "
        "discarded, cancelled.",
        {(outcome,): tallied for outcome, tallied in reading.durations.items()},
        ("outcome",),
    )
    yield _counter(
        "attempts",
        "Attempts by the kind of job, by what they led to, and by what came back: the class of the "
        "status, such as 2xx, or why there was no response, such as timeout.",
        reading.attempts.items(),
        ("kind", "outcome", "result"),
    )
    yield _gauge(
        "schedule_last_success_timestamp_seconds",
        "When a run of the schedule last completed, in Unix time; 0 if none has. For the schedules "
        "in [metrics] schedules.",
        [
            ((name,), at.timestamp() if at is not None else 0)
            for name, at in sorted(reading.completed_at.items())
        ],
        ("schedule",),
    )


def _of_loop(reading: Reading) -> Iterator[Metric]:
    loop = reading.loop
    yield _gauge(
        "in_flight",
        f"Attempts that are being made, for the {MAX_ORIGINS} busiest origins and all others.",
        _busiest(loop.in_flight),
        ("origin",),
    )
    yield _plain("slots", "Attempts that may be made at a time.", loop.slots)
    open_since = [breaker.origin for breaker in loop.breakers]
    named, others = open_since[:MAX_ORIGINS], open_since[MAX_ORIGINS:]
    yield _gauge(
        "breaker_open",
        "Origins that are only probed since they failed again and again: 1 for each of the "
        f"{MAX_ORIGINS} that have been for longest, and how many others there are.",
        [*(((origin,), 1) for origin in named), ((OTHER,), len(others))],
        ("origin",),
    )
    targets = [pause.target for pause in loop.pauses]
    yield _plain(
        "paused_origins",
        "Origins and hosts to which sending is paused.",
        sum(target != ALL_TARGETS for target in targets),
    )
    yield _plain("paused", "Whether all sending is paused: 1 or 0.", int(ALL_TARGETS in targets))
    oldest_at = loop.oldest_at
    yield _plain(
        "oldest_ready_seconds",
        "How long the first job waits that is due and that nothing holds back; 0 if none does.",
        0.0 if oldest_at is None else max((reading.now - oldest_at).total_seconds(), 0.0),
    )
    yield _plain(
        "loop_age_seconds",
        "How long ago the loop last looked at what is due; it does at least once a minute.",
        loop.age_seconds,
    )
    yield _plain(
        "sending", "Whether the loop runs, and can claim what is due: 1 or 0.", int(loop.is_sending)
    )


def _of_store(reading: Reading) -> Iterator[Metric]:
    yield _histogram(
        "commit_duration_seconds", "How long commits took.", {(): reading.commit_durations}
    )
    yield _histogram(
        "commit_group_size",
        "How many changes were committed together.",
        {(): reading.commit_sizes},
    )
    yield _counter(
        "commit_failures",
        "Changes that could not be written: the disk was full, or the file could not be used.",
        [((), reading.commit_failures)],
    )
    if reading.sizes is not None:
        yield _gauge(
            "database_bytes",
            "The size of the database: its file, its log (SQLite's -wal file), and how much of the "
            "file is free.",
            [((part,), size) for part, size in reading.sizes.items()],
            ("part",),
        )
    if reading.disk_free is not None:
        yield _plain("disk_free_bytes", "Free space where the database is.", reading.disk_free)
    yield _plain(
        "oldest_reader_seconds",
        "How long the oldest read of the database has been running; 0 if none is.",
        reading.oldest_reader_seconds,
    )
    yield _counter(
        "pruned_rows",
        "Rows that were deleted since the start: they were old, or the database was too large.",
        [((), reading.pruned_rows)],
    )
    yield _plain(
        "over_size",
        "Whether the database is over [retention] max_bytes and nothing more may be deleted.",
        float(reading.is_over_size),
    )


def _of_nodes(nodes: Sequence[NodeInfo]) -> Iterator[Metric]:
    """Yield the metrics of nodes. Only this one is told of: each is scraped."""
    own = [node for node in nodes if node.is_this]
    offsets = [node.clock_offset for node in own if node.clock_offset is not None]
    yield _gauge(
        "nodes",
        "Processes that serve the database.",
        [((), len(nodes))] if nodes else [],
    )
    yield _gauge(
        "node_number",
        "The number under which this process claims jobs. It changes if its lease is lost.",
        [((), node.number) for node in own],
    )
    yield _gauge(
        "node_clock_offset_seconds",
        "How far the clock of this machine is ahead of the database's.",
        [((), offset.total_seconds()) for offset in offsets],
    )


def _busiest(in_flight: Mapping[str, int]) -> list[tuple[Sequence[str], float]]:
    named = nlargest(MAX_ORIGINS, Counter(in_flight).items(), key=lambda item: item[1])
    rest = sum(in_flight.values()) - sum(count for _, count in named)
    return [*(((origin,), float(count)) for origin, count in named), ((OTHER,), rest)]


Sample = tuple[Sequence[str], float]
"""The values of a metric's labels, and its own."""


def _gauge(name: str, text: str, samples: Iterable[Sample], labels: Sequence[str] = ()) -> Metric:
    family = GaugeMetricFamily(f"booper_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _plain(name: str, text: str, value: float) -> Metric:
    return _gauge(name, text, [((), value)])


def _counter(name: str, text: str, samples: Iterable[Sample], labels: Sequence[str] = ()) -> Metric:
    family = CounterMetricFamily(f"booper_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _histogram(
    name: str, text: str, tallied: Mapping[Sequence[str], Tallied], labels: Sequence[str] = ()
) -> Metric:
    family = HistogramMetricFamily(f"booper_{name}", text, labels=labels)
    for values, each in tallied.items():
        family.add_metric(values, _cumulative(each), each.total)
    return family


def _cumulative(tallied: Tallied) -> list[tuple[str, float]]:
    """Return how many values are at most each limit."""
    limits = [*map(str, map(float, tallied.limits)), "+Inf"]
    seen, found = 0, list[tuple[str, float]]()
    for limit, count in zip(limits, tallied.counts, strict=True):
        seen += count
        found.append((limit, seen))
    return found
