"""The figures, one group a module; each returns its rows of the table."""

from collections.abc import Callable

from tests.benchmarks.figures import (
    burst,
    creates,
    growth,
    idle,
    lateness,
    nodes,
    pages,
    scrape,
    streams,
    travel,
)
from tests.benchmarks.runner import Bench, Row

FIGURES: dict[str, Callable[[Bench], list[Row]]] = {
    "creates": creates.measure,
    "burst": burst.measure,
    "lateness": lateness.measure,
    "nodes": nodes.measure,
    "idle": idle.measure,
    "growth": growth.measure,
    "travel": travel.measure,
    "scrape": scrape.measure,
    "streams": streams.measure,
    "pages": pages.measure,
}
