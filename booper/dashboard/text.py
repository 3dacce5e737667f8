"""How values read on a page: times, durations, sizes, JSON, and text that hides nothing."""

import re
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from markupsafe import Markup, escape

from booper.model.duration import duration_in_words
from booper.model.timezones import zone as zone_of

# Control characters but tab and line feed, what turns the direction of text, what has no width, and
# halves of surrogate pairs, which no encoding can write.
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)

_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def visible(text: str) -> str:
    r"""Return text with escapes, such as `\u202e`, for what would not be seen as it is."""
    if text.isascii() and text.isprintable():  # nearly all are, and this is told at once
        return text
    return _HIDDEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def visible_json(text: str) -> str:
    r"""Return JSON of the same value with escapes of JSON, such as `\u202e`, for what hides."""
    return _HIDDEN.sub(_escape_in_json, text)


def _escape_in_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def visible_word(text: str) -> str:
    r"""Return text quoted for a shell; one with hidden characters as bash's `$'\u202e'`."""
    if not has_hidden(text):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_HIDDEN.sub(_escape_in_shell, escaped)}'"


def _escape_in_shell(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def has_hidden(text: str) -> bool:
    """Return whether a part of a text would not be seen as it is."""
    return _HIDDEN.search(text) is not None


def kept(text: str) -> Markup:
    """Return text for a field of a form, exactly as it is; NUL, which no page can hold, is not."""
    return escape(text.replace("\0", "\ufffd"))


def clock_time(at: str) -> str:
    """Return a time of the API to the second: `2030-01-01 12:00:00`."""
    return f"{at[:10]} {at[11:19]}"


def clock_minute(at: str) -> str:
    """Return a time of the API to the minute: `2030-01-01 12:00`."""
    return f"{at[:10]} {at[11:16]}"


def in_zone(at: str, zone: str) -> str:
    """Return a time of the API as the clocks of a zone show it: `Mon 2030-01-07 09:00:00`."""
    return f"{datetime.fromisoformat(at).astimezone(zone_of(zone)):%a %Y-%m-%d %H:%M:%S}"


def number(value: Any) -> float:
    """Return a number of the API, which keeps those with a fraction as text."""
    return float(bytes(value)) if isinstance(value, msgspec.Raw) else float(value)


def grouped(value: Any) -> str:
    """Return a whole number with its thousands apart: `12,345`."""
    return f"{int(value):,}"


def spell_duration(seconds: Any) -> str:
    """Return a duration of the API in words."""
    return duration_in_words(timedelta(seconds=number(seconds)))


def days_until(at: str, now: str) -> int:
    """Return the whole days between two times of the API; fewer than none if `at` is over."""
    return (datetime.fromisoformat(at) - datetime.fromisoformat(now)).days


def milliseconds(value: Any) -> str:
    """Return a duration in milliseconds as it is said: `12 ms`, `3.2 s`."""
    amount = number(value)
    if amount >= 1_000:
        return spell_duration(amount / 1_000)
    return f"{amount:.1f} ms" if amount < 10 else f"{amount:.0f} ms"


def size(count: Any) -> str:
    """Return a number of bytes in the largest unit of which there is one: `1.2 MiB`."""
    amount, unit = number(count), 0
    while amount >= 1_024 and unit < len(_SIZES) - 1:
        amount, unit = amount / 1_024, unit + 1
    return f"{amount:.0f} B" if unit == 0 else f"{amount:.1f} {_SIZES[unit]}"


def pretty(value: Any) -> str:
    """Return JSON in lines, its numbers as they came; text as it is."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "clock_minute": clock_minute,
    "clock_time": clock_time,
    "days_until": days_until,
    "duration": spell_duration,
    "grouped": grouped,
    "in_zone": in_zone,
    "kept": kept,
    "milliseconds": milliseconds,
    "number": number,
    "pretty": pretty,
    "size": size,
}
"""What templates can do to values."""
