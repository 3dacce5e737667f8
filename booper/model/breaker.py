"""An origin that fails again and again, and how far it has failed."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

FIRST_REST: Final = timedelta(seconds=1)
"""The first pause before a probe; each failed one doubles it."""


class Breaker(msgspec.Struct, frozen=True):
    """An origin that has failed `failures` times in a row; `opened_at` is None until it is open.

    `probe_at` is when the next probe may go; `new_path_at` when one of another path than `paths`
    may, which are those that failed, the one that did so longest ago first.
    """

    origin: str
    failures: int
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    new_path_at: datetime | None = None
    rest: timedelta = FIRST_REST
    paths: tuple[int, ...] = ()
