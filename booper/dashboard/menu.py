"""The menu: which pages it leads to, and who sees them."""

from typing import Final

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """An entry: a path, a word, and the scope that one must have to see it."""

    path: str
    word: str
    scope: str = "read"


MENU: Final = (
    Entry("/", "Home"),
    Entry("/jobs", "Jobs"),
    Entry("/schedules", "Schedules"),
    Entry("/new", "New", "write"),
    Entry("/origins", "Origins", "admin"),
    Entry("/status", "Status", "admin"),
    Entry("/keys", "Keys", "admin"),
    Entry("/audit", "Audit", "admin"),
    Entry("/docs", "Docs"),
)
"""In the order in which they are shown."""
