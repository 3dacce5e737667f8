"""Limits over all nodes: the slots of an origin, whoever sends, and the probes of one that fails.

While it fails one request at a time goes there from all nodes together, and the next one not before
the first pause of a breaker is over. Jobs that are cancelled while they execute hold their slots
until their requests have ended.

Nodes are killed meanwhile. What was open at a kill counts until its connection was closed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle, pairwise
from random import Random
from typing import Final

import httpx
import psycopg

from tests.support.processes import bearer, monotonic, nap
from tests.torture.line import Line, Size, line
from tests.torture.nodes.cluster import KEY, Cluster, cluster, create, pause, wait
from tests.torture.nodes.sink import Arrival, Sink

HOSTS: Final = {"127.0.1.1": 1, "127.0.1.2": 4, "127.0.1.3": 16}
"""Origins and their slots."""

FAILING: Final = "127.0.2.1"
FAILING_SLOTS: Final = 16
CANCELLED: Final = "127.0.1.4"
CANCELLED_SLOTS: Final = 2
SETTINGS: Final = "[retry]\nbackoff = [1]\n" + "".join(
    f'[origins."{host}"]\nslots = {slots}\n'
    for host, slots in {**HOSTS, FAILING: FAILING_SLOTS, CANCELLED: CANCELLED_SLOTS}.items()
)
SECONDS: Final = 0.1
"""How long responses take."""

LONG: Final = "/cancelled"
LONG_SECONDS: Final = 0.3
"""How long those to such paths take: there is time to cancel their jobs."""

BATCH: Final = 1_000
CREATE_SECONDS: Final = 120.0
DEAD_SECONDS: Final = (0.2, 1.0)
ALIVE_SECONDS: Final = (3.0, 6.0)
FIRST_KILL_SECONDS: Final = 1.0

STOPPED_SECONDS: Final = 1.0
"""How long after a breaker has opened others may send as if it had not."""

REST_SECONDS: Final = 1.0
"""The pause between two probes at least, whichever nodes send them."""

NEAR_SECONDS: Final = 0.01

MAX_REST_SECONDS: Final = 60.0
OPEN_SECONDS: Final = 30.0

TWIN_SECONDS: Final = 10.0
"""How long an origin fails for the twin: in most of its pauses both nodes send a probe."""

# How many seconds ago the breaker of an origin was opened by the node that was the first to do so.
OPENED: Final = """
SELECT max(extract(epoch FROM
    clock_timestamp() - (state::json ->> 'opened_at')::timestamptz))::float8
