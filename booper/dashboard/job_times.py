"""When a job was due, sent and answered: its last attempt, as far as that has come."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from booper.model.job import WAITING


class Times(msgspec.Struct, frozen=True):
    """Times of the last attempt as the API writes them, None for what has not happened.

    `late` are the seconds between the first two.
    """

    due: str
    sent: str | None = None
    answered: str | None = None
    late: float | None = None


def times_of(job: Any, log: Sequence[Any]) -> Times:
    """Return the times of a job's last attempt; `log` are its entries, the last at the end."""
    due = job["scheduled_at"]
    sent = job["attempted_at"]
    if sent is None or sent < due or job["state"] in (*WAITING, "available"):
        return Times(due)  # that of an attempt that is to come
    late = datetime.fromisoformat(sent) - datetime.fromisoformat(due)
    is_over = bool(log) and job["state"] != "executing" and log[-1]["inserted_at"] >= sent
    return Times(
        due,
        sent,
        log[-1]["inserted_at"] if is_over else None,
        max(late, timedelta(0)).total_seconds(),
    )
