"""Regular expressions of what users write as text: times, URLs, crons, headers.

Each matches only what booper accepts, and all of it but for rare spellings, which its user tells.
They keep to what JSON Schema's dialect (ECMA-262) and Python's read alike.
"""

from collections.abc import Iterable, Sequence
from typing import Final


def any_case(words: Iterable[str]) -> str:
    """Return a regular expression of words in any letter case."""
    return "|".join(
        "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in word) for word in words
    )


_DATE = (
    "((19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    "|(19|20)[0-9]{2}-(0[13-9]|1[0-2])-(29|30)"
    "|(19|20)[0-9]{2}-(0[13578]|1[02])-31"
    "|(19|20)([2468][048]|[13579][26]|0[48])-02-29)"
)
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"
_ZONE = "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_UNIX = "[0-3]?[0-9]{9}([.][0-9]{1,6})?"
MOMENT: Final = f"{_DATE}([Tt ]{_TIME}{_ZONE}?)?|{_UNIX}"
"""Times from 1900 to 2099, to the minute, second or microsecond; Unix seconds up to 2096."""

DURATION: Final = (
    "[1-9][0-9]{0,2} ?(s|m|h|d|w|seconds?|minutes?|hours?|days?|weeks?)"
    "|[1-9][0-9]?h[1-9][0-9]?m|PT[1-9][0-9]{0,2}[HMS]"
)
"""Durations as text; several units, and other words for them, are read as well."""

_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# The last label is not that of an IPv4 address: neither a number nor 0x.
_REST_OF_LABEL = "([A-Za-z0-9_-]{0,30}[A-Za-z0-9_])"
_TOP_LABEL = (
    f"([A-Za-z_]([A-Za-z0-9_-]{{0,61}}[A-Za-z0-9_])?"
    f"|[1-9][0-9]{{0,9}}(-{_REST_OF_LABEL}|[A-Za-z_]{_REST_OF_LABEL}?)"
    f"|0[0-9]{{0,9}}(-{_REST_OF_LABEL}|[A-WYZa-wyz_]{_REST_OF_LABEL}?))"
)
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_REST = r"([/?#][^\u0000-\u0020\u007f-\u009f\\]*)?"

HOST: Final = f"({_LABEL}[.]){{0,3}}{_TOP_LABEL}(:{_PORT})?"
"""A host's name in ASCII, of up to four labels, and perhaps a port."""

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_NAME = f"({_LABEL}[.]){{0,3}}{_TOP_LABEL}[.]?"
HOST_OR_ADDRESS: Final = rf"({_NAME}|{_OCTET}([.]{_OCTET}){{3}}|\[::1?\])(:{_PORT})?"
"""A host as above, also with the dot of the root, or an address; of those of IPv6 two."""

URL: Final = f"https://{HOST}{_REST}"
"""A URL of such a host."""

TOKEN: Final = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""A header's name (RFC 9110 §5.6.2)."""

_SEEN = r"[\u0021-\u007e\u0080-\u00ff]"
FIELD_VALUE: Final = rf"({_SEEN}([\u0009\u0020-\u007e\u0080-\u00ff]*{_SEEN})?)?"
"""A header's value (RFC 9110 §5.5), without space around it."""

NOT_BLANK: Final = (
    r"[^\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
)
"""A character that is no space to Python."""

NO_CONTROL: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""Text without control characters."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# By the last day that is asked for; 29 February is a date that comes.
_MONTHS_WITH = {29: range(1, 13), 30: (1, *range(3, 13)), 31: (1, 3, 5, 7, 8, 10, 12)}


def _numbers(low: int, high: int) -> str:
    """Return a regular expression of the integers from `low` to `high`, below 100."""
    parts = []
    for tens in range(low // 10, high // 10 + 1):
        first, last = max(low, 10 * tens) % 10, min(high, 10 * tens + 9) % 10
        units = f"[{first}-{last}]" if first < last else str(first)
        parts.append(f"{tens or '0?'}{units}")
    return "|".join(parts)


def _ranges(low: int, high: int) -> str:
    """Return a regular expression of the ranges within those bounds, none of them reversed."""
    return "|".join(f"{begin}-({_numbers(begin + 1, high)})" for begin in range(low, high))


def _name_ranges(names: Sequence[str]) -> str:
    pairs = [(name, "|".join(names[index:])) for index, name in enumerate(names[:-1], 1)]
    return "|".join(f"{begin}-({ends})" for begin, ends in pairs)


def _listed(*items: str) -> str:
    item = "|".join(items)
    return f"({item})(,({item})){{0,11}}"


def _cron() -> str:
    """Return a regular expression of crons whose dates come: no 31 beside a month without one."""
    step = "[*](/({}))?".format
    minute = "|".join([step(_numbers(1, 60)), _listed(_numbers(0, 59))])
    hour = "|".join([step(_numbers(1, 24)), _listed(_numbers(0, 23)), _ranges(0, 23)])
    every_month = "|".join([step(_numbers(1, 12)), _ranges(1, 12), _name_ranges(_MONTHS)])
    dates = []
    for last, having in _MONTHS_WITH.items():
        days = _listed(_numbers(1, last))
        months = _listed(*map(str, having), *(_MONTHS[number - 1] for number in having))
        dates.append(f"({days}) ({months}|{every_month})")
    some_days = "|".join([step(_numbers(1, 31)), _ranges(1, 31)])
    dates.append(f"({some_days}) ({_listed(_numbers(1, 12), *_MONTHS)}|{every_month})")
    week = [step(_numbers(1, 7)), _listed("[0-7]", *_DAYS), _ranges(0, 7), _name_ranges(_DAYS)]
    aliases = "hourly|daily|midnight|weekly|monthly|yearly|annually"
    return f"@({aliases})|({minute}) ({hour}) ({'|'.join(dates)}) ({'|'.join(week)})"


CRON: Final = f"({_cron()})"
"""Single ranges, lists of values, steps from `*`; minutes without ranges."""
