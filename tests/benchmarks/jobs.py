"""What is sent: the body that reaches the target, and the create that asks booper for it.

The target's body carries its number and its due time, so that an arrival needs no other record.
"""

from datetime import UTC, datetime, timedelta
from time import time_ns

NUMBER = "@NUMBER@"
DUE = "@DUE@"
DUE_SECONDS = "@DUE_SECONDS@"
DUE_ISO = "@DUE_ISO@"

PAYLOAD = f'{{"number": {NUMBER}, "due": {DUE}, "content": "Hello, this is your reminder."}}'
"""The body of a request to the target; `due` is in microseconds since 1970."""

HOUR = 3_600_000_000
MOMENT = 3_000_000
"""Microseconds until the first job of a burst is due, beside what its creation takes."""


def microseconds() -> int:
    """Return the time in microseconds since 1970."""
    return time_ns() // 1000


def fill_in(template: str, number: int, due: int) -> str:
    """Put an item's number and due time into a template."""
    seconds = f"{due // 1_000_000}.{due % 1_000_000:06}"
    filled = template.replace(NUMBER, str(number)).replace(DUE, str(due))
    filled = filled.replace(DUE_SECONDS, seconds)
    return filled.replace(DUE_ISO, _iso(due)) if DUE_ISO in filled else filled


def create_body(target: str) -> str:
    """Return the template of a create of booper's."""
    return (
        f'{{"method": "post", "url": "{target}", "headers": {{"X-Trace": "benchmark"}}, '
        f'"body": {PAYLOAD}, "scheduled_at": {DUE_SECONDS}}}'
    )


def _iso(due: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=due)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
