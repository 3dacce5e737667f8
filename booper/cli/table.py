"""Tables of text for a terminal of any width: a cell may be long, wide or hostile."""

import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Final

from booper.cli.text import one_line

_GAP: Final = "  "
_MIN_FLEXIBLE: Final = 16
"""To how many columns a long cell may be cut before a row gets lines of its own."""

_MIN_VALUE: Final = 4
_ELLIPSIS: Final = "…"


def terminal_width() -> int | None:
    """Return the columns of the terminal behind standard output; None if it is not one."""
    if not sys.stdout.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except OSError:
        return None


def cell_width(text: str) -> int:
    """Return how many columns a terminal needs for a text (UAX #11: wide and combining ones)."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], flexible: Sequence[str], width: int | None
) -> list[str]:
    """Return the lines of a table; columns that are empty in each row are left out.

    Where it is wider than the terminal, the columns named in `flexible` are cut. Where that is
    not enough, each row is a list of its cells, whole, below one another.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    used = [at for at in range(len(heads)) if not rows or any(row[at] for row in cells)]
    heads, cells = [heads[at] for at in used], [[row[at] for at in used] for row in cells]
    widths = [max(map(cell_width, column)) for column in zip(heads, *cells, strict=True)]
    fitted = _fit(heads, widths, flexible, width)
    if fitted is None:
        return _lists(heads, cells, width or 0)
    return [_row(row, fitted) for row in (heads, *cells)]


def pairs(items: Sequence[tuple[str, str]], width: int | None, indent: str = "") -> list[str]:
    """Return lines of names and values, the values below one another; long ones are wrapped."""
    name_width = max((cell_width(name) for name, _ in items), default=0)
    lines: list[str] = []
    for name, value in items:
        head = f"{indent}{_padded(name, name_width)}{_GAP}"
        room = max(width - cell_width(head), _MIN_VALUE) if width else None
        parts = [part for line in value.split("\n") for part in _wrapped(one_line(line), room)]
        blank = " " * cell_width(head)
        lines += [(head if at == 0 else blank) + part for at, part in enumerate(parts)]
    return [line.rstrip() for line in lines]


def _fit(
    heads: Sequence[str], widths: list[int], flexible: Sequence[str], width: int | None
) -> list[int] | None:
    """Return the widths of columns that fit a terminal; None if they cannot."""
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width if width and widths else 0
    fitted = list(widths)
    while over > 0:
        able = [
            at
            for at, head in enumerate(heads)
            if head in flexible and fitted[at] > max(_MIN_FLEXIBLE, len(head))
        ]
        if not able:
            return None
        widest = max(able, key=lambda at: fitted[at])
        fitted[widest] -= 1
        over -= 1
    return fitted


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (_padded(_cut(cell, width), width) for cell, width in zip(row, widths, strict=True))
    return _GAP.join(cells).rstrip()


def _lists(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    lines: list[str] = []
    for row in rows:
        cells = [(head, cell) for head, cell in zip(heads, row, strict=True) if cell]
        lines += [*([""] if lines else []), *pairs(cells, width)]
    return lines


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_width(text))


def _cut(text: str, width: int) -> str:
    if cell_width(text) <= width:
        return text
    return _head(text, width - 1) + _ELLIPSIS


def _head(text: str, width: int) -> str:
    """Return as many of the first characters as have room."""
    used = 0
    for at, character in enumerate(text):
        used += _columns(character)
        if used > width:
            return text[:at]
    return text


def _wrapped(text: str, width: int | None) -> list[str]:
    if width is None:
        return [text]
    parts: list[str] = []
    while cell_width(text) > width:
        head = _head(text, width)
        space = head.rfind(" ")
        head = head[: space + 1] if space > width // 2 else head
        parts.append(head)
        text = text[len(head) :]
    return [*parts, text]


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
