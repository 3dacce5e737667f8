"""The grammar of cron expressions: read into a `Calendar`, or refused with what is expected.

The text is checked strictly before croniter expands it, because croniter reads a range of equal
ends as "every" and accepts forms the contract refuses (six fields, `R`, reversed ranges).
"""

import re
from difflib import get_close_matches
from typing import Final

import msgspec
from croniter import croniter  # type: ignore[import-untyped]  # croniter 7.0 ships no types

from booper.model.calendar import Calendar

# Enough for a list of every minute, hour and day; beyond it a text is not a schedule.
_MAX_LENGTH: Final = 500

_ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_ITEM: Final = re.compile(r"(\*|[0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?(?:/([0-9A-Za-z]*))?")

# A letter counts only where it stands alone, so that THUR is a misspelt name and not an `R`.
_FOREIGN_SIGN: Final = re.compile(r"[?#]|(?<![A-Z])[LWHR](?![A-VX-Z])", re.IGNORECASE)
_FOREIGN: Final = {
    "?": "'?' (no value) is not supported, write '*'",
    "#": "'#' (nth weekday of a month) is not supported",
    "L": "'L' (last) is not supported",
    "W": "'W' (nearest working day) is not supported",
    "H": "'H' (hashed) is not supported, write a number",
    "R": "'R' (random) is not supported, write a number",
}


class InvalidCron(ValueError):
    """A wrong cron expression; the text names the field and what would be right."""


def parse(expression: str) -> Calendar:
    """Read a five-field cron expression or an alias such as `@daily`.

    Raises:
        InvalidCron: for anything contract section 6 (Cron) does not list.
    """
    fields = _split(expression)
    minutes, hours, days, months, weekdays = _expand(fields)
    calendar = Calendar(
        times=tuple(hour * 60 + minute for hour in hours for minute in minutes),
        months=frozenset(months),
        days=sum(1 << day for day in days),
        weekdays=sum(1 << (weekday - 1) % 7 for weekday in weekdays),
        needs_both_days=fields[2].startswith("*") or fields[4].startswith("*"),
        is_wildcard=fields[0].startswith("*") or fields[1].startswith("*"),
    )
    if not calendar.has_dates():
        raise InvalidCron(
            f"cron day of month {fields[2]!r} never comes in month {fields[3]!r}: "
            f"name a day that month has"
        )
    return calendar


class _Field(msgspec.Struct, frozen=True):
    name: str
    low: int
    high: int
    size: int
    names: tuple[str, ...] = ()  # of the values from `low` on

    def refuse(self, item: str, problem: str) -> InvalidCron:
        return InvalidCron(f"cron {self.name} {item!r}: {problem}")


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: Final = (
    _Field("minute", 0, 59, 60),
    _Field("hour", 0, 23, 24),
    _Field("day of month", 1, 31, 31),
    _Field("month", 1, 12, 12, _MONTHS),
    _Field("day of week", 0, 7, 7, _WEEKDAYS),
)


def _split(expression: str) -> list[str]:
    """Return the five fields, an alias written out."""
    if len(expression) > _MAX_LENGTH:
        raise InvalidCron(f"cron must have at most {_MAX_LENGTH} characters, got {len(expression)}")
    text = expression.strip()
    if text.startswith("@"):
        text = _alias(text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        names = ", ".join(known.name for known in _FIELDS)
        raise InvalidCron(
            f"cron must have five fields ({names}; no seconds, no year), "
            f"got {len(fields)}: {expression!r}"
        )
    return fields


def _alias(text: str) -> str:
    name = text.lower()
    if name in _ALIASES:
        return _ALIASES[name]
    if name == "@reboot":
        raise InvalidCron("cron alias '@reboot' is not supported: a schedule has no start-up")
    near = get_close_matches(name, _ALIASES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_ALIASES)}"
    raise InvalidCron(f"cron alias {text!r} is unknown: {hint}")


def _expand(fields: list[str]) -> list[list[int]]:
    """Return the values of each field, ascending; Sunday is 0."""
    checked = " ".join(
        ",".join(_check(known, item) for item in text.split(","))
        for known, text in zip(_FIELDS, fields, strict=True)
    )
    expanded, _ = croniter.expand(checked)
    return [
        # croniter writes "*" for a field whose every value is named.
        list(range(known.low, known.low + known.size)) if "*" in values else sorted(values)
        for known, values in zip(_FIELDS, expanded, strict=True)
    ]


def _check(known: _Field, item: str) -> str:
    """Return one list item in plain numbers: `5`, `1-5` or `1-5/2`, never a range of equal ends."""
    if item == "*":
        return item
    if sign := _FOREIGN_SIGN.search(item):
        raise known.refuse(item, _FOREIGN[sign.group().upper()])
    match = _ITEM.fullmatch(item)
    if match is None or (match[1] == "*" and match[2]):
        raise known.refuse(item, "write *, a value, a range a-b, or a step */n or a-b/n")
    begin, end, step = match.groups()
    low, high = _bounds(known, item, begin, end)
    if step is None:
        return str(low) if low == high else f"{low}-{high}"
    if begin != "*" and end is None:
        # Debian's cron refuses it too; others read 5/10 as 5 alone or as 5-59/10.
        raise known.refuse(item, f"a step needs a range, write '{begin}-{known.high}/{step}'")
    width = _step(known, item, step)
    return str(low) if low == high else f"{low}-{high}/{width}"


def _bounds(known: _Field, item: str, begin: str, end: str | None) -> tuple[int, int]:
    if begin == "*":
        return known.low, known.low + known.size - 1
    low = _value(known, item, begin)
    if end is None:
        return low, low
    high = _value(known, item, end)
    if end.upper() == "SUN" and low > 0:
        high = known.high  # FRI-SUN: Sunday also ends the week
    if low > high:
        parts = f"'{low}-{known.high},{known.low}-{high}'"
        raise known.refuse(item, f"the range is reversed, write {parts} to wrap around")
    return low, high


def _value(known: _Field, item: str, text: str) -> int:
    if text.isdigit():
        if known.low <= int(text) <= known.high:
            return int(text)
        raise known.refuse(item, f"{text} is not in {known.low} to {known.high}")
    if text.upper() in known.names:
        return known.low + known.names.index(text.upper())
    near = get_close_matches(text.upper(), known.names, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    names = f" or a name {', '.join(known.names)}" if known.names else ""
    raise known.refuse(item, f"{text!r} must be a number {known.low} to {known.high}{names}{hint}")


def _step(known: _Field, item: str, text: str) -> int:
    """Return a step that is not longer than the field: */90 would run every hour, not every 90."""
    if text.isdigit() and 1 <= int(text) <= known.size:
        return int(text)
    raise known.refuse(item, f"the step must be a number 1 to {known.size}, got {text!r}")
