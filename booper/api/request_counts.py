"""How many requests the API has responded to since the start, by route and status."""

from collections import defaultdict
from typing import Final

Route = tuple[str, str]
"""A method, and a path as the API document spells it: there are only so many."""

UNMATCHED: Final[Route] = ("", "other")
"""Requests that no operation is for."""


class RequestCounts(defaultdict[tuple[Route, int], int]):
    """The numbers, by route and status. It is a dict, so that to count costs no call."""

    def __init__(self) -> None:
        super().__init__(int)
