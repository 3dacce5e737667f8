"""How many jobs may be on their way at a time, in all and to one origin; how many may wait."""

import sys
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from booper.model.origin import is_app, names_of

LimitKind = Literal["all", "origin"]
"""What a limit counts: all attempts, or those to one origin."""

LimitOf = Callable[[LimitKind, str], int]
"""Return the limit of a kind; `key` is the origin, empty for "all"."""


class Limits(msgspec.Struct, frozen=True):
    """Limits as they are configured; `slots` has those of single origins, by their names.

    `max_waiting` is how many jobs of a user may wait for their time, 0 for any number. `program` is
    the one program around booper whose jobs this process sends, empty for none; None where no
    other process sends.
    """

    in_all: int
    per_origin: int
    slots: Mapping[str, int] = {}
    max_waiting: int = 0
    program: str | None = None

    def of(self, kind: LimitKind, key: str) -> int:
        """Return the limit of a kind; `key` is the origin, empty for "all"."""
        if kind == "all":
            return self.in_all
        if self.program is not None and is_app(key) and key != self.program:
            return 0
        if self.slots:
            for name in names_of(key):
                if name in self.slots:
                    return self.slots[name]
        return self.per_origin


NO_LIMITS: Final = Limits(sys.maxsize, sys.maxsize)
"""For a store over which no loop sends."""
