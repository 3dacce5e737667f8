"""Which jobs: filters as query parameters of the list, and as the body of a change of many."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from booper.errors import FieldError, InvalidRequest
from booper.model.job import OWN_KINDS, REPORTS, Kind, State
from booper.model.moment import Moment, parse_moment
from booper.store.values import JobFilter

MAX_PREFIX_LENGTH: Final = 8_192
MAX_TEXT_LENGTH: Final = 200
MAX_ID: Final = 2**63 - 1


class FilterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A filter in a request's body; every part that is given must hold."""

    state: str | list[str] | None = None
    tag: str | None = None
    schedule_id: str | None = None
    url_prefix: str | None = None
    host: str | None = None
    before: Moment | None = None
    after: Moment | None = None
    text: str | None = None
    all: bool | None = None


def query_readers(now: datetime) -> Mapping[str, Callable[[list[str]], Any]]:
    """Return how the list's filters are read from query parameters."""

    def moment(texts: list[str]) -> datetime:
        return parse_moment(texts[-1], now)

    return {
        "state": _states,
        "kind": _kinds,
        "tag": lambda texts: _text(texts[-1]),
        "schedule_id": lambda texts: read_uuid(texts[-1]),
        "url_prefix": lambda texts: _text(texts[-1]),
        "host": lambda texts: _text(texts[-1]).lower().removesuffix("/"),
        "before": moment,
        "after": moment,
        "reports_of": lambda texts: _number(texts[-1]),
        "text": lambda texts: _searched(texts[-1]),
    }


def query_filter(values: Mapping[str, Any]) -> JobFilter:
    """Put the values of query parameters together."""
    return JobFilter(
        states=values["state"] or frozenset(),
        kinds=values["kind"] or (OWN_KINDS if values["reports_of"] is None else REPORTS),
        tag=values["tag"],
        schedule_id=values["schedule_id"],
        url_prefix=values["url_prefix"],
        host=values["host"],
        before=values["before"],
        after=values["after"],
        reports_of=values["reports_of"],
        text=values["text"],
    )


def body_filter(asked: FilterBody, now: datetime) -> JobFilter:
    """Read a body's filter; one that names nothing must say `all`.

    Raises:
        InvalidRequest: a part is wrong, or none is given.
    """
    errors: list[FieldError] = []
    states = [asked.state] if isinstance(asked.state, str) else asked.state
    values = {
        "states": _part(errors, "state", _states, states) or frozenset(),
        "schedule_id": _part(errors, "schedule_id", read_uuid, asked.schedule_id),
        "tag": _part(errors, "tag", _text, asked.tag),
        "url_prefix": _part(errors, "url_prefix", _text, asked.url_prefix),
        "host": _part(errors, "host", _text, asked.host and asked.host.lower()),
        "before": _part(errors, "before", lambda at: parse_moment(at, now), asked.before),
        "after": _part(errors, "after", lambda at: parse_moment(at, now), asked.after),
        "text": _part(errors, "text", _searched, asked.text),
    }
    wanted = JobFilter(**values)
    if not errors and wanted == JobFilter() and asked.all is not True:
        detail = 'an empty filter matches every job; give {"all": true} if you mean that'
        errors.append(FieldError("/filter", detail))
    if errors:
        raise InvalidRequest(errors)
    return wanted


def _part(errors: list[FieldError], name: str, reader: Callable[[Any], Any], value: Any) -> Any:
    try:
        return None if value is None else reader(value)
    except ValueError as error:
        errors.append(FieldError(f"/filter/{name}", str(error)))
        return None


def _states(texts: list[str]) -> frozenset[State]:
    return frozenset(read_choices(State, texts))


def _kinds(texts: list[str]) -> tuple[Kind, ...]:
    return tuple(read_choices(Kind, texts))


def read_choices(choices: Any, texts: list[str]) -> list[Any]:
    """Return members of an enumeration, separated by commas. Raises: ValueError, one is none."""
    return [read_choice(choices, word) for text in texts for word in text.split(",")]


def read_choice(choices: Any, word: str) -> Any:
    """Return a member of an enumeration. Raises: ValueError, it is none."""
    try:
        return choices(word.strip())
    except ValueError:
        expected = ", ".join(choices)
        raise ValueError(f"expected one of {expected}, got {word[:40]!r}") from None


def _text(text: str, most: int = MAX_PREFIX_LENGTH) -> str:
    if not 0 < len(text) <= most:
        raise ValueError(f"must have 1 to {most:,} characters, got {len(text)}")
    return text


def _searched(text: str) -> str:
    return _text(text, MAX_TEXT_LENGTH)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= MAX_ID):
        raise ValueError(f"expected the number of a job, got {text[:40]!r}")
    return int(text)


def read_uuid(text: str) -> UUID:
    """Return a UUID. Raises: ValueError, it is none."""
    try:
        return UUID(text)
    except ValueError:
        raise ValueError(f"expected a UUID, got {text[:80]!r}") from None
