"""Errors of a call as a person at a command line reads them, and how a command ends by them.

Exit codes: 1 booper refused, 2 what was typed cannot be sent, 3 no response came.
"""

import re
from collections.abc import Mapping
from typing import Final

from booper.client import (
    ClientError,
    Forbidden,
    Invalid,
    InvalidArgument,
    Refused,
    Unauthenticated,
    Unreachable,
)
from booper.model.fields import CREATE_FIELDS

_TYPED: Final[Mapping[str, str]] = {
    **{name: field.option for name, field in CREATE_FIELDS.items() if field.option is not None},
    "tag": "--tag",
    "after": "--since",
    "before": "--before",
    "state": "--state",
    "schedule_id": "--schedule",
    "url_prefix": "--url-prefix",
    "text": "--text",
    "event": "--event",
    "job_id": "--job",
}
"""What was typed, by the field of the API that it became."""

_FIELD: Final = re.compile(r"\b[a-z]+_[a-z_]+\b")
"""A field whose name is no word of plain English."""


def message(error: ClientError, server: str = "--url") -> str:
    """Return what went wrong, in the words of the command line, and what to do.

    `server` is the option that names the server.
    """
    match error:
        case Unreachable(may_have_happened=True):
            return (
                f"no response from {error.url} ({error.reason}); it may have been carried out, "
                "so check before you repeat it"
            )
        case Unreachable():
            return (
                f"no response from {error.url} ({error.reason}); is booper running there? "
                f"Start it with `booper serve`, or name another address with {server} or "
                "BOOPER_URL"
            )
        case Invalid(fields=fields) if fields:
            return "; ".join(
                f"{_typed(each.pointer)}: {_in_options(each.detail)}" for each in fields
            )
        case Unauthenticated():
            return f"{_said(error)}; set the key with --key or BOOPER_API_KEY"
        case Forbidden():
            return f"{_said(error)}; `booper keys create NAME --scope SCOPE` makes one"
        case Refused():
            return _said(error)
        case _:
            return str(error)


def exit_code(error: ClientError) -> int:
    """Return how a command ends."""
    match error:
        case InvalidArgument():
            return 2
        case Unreachable():
            return 3
        case _:
            return 1


def _said(error: Refused) -> str:
    status = f"{error.status} {error.title}"
    wait = f"; try again in {error.retry_after:g} s" if error.retry_after else ""
    return f"{error.detail} ({status}){wait}" if error.detail else f"{status}{wait}"


def _in_options(detail: str) -> str:
    """Return what is wrong with each field of several words named by its option."""
    return _FIELD.sub(lambda found: _TYPED.get(found[0], found[0]), detail)


def _typed(pointer: str) -> str:
    """Return what was typed for a field, by its JSON Pointer (RFC 6901 §4)."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    if parts[:1] == ["filter"]:
        parts = parts[1:]
    if not parts:
        return "the request"
    name, *rest = parts
    return " ".join([_TYPED.get(name, name), *rest])
