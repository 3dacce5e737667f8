"""How the console's lines fit a terminal: what may be shown of a text, how wide it is, wrapping.

A width of None is that of a file or a pipe: lines are as long as they are.
"""

import unicodedata

# No more of what others wrote is ever shown.
MAX_TEXT = 300


def clean(text: str) -> str:
    r"""Return one line of text whose control and format characters are escapes: `\n`, `\x1b`."""
    cut = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def columns(text: str) -> int:
    """Return how many columns of a terminal printable text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def shorten(text: str, width: int) -> str:
    """Return text that takes at most `width` columns; what is cut out is in its middle."""
    if columns(text) <= width:
        return text
    room = max(width - 1, 0)
    tail = _start(text[::-1], room // 2)[::-1]
    return f"{_start(text, room - columns(tail))}…{tail}"


def wrap(parts: list[str], width: int, separator: str = " · ") -> list[str]:
    """Return lines of these parts, as many on each as fit; a longer part is broken."""
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]}{separator}{part}" if lines[-1] else part
        if columns(joined) <= width:
            lines[-1] = joined
            continue
        broken = _break(part, max(width, 1))
        lines = [*lines, *broken] if lines[-1] else broken
    return lines


def _break(text: str, width: int) -> list[str]:
    """Return lines of at most `width` columns, broken at spaces where there are any."""
    lines: list[str] = []
    while columns(text) > width and len(text) > 1:
        start = _start(text, width) or text[0]
        at = start.rfind(" ") if text[len(start)] != " " else len(start)
        at = at if at > 0 else len(start)
        lines.append(text[:at])
        text = text[at:].lstrip(" ")
    return [*lines, text] if text or not lines else lines


def _start(text: str, width: int) -> str:
    """Return as much of the start of a text as fits."""
    taken = 0
    for place, character in enumerate(text):
        taken += _columns(character)
        if taken > width:
            return text[:place]
    return text


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
