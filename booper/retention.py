"""The settings of `[retention]`, as the pruner takes them."""

from booper.config import Config
from booper.model.retention import Retention, parse_span


def retention_of(config: Config) -> Retention:
    """Return how long what has ended is kept."""
    table = config.retention
    return Retention(
        completed=parse_span(table.completed),
        cancelled=parse_span(table.cancelled),
        discarded=parse_span(table.discarded),
        audit=parse_span(table.audit),
        buckets=parse_span(table.buckets),
        schedule_runs=table.schedule_runs,
        max_bytes=table.max_bytes,
    )
