"""Durations as users write them: seconds, or `[n, unit]` (contract §3)."""

from datetime import timedelta
from typing import Final

Duration = int | float | tuple[int | float, str]
"""A duration on the wire: seconds, or an amount and a unit such as `[45, "minutes"]`."""

UNITS: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}

# A century: far enough for any real plan, near enough that no sum of times overflows.
LONGEST: Final = timedelta(days=36_525)


class InvalidDuration(ValueError):
    """Say what is wrong with a duration; `part` is the index of the wrong part, or None."""

    def __init__(self, message: str, part: int | None = None) -> None:
        super().__init__(message)
        self.part = part


def parse_duration(value: Duration) -> timedelta:
    """Read a duration: 90, 1.5, or `[90, "minutes"]`; units may be singular or plural.

    Raises:
        InvalidDuration: it is negative, over a century, or its unit is unknown.
    """
    amount, unit = value if isinstance(value, tuple) else (value, "second")
    length = UNITS.get(unit.lower().removesuffix("s"))
    if length is None:
        known = ", ".join(f"{name}s" for name in UNITS)
        raise InvalidDuration(f"unknown unit {unit[:40]!r}; expected one of {known}", part=1)
    part = 0 if isinstance(value, tuple) else None
    if amount < 0:
        raise InvalidDuration(f"must not be negative, got {amount!r:.40}", part)
    if not amount <= LONGEST / length:  # false for NaN too; compares integers of any size
        raise InvalidDuration(f"must be at most a century, got {amount!r:.40} {unit}", part)
    return amount * length
