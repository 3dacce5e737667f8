"""The three styles in which times stand on the wire; clients parse them, so all are kept (§4)."""

from datetime import datetime


def bare(at: datetime) -> str:
    """Write whole seconds without a zone: the outer `inserted_at` of jobs and schedules."""
    return at.strftime("%Y-%m-%dT%H:%M:%S")


def precise(at: datetime) -> str:
    """Write six digits and `Z`: all times inside `job`, and those of log entries."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def zoned(at: datetime) -> str:
    """Write whole seconds and `Z`: a schedule's `disabled_at`."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