FROM breakers WHERE origin LIKE %s
"""

# Where each request to an origin went, and when it was claimed.
CLAIMED: Final = """
SELECT request::json ->> 'url', requested_at / 1000000.0::float8
FROM logs JOIN jobs ON jobs.id = job_id
WHERE origin LIKE %s AND requested_at IS NOT NULL ORDER BY requested_at
"""


def measure(size: Size) -> Line:
    """Send 20,000 jobs by 4 nodes that are killed (in short 400 by 2), cancel some, fail others."""
    faults, figures = list[str](), list[str]()
    nodes = size.pick(4, 2)
    with cluster(nodes, Sink(_seconds), settings=SETTINGS) as made:
        for figure, wrong in (
            _slots(made, size),
            _cancelled(made, size),
            _failing(made, size, size.pick(20.0, 4.0)),
        ):
            figures.append(figure)
            faults += wrong
    return line("nodes_limits", f"{nodes} nodes: {'; '.join(figures)}", faults)


def twin() -> Line:
    """Try the slots with nodes that count what is on its way without a lock."""
    with cluster(2, Sink(_seconds), settings=SETTINGS, oddities="unlocked") as made:
        figure, faults = _slots(made, Size.SHORT)
    return line("nodes_limits", figure, faults)


def twin_of_cancelled() -> Line:
    """Try to cancel where nodes count what executes alone."""
    with cluster(2, Sink(_seconds), settings=SETTINGS, oddities="forgetful") as made:
        figure, faults = _cancelled(made, Size.SHORT)
    return line("nodes_cancelled", figure, faults)


def twin_of_probes() -> Line:
    """Try the probes with nodes that each probe by their own count."""
    with cluster(2, Sink(_seconds), settings=SETTINGS, oddities="unclaimed") as made:
        figure, faults = _failing(made, Size.SHORT, TWIN_SECONDS)
    return line("nodes_probes", figure, faults)


def _seconds(path: str, times: int) -> float:
    return LONG_SECONDS if path.startswith(LONG) else SECONDS


def _slots(made: Cluster, size: Size) -> tuple[str, list[str]]:
    """Send jobs that are all due, and kill nodes until all have been answered."""
    wanted = size.pick(20_000, 400)
    places = [host for host, slots in HOSTS.items() for _ in range(slots)]
    began = monotonic()
    paths = _create(made, "slots", [places[number % len(places)] for number in range(wanted)])
    kills = _kill_until(made, lambda: _are_answered(made.sink, paths), size.pick(900.0, 60.0))
    faults = [f"not answered: {path}" for path in paths - _answered(made.sink)]
    most = {slots: _most_open(_at(made.sink, host)) for host, slots in HOSTS.items()}
    for slots, open_ in most.items():
        if open_ > slots:
            faults.append(f"an origin of {slots} slots had {open_} requests at a time")
        if 2 * open_ < slots:
            faults.append(f"not half of {slots} slots were ever taken")
    figure = (
        f"{wanted} jobs in {monotonic() - began:.0f} s with {kills} kills, at most "
        f"{' and '.join(f'{open_} of {slots}' for slots, open_ in most.items())} slots taken"
    )
    return figure, faults


def _kill_until(made: Cluster, is_over: Callable[[], bool], seconds: float) -> int:
    """Kill some nodes and start them again, until it is over; return how many were killed."""
    random, kills, until = Random(1), 0, monotonic() + seconds
    alive = FIRST_KILL_SECONDS
    while not wait(is_over, alive) and monotonic() < until:
        dead = random.sample(made.nodes, random.randint(1, len(made.nodes) - 1))
        kills += len([node.kill() for node in dead])
        pause(random.uniform(*DEAD_SECONDS))
        for node in dead:
            node.start()
        alive = random.uniform(*ALIVE_SECONDS)
    return kills


def _cancelled(made: Cluster, size: Size) -> tuple[str, list[str]]:
    """Cancel jobs that execute, by one node after the other, until all have been answered."""
    wanted, count = size.pick(600, 40), 0
    paths = _create(made, LONG.strip("/"), [CANCELLED] * wanted)
    until = monotonic() + size.pick(300.0, 40.0)
    with httpx.Client(headers=bearer(KEY), trust_env=False, timeout=CREATE_SECONDS) as api:
        for node in cycle(made.nodes):
            if paths <= _answered(made.sink) or monotonic() > until:
                break
            executing = api.get(f"{node.url}/api/jobs?state=executing").json()["data"]
            responses = [api.delete(f"{node.url}/api/jobs/{job['job_id']}") for job in executing]
            count += sum(response.status_code == 200 for response in responses)
    faults = [f"not answered: {path}" for path in paths - _answered(made.sink)]
    open_ = _most_open(_at(made.sink, CANCELLED))
    if open_ > CANCELLED_SLOTS:
        faults.append(f"where jobs are cancelled {open_} requests had {CANCELLED_SLOTS} slots")
    if count < wanted / 2:
        faults.append(f"{count} jobs were cancelled, not half of {wanted}")
    figure = f"{count} of {wanted} cancelled, at most {open_} of {CANCELLED_SLOTS} slots taken"
    return figure, faults


def _failing(made: Cluster, size: Size, lasting: float) -> tuple[str, list[str]]:
    """Make an origin fail for so long, with more jobs due than are needed to see that."""
    sink = made.sink
    paths = _create(made, "failing", [FAILING] * size.pick(2_000, 500))
    wait(lambda: any(each.status for each in _at(sink, FAILING)), CREATE_SECONDS)
    sink.failing.add(FAILING)
    if (opened := _opened_at(made.url)) is None:
        return "no breaker opened", ["no breaker opened"]
    pause(STOPPED_SECONDS + lasting)
    sink.failing.clear()
    healed = monotonic()
    is_over = wait(lambda: _are_answered(sink, paths), MAX_REST_SECONDS + size.pick(120.0, 20.0))
    faults = [] if is_over else [f"not answered: {path}" for path in paths - _answered(sink)]
    came = _at(sink, FAILING)
    probes = [each for each in came if opened + STOPPED_SECONDS < each.at < healed]
    claims = _claimed_at(made.url, came)
    faults += _wrong_probes(probes, claims, int(lasting / REST_SECONDS) + 1)
    healthy = (each.at for each in came if each.at > healed and each.status == 200)
    figure = (
        f"an origin of {FAILING_SLOTS} slots that failed had {len(probes)} requests in "
        f"{lasting:.0f} s, {_most_open(probes)} at a time, from {STOPPED_SECONDS:.0f} s after its "
        f"breaker opened; it was sent to again after {min(healthy, default=healed) - healed:.1f} s"
    )
    return figure, faults


def _wrong_probes(
    probes: Sequence[Arrival], claims: Mapping[Arrival, float], most: int
) -> list[str]:
    """Return what is wrong with the probes of a time that may have so many.

    A pause is the longer of two measures: requests are on their way for longer and shorter, and
    nodes correct what they take for the database's time.
    """
    faults = list[str]()
    if _most_open(probes) > 1:
        faults.append(f"{_most_open(probes)} probes at a time")
    if not 0 < len(probes) <= most:
        faults.append(f"{len(probes)} probes, of {most} at most")
    pauses = [
        max(after.at - before.at, claims[after] - claims[before])
        for before, after in pairwise(probes)
    ]
    if pauses and min(pauses) < REST_SECONDS - NEAR_SECONDS:
        faults.append(f"a probe was sent {min(pauses):.3f} s after the one before")
    return faults


def _claimed_at(url: str, came: Sequence[Arrival]) -> Mapping[Arrival, float]:
    """Return when the requests to the failing origin were claimed, as their log tells.

    What was answered last may not be in the log yet.
    """
    with psycopg.connect(url) as database:
        rows = database.execute(CLAIMED, [f"%//{FAILING}%"]).fetchall()
    claims: dict[str, list[float]] = defaultdict(list)
    for target, at in rows:
        claims[httpx.URL(target).path].append(at)
    return {each: claims[each.path].pop(0) for each in came if claims[each.path]}


def _opened_at(url: str) -> float | None:
    """Wait for the breaker of the failing origin; return when it was opened, None if it was not."""
    until = monotonic() + OPEN_SECONDS
    with psycopg.connect(url, autocommit=True) as database:
        while monotonic() < until:
            now = monotonic()
            row = database.execute(OPENED, [f"%//{FAILING}%"]).fetchone()
            if row is not None and row[0] is not None:
                return now - float(row[0])
            nap()
    return None


def _create(made: Cluster, name: str, hosts: Sequence[str]) -> set[str]:
    """Create a job at each of these hosts, by one node after the other; return their paths."""
    jobs = [
        {"url": f"http://{host}:{made.sink.port}/{name}-{number}"}
        for number, host in enumerate(hosts)
    ]
    with httpx.Client(headers=bearer(KEY), trust_env=False, timeout=CREATE_SECONDS) as api:
        for start in range(0, len(jobs), BATCH):
            api.base_url = httpx.URL(made.nodes[start // BATCH % len(made.nodes)].url)
            create(api, jobs[start : start + BATCH])
    return {f"/{name}-{number}" for number in range(len(jobs))}


def _at(sink: Sink, host: str) -> list[Arrival]:
    return [arrival for arrival in tuple(sink.arrivals) if arrival.host == host]


def _answered(sink: Sink) -> set[str]:
    """Return the paths that were answered by 200."""
    return {arrival.path for arrival in tuple(sink.arrivals) if arrival.status == 200}


def _are_answered(sink: Sink, paths: set[str]) -> bool:
    return len(sink.times) >= len(paths) and not paths - _answered(sink)


def _most_open(arrivals: Iterable[Arrival]) -> int:
    """Return how many requests were open at a time."""
    changes = sorted(change for each in arrivals for change in ((each.at, 1), (each.ended_at, -1)))
    most = open_ = 0
    for _, change in changes:
        open_ += change
        most = max(most, open_)
    return most
