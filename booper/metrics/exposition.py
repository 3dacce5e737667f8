"""Metrics as text: in the format that a scraper asks for, OpenMetrics or Prometheus's older one."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from booper.metrics.families import families
from booper.metrics.reading import Reading


class _Collected(Collector):
    """The metrics of one reading, as a registry takes them."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        return families(self._reading)


def exposition(reading: Reading, accept: str) -> tuple[bytes, str]:
    """Return a reading as text, with what the system knows of this process, and its media type."""
    registry = CollectorRegistry()
    registry.register(_Collected(reading))
    ProcessCollector(registry=registry)
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type
