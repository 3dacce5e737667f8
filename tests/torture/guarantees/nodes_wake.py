"""A due job that its node cannot send is sent by another at once, and at its time by any clock.

A node whose only slot is taken takes jobs that are due now; another has free slots and no look at
the table to wait for. It loses its way to hear of them, and finds it again. Then a node's wall
clock is set back and forth by an hour: its jobs come at their times.
"""

from collections.abc import Callable, Sequence
from typing import Final

import httpx

from tests.support.processes import bearer, monotonic
from tests.torture.line import Line, Size, line
from tests.torture.nodes.cluster import KEY, Cluster, Node, cluster, create, pause, wait
from tests.torture.nodes.proxy import Way, ways
from tests.torture.nodes.sink import Sink
from tests.torture.nodes.strange import STEP_FILE

FULL, FREE = 0, 1
"""The numbers of the node whose slot is taken, and of the other."""

HELD: Final = "/held"
HELD_SECONDS: Final = 300.0
ONE_SLOT: Final = "[delivery]\nconcurrency = 1\n"

HEARD_SECONDS: Final = 0.3
"""How long after its create a job may come that another node is told of."""

POLLED_SECONDS: Final = 1.5
"""The same where that node only looks each second."""

BACK_SECONDS: Final = 3.0
NOTICED_SECONDS: Final = 20.0
"""Longer than a connection may be silent."""

AHEAD_SECONDS: Final = 1.5
EARLY_SECONDS: Final = 0.02
"""A node knows the database's time by round trips."""

LATE_SECONDS: Final = 0.5
LOST_SECONDS: Final = 10.0
ODDITIES: Final = "named,stepped"


def measure(size: Size) -> Line:
    """Try it with 100 jobs and a way that is cut and silent, in short with 10 and a cut alone."""
    return _tried(size, ODDITIES)


def twin() -> Line:
    """Try it with nodes that tell each other nothing, and go by their own wall clocks."""
    return _tried(Size.SHORT, f"{ODDITIES},deaf,by_machine")


def _tried(size: Size, oddities: str) -> Line:
    sink = Sink(lambda path, times: HELD_SECONDS if path == HELD else 0.0)

    with (
        ways() as found,
        cluster(
            2,
            sink,
            oddities=oddities,
            listen=lambda number, url: found.reach(number, url) if number == FREE else "",
            own_settings=lambda number: ONE_SLOT if number == FULL else "",
        ) as made,
        httpx.Client(headers=bearer(KEY), trust_env=False) as api,
    ):
        figures, faults = _by_another(size, made, api, found.of[FREE])
        came, wrong = _by_any_clock(made, api)
    return line("nodes_wake", "; ".join((*figures, came)), [*faults, *wrong])


def _by_another(
    size: Size, made: Cluster, api: httpx.Client, way: Way
) -> tuple[list[str], list[str]]:
    """Create jobs at the node without a slot."""
    _lateness(made, api, made.nodes[FULL], HELD, timeout=HELD_SECONDS)
    if [arrival.node for arrival in made.sink.arrivals] != [str(FULL)]:
        return [], ["its slot was not taken"]
    came = _came(made, api, "heard", size.pick(100, 10))
    figures, faults = [f"by another node {_shown(came)}"], _judged(came, HEARD_SECONDS)
    for name, lose in size.pick({"cut": way.cut, "silent": way.silence}, {"cut": way.cut}).items():
        lose()
        lost = _came(made, api, name, 3)
        pause(size.pick(NOTICED_SECONDS, 0.0))
        way.heal()
        pause(BACK_SECONDS)
        back = _came(made, api, f"back-from-{name}", 5)
        figures.append(f"{_shown(lost)} while its way was {name}, {_shown(back)} after that")
        faults += _judged(lost, POLLED_SECONDS) + _judged(back, HEARD_SECONDS)
    return figures, faults


def _by_any_clock(made: Cluster, api: httpx.Client) -> tuple[str, list[str]]:
    """Create jobs at a node that is alone, and set its wall clock back and forth meanwhile."""
    made.nodes[FULL].kill()
    node = made.nodes[FREE]
    step = node.folder / STEP_FILE
    came = [
        _lateness(made, api, node, "/back", step.touch, schedule_in=AHEAD_SECONDS),
        _lateness(made, api, node, "/behind", schedule_in=AHEAD_SECONDS),
        _lateness(made, api, node, "/forth", step.unlink, schedule_in=AHEAD_SECONDS),
    ]
    faults = [
        f"a job of a node with a wrong clock came {late:.2f} s late"
        for late in came
        if not -EARLY_SECONDS <= late <= LATE_SECONDS
    ]
    return f"by a clock that is wrong {_shown(came)}", faults


def _came(made: Cluster, api: httpx.Client, name: str, count: int) -> list[float]:
    """Create jobs one after the other at the node without a slot; return how late each came."""
    node = made.nodes[FULL]
    return [_lateness(made, api, node, f"/{name}-{number}") for number in range(count)]


def _lateness(
    made: Cluster,
    api: httpx.Client,
    node: Node,
    path: str,
    change: Callable[[], object] = lambda: None,
    **fields: float,
) -> float:
    """Create a job at a node, change something, and return how late it came."""
    api.base_url = httpx.URL(node.url)
    due = monotonic() + fields.get("schedule_in", 0.0)
    create(api, [{"url": f"http://127.0.1.1:{made.sink.port}{path}", **fields}])
    change()
    wait(lambda: made.sink.times[path] > 0, due - monotonic() + LOST_SECONDS)
    came = [arrival.at for arrival in tuple(made.sink.arrivals) if arrival.path == path]
    return (came[0] if came else monotonic()) - due


def _judged(came: Sequence[float], seconds: float) -> list[str]:
    """Return what is wrong: one of them may have met a machine that was busy."""
    late = [each for each in came if each > seconds]
    if len(late) <= 1:
        return []
    return [
        f"{len(late)} of {len(came)} jobs that another node had to send came over {seconds} s late"
    ]


def _shown(came: Sequence[float]) -> str:
    return f"{len(came)} jobs came {min(came):.2f} to {max(came):.2f} s late"
