"""What a page says after a change: short texts by their names in the address bar."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from starlette.datastructures import QueryParams

NOTICES: Final[Mapping[str, str]] = {
    "breaker-reset": "The breaker is reset: requests to this origin are sent again.",
    "cancelled": "The job is cancelled.",
    "clock-moved": "The clock was moved. Everything that fell due has run.",
    "clock-runs": "The clock runs.",
    "clock-stopped": "The clock stands still.",
    "created": "The job is created.",
    "exists": "A job or schedule with this idempotency key is there already: nothing is created.",
    "key-revoked": "The key is revoked.",
    "none-ticked": "Nothing was changed: tick at least one job.",
    "nothing-changed": "Nothing was changed: you left every field as it was.",
    "paused": "Requests to this target are paused.",
    "reset": "All jobs, schedules, logs and keys are deleted.",
    "resumed": "Requests to this target are no longer paused.",
    "retried": "The job is due again now.",
    "run": "The job is due now.",
    "schedule-created": "The schedule is created. This is its first run.",
    "schedule-changed": "The schedule is changed.",
    "schedule-deleted": "The schedule is deleted.",
    "schedule-disabled": "The schedule is disabled.",
    "schedule-enabled": "The schedule is enabled.",
    "sink-cleared": "The sink has forgotten its requests.",
    "state-changed": "$state is replaced.",
    "signed-out": "You are signed out.",
}
"""No other text can be put there by a link."""

MANY: Final[Mapping[str, str]] = {
    "many-cancelled": "cancelled",
    "many-retried": "due again now",
    "many-run": "due now",
}
"""What many jobs are after a change of them; the address bar has how many, and why others are not.
"""

REASONS: Final[Mapping[str, str]] = {
    "scheduled": "scheduled",
    "available": "due already",
    "executing": "being sent",
    "retryable": "waiting for a retry",
    "completed": "completed already",
    "discarded": "discarded already",
    "cancelled": "cancelled already",
    "taken": "held back by another job with the same idempotency key or planned time",
    "changed": "changed since they were counted",
    "gone": "not there any more",
}
"""Why a job is not changed with others: its state, or what stands in the way."""

NAMES: Final = ("notice", "changed", "kept")
"""The parameters of the address bar that a notice is made of."""

_MAX_DIGITS: Final = 12


class Notice(msgspec.Struct, frozen=True):
    """A text after a change; `icon` is the shape and the colour of how it went."""

    text: str
    icon: str = "completed"


def notice_of(query: QueryParams) -> Notice | None:
    """Return the notice that an address bar names, None if it names none."""
    name = query.get("notice", "")
    if name in MANY:
        return _of_many(MANY[name], query)
    text = NOTICES.get(name)
    return (
        None if text is None else Notice(text, "warning" if name == "none-ticked" else "completed")
    )


def _of_many(done: str, query: QueryParams) -> Notice:
    changed, kept = _number(query.get("changed", "")), list(_kept(query.getlist("kept")))
    text = f"{_jobs(changed)} {done}."
    if not kept:
        return Notice(text)
    left = sum(number for number, _ in kept)
    reasons = ", ".join(f"{number:,} {reason}" for number, reason in kept)
    return Notice(f"{text} {_jobs(left)} not: {reasons}.", "completed" if changed else "warning")


def _kept(texts: Iterable[str]) -> Iterable[tuple[int, str]]:
    for text in texts:
        reason, _, number = text.partition(":")
        if reason in REASONS:
            yield _number(number), REASONS[reason]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0


def _jobs(number: int) -> str:
    return "1 job is" if number == 1 else f"{number:,} jobs are"
