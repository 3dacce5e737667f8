"""Clients that create jobs at a steady rate, by whichever node lives, and note what they are told.

A job is known by its path, which is its number.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import httpx

from tests.support.processes import bearer, monotonic
from tests.torture.nodes.cluster import KEY, Cluster, Refused, create

POSTERS: Final = 2
TURN_SECONDS: Final = 0.1
CREATE_SECONDS: Final = 15.0


@dataclass
class Posted:
    """What became of the creates, by time: what was acknowledged, refused or cut off."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    refused: list[tuple[float, httpx.Response]] = field(default_factory=list)
    cut_off: list[tuple[float, httpx.TransportError]] = field(default_factory=list)

    def rate(self, begin: float, end: float) -> float:
        """Return how many jobs were acknowledged a second, between two moments."""
        times = tuple(self.acknowledged.values())
        return sum(begin <= at < end for at in times) / (end - begin)


@contextmanager
def posting(
    made: Cluster,
    per_second: int,
    *,
    origins: int = 1,
    fields: Callable[[int], Mapping[str, Any]] = lambda number: {},
    is_alone: bool = False,
) -> Iterator[Posted]:
    """Create so many jobs a second until the end of the block, each alone or some at a time.

    `fields` are more of each job's.
    """
    posted, stop, numbers = Posted(), threading.Event(), count()
    each = 1 if is_alone else max(1, round(per_second * TURN_SECONDS / POSTERS))

    def post(poster: int) -> None:
        with httpx.Client(headers=bearer(KEY), trust_env=False, timeout=CREATE_SECONDS) as api:
            turn, due = poster, monotonic()
            while not stop.wait(max(0.0, due - monotonic())):
                due, turn = due + each * POSTERS / per_second, turn + 1
                taken = [next(numbers) for _ in range(each)]
                jobs = [{"url": made.target(it, origins), **fields(it)} for it in taken]
                _post(made, api, turn, jobs, taken, posted)

    with ThreadPoolExecutor(POSTERS) as pool:
        posters = [pool.submit(post, poster) for poster in range(POSTERS)]
        try:
            yield posted
        finally:
            stop.set()
        for poster in posters:
            poster.result()


def _post(
    made: Cluster,
    api: httpx.Client,
    turn: int,
    jobs: list[dict[str, Any]],
    numbers: list[int],
    posted: Posted,
) -> None:
    """Create some jobs by the next node that lives."""
    nodes = [node for node in made.nodes if not node.is_away]
    living = [daemon for node in nodes if (daemon := node.daemon) is not None]
    api.base_url = httpx.URL(living[turn % len(living)].url)
    try:
        create(api, jobs)
    except httpx.TransportError as error:
        posted.cut_off.append((monotonic(), error))
    except Refused as error:
        posted.refused.append((monotonic(), error.response))
    else:
        posted.acknowledged.update((f"/{number}", monotonic()) for number in numbers)
