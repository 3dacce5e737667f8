"""How values stand in PostgreSQL's tables: users' text without NUL, and the words for states."""

from collections.abc import Iterable, Set
from typing import Any, Final

from booper.model.job import FINISHED, UNFINISHED, WAITING, State

Row = tuple[Any, ...]
"""What PostgreSQL returns of a row."""

# PostgreSQL's text holds every character but NUL, which JSON can name. A noncharacter
# (Unicode 23.7) marks where one stood, and itself.
_MARK: Final = "\uffff"
_ESCAPED: Final = str.maketrans({_MARK: f"{_MARK}1", "\0": f"{_MARK}0"})


def text_in(text: str | None) -> str | None:
    """Return text as PostgreSQL can hold it; nearly always it is the same."""
    if text is None or ("\0" not in text and _MARK not in text):
        return text
    return text.translate(_ESCAPED)


def text_out(text: str | None) -> str | None:
    """Return text as it was before `text_in`."""
    if text is None or _MARK not in text:
        return text
    return text.replace(f"{_MARK}0", "\0").replace(f"{_MARK}1", _MARK)


def array_of(values: Iterable[object]) -> str:
    """Return numbers, ids or words, which may be None, as PostgreSQL writes an array of them.

    psycopg writes an array by Python code for each of its items, which takes ten times as long, and
    of numbers the smallest type that fits, for which the server would plan anew.
    """
    return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"


def text_array_of(texts: Iterable[str | None]) -> str:
    """Return any texts as PostgreSQL writes an array of them."""
    return f"{{{','.join(map(_quoted, texts))}}}"


def _quoted(text: str | None) -> str:
    if text is None:
        return "NULL"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _any_of(states: Set[State]) -> str:
    named = [f"'{state}'" for state in State if state in states - {State.AVAILABLE}]
    return f"({', '.join(named)})"


IN_WAITING: Final = f"state IN {_any_of(WAITING)}"
IN_UNFINISHED: Final = f"state IN {_any_of(UNFINISHED)}"
IN_FINISHED: Final = f"state IN {_any_of(FINISHED)}"
