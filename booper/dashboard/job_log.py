"""What pages read of a log, and of the reports of a job. Bodies stay text.

A body can hold 100,000 numbers: to make an object of each, for 100 entries, would hold up the loop.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from booper.model import exact

_BODY: Final = "body"


class Log(msgspec.Struct, frozen=True):
    """The first entries of a log; `is_cut` if there are more.

    A body is None, a string, or JSON in its own text.
    """

    entries: Sequence[Mapping[str, Any]]
    is_cut: bool


class Reports(msgspec.Struct, frozen=True):
    """The newest callbacks and webhook events of a job; there are more behind a `next_cursor`."""

    data: Sequence["Report"] = ()
    next_cursor: str | None = None


class Report(msgspec.Struct, frozen=True):
    """A callback or a webhook event: a job of its own."""

    job_id: int
    job: Mapping[str, Any]
    args: "ReportArgs"


class ReportArgs(msgspec.Struct, frozen=True):
    """Where a report goes, and of its body what it is."""

    url: str
    body: "ReportBody"


class ReportBody(msgspec.Struct, frozen=True):
    """The body of a report; that of a callback has no type."""

    type: str = "callback"


class _Entry(msgspec.Struct, frozen=True):
    event: str
    id: str
    job_id: int
    inserted_at: str
    payload: Mapping[str, msgspec.Raw]


class _Found(msgspec.Struct, frozen=True):
    data: Sequence[_Entry]
    next_cursor: str | None = None


def log_in(text: bytes) -> Log:
    """Return the log in a response of `/api/logs`."""
    found = msgspec.json.decode(text, type=_Found)
    entries = [
        {
            "event": each.event,
            "id": each.id,
            "job_id": each.job_id,
            "inserted_at": each.inserted_at,
            "payload": {name: _value(name, raw) for name, raw in each.payload.items()},
        }
        for each in found.data
    ]
    return Log(entries, found.next_cursor is not None)


def reports_in(text: bytes) -> Reports:
    """Return the reports in a response of `/api/jobs?reports_of=`."""
    return msgspec.json.decode(text, type=Reports)


def _value(name: str, raw: msgspec.Raw) -> Any:
    is_text = bytes(raw).startswith((b'"', b"null"))
    return raw if name == _BODY and not is_text else exact.decode(raw)
