"""Durations as users write them: seconds, `[n, unit]`, or text such as `5m` (contract §3)."""

import re
from datetime import timedelta
from itertools import pairwise
from operator import mul
from typing import Final

Duration = int | float | str | tuple[int | float, str]
"""A duration on the wire: seconds, an amount and a unit such as `[45, "minutes"]`, or text."""

UNITS: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}

SHORT_UNITS: Final = {
    "s": "second",
    "sec": "second",
    "m": "minute",
    "min": "minute",
    "h": "hour",
    "hr": "hour",
    "d": "day",
    "w": "week",
}
"""What stands for a unit in text: `5m`, `1h30m`. `M` is refused: it means a month elsewhere."""

EXAMPLES: Final = '"90s", "5m", "1h30m", "2 days" or "PT5M"'

_MAX_TEXT: Final = 64
_UNITS_OF_WORDS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_PART = re.compile(r" *(?P<amount>[0-9]+(?:\.[0-9]+)?) *(?P<unit>[A-Za-z]+)")
# ISO 8601-1 §5.5.2: a fraction may stand in the last part alone; years and months have no length.
_ISO_8601 = re.compile(
    r"P(?:(?P<week>[0-9]+(?:[.,][0-9]+)?)W"
    r"|(?=[0-9T])(?:(?P<day>[0-9]+(?:[.,][0-9]+(?=D$))?)D)?"
    r"(?:T(?=[0-9])(?:(?P<hour>[0-9]+(?:[.,][0-9]+(?=H$))?)H)?"
    r"(?:(?P<minute>[0-9]+(?:[.,][0-9]+(?=M$))?)M)?(?:(?P<second>[0-9]+(?:[.,][0-9]+)?)S)?)?)"
)

# A century: far enough for any real plan, near enough that no sum of times overflows.
MAX_DURATION: Final = timedelta(days=36_525)


class InvalidDuration(ValueError):
    """A wrong duration; `part` is the index of the wrong part, or None."""

    def __init__(self, message: str, part: int | None = None) -> None:
        super().__init__(message)
        self.part = part


def parse_duration(value: Duration) -> timedelta:
    """Read a duration: 90, 1.5, `[90, "minutes"]`, `"1h30m"`; units may be singular or plural.

    Raises:
        InvalidDuration: it is negative, over a century, or its unit is unknown.
    """
    if isinstance(value, str):
        return _from_text(value)
    amount, unit = value if isinstance(value, tuple) else (value, "second")
    length = UNITS.get(unit.lower().removesuffix("s"))
    if length is None:
        known = ", ".join(f"{name}s" for name in UNITS)
        raise InvalidDuration(f"unknown unit {unit[:40]!r}; expected one of {known}", part=1)
    part = 0 if isinstance(value, tuple) else None
    if amount < 0:
        raise InvalidDuration(f"must not be negative, got {amount!r:.40}", part)
    if not amount <= MAX_DURATION / length:  # false for NaN too; compares integers of any size
        raise InvalidDuration(f"must be at most a century, got {amount!r:.40} {unit}", part)
    return amount * length


def duration_in_words(length: timedelta) -> str:
    """Return a duration in its two largest units: `3 d`, `1 h 30 min`, `0.25 s`."""
    seconds = length.total_seconds()
    if seconds < 10:
        return f"{seconds:.3g} s"
    left, parts = round(seconds), list[str]()
    for unit, size in _UNITS_OF_WORDS:
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount:,} {unit}")
    return " ".join(parts[:2])


def without_text(value: Duration) -> int | float | tuple[int | float, str]:
    """Return a duration that may be text as `[n, unit]`, in the largest unit that divides it."""
    if not isinstance(value, str):
        return value
    length = parse_duration(value)
    for name, unit in reversed(UNITS.items()):
        if length and not length % unit:
            return length // unit, name + "s" * (length != unit)
    return length.total_seconds()


def _from_text(text: str) -> timedelta:
    """Read amounts and units, the largest unit first, or a duration of ISO 8601."""
    known = text.strip(" ")[: _MAX_TEXT + 1]
    iso = _ISO_8601.fullmatch(known)
    if iso is not None:
        parts = [(amount, unit) for unit, amount in iso.groupdict().items() if amount]
    else:
        parts = _parts(known)
    lengths = [UNITS[unit] for _, unit in parts]
    if not parts or any(later >= earlier for earlier, later in pairwise(lengths)):
        raise InvalidDuration(f"expected a duration such as {EXAMPLES}, got {text[:40]!r}")
    amounts = [float(amount.replace(",", ".")) for amount, _ in parts]
    # Compared as shares of a century, for a sum of any size would overflow.
    shares = [amount * (unit / MAX_DURATION) for amount, unit in zip(amounts, lengths, strict=True)]
    if not sum(shares) <= 1:
        raise InvalidDuration(f"must be at most a century, got {text[:40]!r}")
    return sum(map(mul, amounts, lengths), timedelta(0))


def _parts(text: str) -> list[tuple[str, str]]:
    """Return the amounts and units of text; none where it holds anything else."""
    parts, at = list[tuple[str, str]](), 0
    while at < len(text):
        found = _PART.match(text, at)
        unit = None if found is None else _unit(found["unit"])
        if found is None or unit is None:
            return []
        parts.append((found["amount"], unit))
        at = found.end()
    return parts


def _unit(word: str) -> str | None:
    if word == "M":
        return None
    word = word.lower()
    singular = word.removesuffix("s") if len(word) > 2 else word  # `ms` is another unit
    return singular if singular in UNITS else SHORT_UNITS.get(singular)
