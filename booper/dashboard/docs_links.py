"""From what the reference names to where it is described: `booper docs alerts`, `[retry] backoff`.

The texts have no links, as a terminal has none. What stands there as code is linked on a page.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from booper.dashboard.description import Described
from booper.dashboard.topics import anchor, topics

_TOPIC: Final = re.compile(r"booper docs (\w+)")
_SETTING: Final = re.compile(r"\[(\w+)\](?: \w+)?")
_VARIABLE: Final = re.compile(r"BOOPER_[A-Z_]+")
_OPERATION: Final = re.compile(r"(?:([A-Z]+) )?(/[\w/{}.-]+)(?:\?.*)?")
_PARAMETER: Final = re.compile(r"{\w+}")


class Place(msgspec.Struct, frozen=True):
    """A page, and the id of a heading on it, "" for its begin."""

    path: str
    anchor: str = ""


class Places:
    """Where things are described; of the API, the operations that this booper has."""

    def __init__(self, operations: Iterable[Described]) -> None:
        self._operations: dict[tuple[str | None, str], Place] = {}
        for each in operations:
            place, shape = Place(each.page), _shape(each.path)
            self._operations[each.method, shape] = place
            self._operations.setdefault((None, shape), place)

    def of(self, code: str) -> Place | None:
        """Return where it is described what stands somewhere as code, None if nowhere."""
        if found := _TOPIC.fullmatch(code):
            return Place(f"/docs/{found[1]}") if found[1] in topics() else None
        if found := _SETTING.fullmatch(code):
            is_table = any(each.title == f"[{found[1]}]" for each in topics()["settings"].contents)
            return Place("/docs/settings", anchor(found[1])) if is_table else None
        if _VARIABLE.fullmatch(code):
            return Place("/docs/settings", "environment-variables")
        if found := _OPERATION.fullmatch(code):
            return self._operations.get((found[1], _shape(found[2])))
        return None


def _shape(path: str) -> str:
    """Return a path without the names of its parameters."""
    return _PARAMETER.sub("{}", path)
