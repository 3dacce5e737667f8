"""Several nodes in peace: each job is sent once, and a key makes one job, whoever asks where."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import httpx

from booper.clock import SystemClock
from tests.support.processes import bearer, monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes.cluster import KEY, Cluster, cluster, create, wait_arrivals
from tests.torture.nodes.sink import Sink

ORIGINS: Final = 50
CLIENTS: Final = 8
BATCH: Final = 1_000
PATIENCE_SECONDS: Final = 15.0

SIZES: Final = (1, 1, 1, 1, 1, 5, 40)
"""How many jobs the requests of a client create, in turn."""

KEPT: Final = {"idempotency_ttl": "1h"}


def measure(size: Size) -> Line:
    """Let 20,000 jobs fall due at once and create 100,000, with 4 nodes; in short less, with 2."""
    return _tried("nodes_peace", size)


def measure_pgbouncer(size: Size) -> Line:
    """Do so through a pool of five connections for all nodes."""
    return _tried("nodes_peace_pgbouncer", size, is_pooled=True)


def twin() -> Line:
    """Try it with nodes that claim without locks, and without comparing what a job was."""
    return _tried("nodes_peace", Size.SHORT, "no_locks")


def _tried(name: str, size: Size, oddities: str = "", *, is_pooled: bool = False) -> Line:
    faults, figures = list[str](), list[str]()
    nodes = size.pick(4, 2)
    pools = range(nodes) if is_pooled else ()
    for attempt in (_one_instant, _keys):
        with cluster(nodes, Sink(), oddities=oddities, pools=pools) as made:
            figure, wrong = attempt(made, size)
        figures.append(figure)
        faults += wrong
    return line(name, f"{nodes} nodes: {'; '.join(figures)}", faults)


def _one_instant(made: Cluster, size: Size) -> tuple[str, list[str]]:
    """Create jobs by all nodes that are due at one instant."""
    count, seconds = size.pick((20_000, 60.0), (1_500, 5.0))
    at, due = monotonic() + seconds, SystemClock().now() + timedelta(seconds=seconds)
    jobs = [
        {"url": made.target(number, ORIGINS), "scheduled_at": due.isoformat()}
        for number in range(count)
    ]
    with httpx.Client(headers=bearer(KEY), trust_env=False, timeout=60.0) as api:
        for start in range(0, count, BATCH):
            api.base_url = httpx.URL(made.nodes[start // BATCH % len(made.nodes)].url)
            create(api, jobs[start : start + BATCH])
    faults = [] if monotonic() < at else ["the creates took too long"]
    wait_arrivals(made.sink, count, seconds + PATIENCE_SECONDS)
    took = max((arrival.at for arrival in made.sink.arrivals), default=at) - at
    faults += _once(made.sink, {f"/{number}" for number in range(count)})
    early = sum(arrival.at < at - 0.005 for arrival in made.sink.arrivals)
    faults += [f"{early} came before their time"] if early else []
    return f"{count} due at one instant came once each within {took:.1f} s", faults


def _keys(made: Cluster, size: Size) -> tuple[str, list[str]]:
    """Create from several clients at once; each second create of one has a key that all use."""
    each = size.pick(100_000, 2_400) // CLIENTS
    began = monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        parts = [pool.submit(_client, made, client, each) for client in range(CLIENTS)]
        numbers = [part.result() for part in parts]
    took = monotonic() - began
    keys = each // 2
    wanted = {f"/{number}" for number in range(keys)}
    wanted |= {f"/{_own(client, step)}" for client in range(CLIENTS) for step in range(1, each, 2)}
    wait_arrivals(made.sink, len(wanted), PATIENCE_SECONDS)
    faults = _once(made.sink, wanted) + _one_number(numbers, keys)
    figure = f"{CLIENTS * each} creates in {took:.1f} s: one job for each of {keys} keys"
    return figure, faults


def _client(made: Cluster, client: int, count: int) -> Mapping[str, int]:
    """Create as one client, by one node after the other; return the number of each key's job."""
    found = dict[str, int]()
    urls = [node.url for node in made.nodes]
    with httpx.Client(headers=bearer(KEY), trust_env=False, timeout=60.0) as api:
        done = turn = 0
        while done < count:
            jobs = [
                _job(made, client, step)
                for step in range(done, min(done + SIZES[turn % len(SIZES)], count))
            ]
            api.base_url = httpx.URL(urls[(client + turn) % len(urls)])
            for job, number in zip(jobs, create(api, jobs), strict=True):
                if (key := job.get("idempotency_key")) is not None:
                    found[key] = number
            done += len(jobs)
            turn += 1
    return found


def _job(made: Cluster, client: int, step: int) -> dict[str, Any]:
    if step % 2:
        return {"url": made.target(_own(client, step), ORIGINS)}
    number = step // 2
    return {"url": made.target(number, ORIGINS), "idempotency_key": f"k{number}", **KEPT}


def _own(client: int, step: int) -> int:
    """Return the number of a job that one client creates alone."""
    return (client + 1) * 1_000_000 + step


def _once(sink: Sink, wanted: set[str]) -> list[str]:
    """Return what did not come, came twice, or was never created."""
    came = sink.by_path()
    return [
        *(f"never came: {path}" for path in wanted - came.keys()),
        *(f"came {len(came[path])} times: {path}" for path in sink.doubled()),
        *(f"not created: {path}" for path in came.keys() - wanted),
    ]


def _one_number(numbers: Sequence[Mapping[str, int]], keys: int) -> list[str]:
    """Return the keys for which the clients were given different jobs."""
    given = ({part.get(f"k{key}") for part in numbers} for key in range(keys))
    return [f"key {key}: jobs {jobs}" for key, jobs in enumerate(given) if len(jobs) != 1]
