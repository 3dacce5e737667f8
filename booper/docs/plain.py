"""Markdown as plain text for a terminal: wrapped, without its marks. Pure."""

import re
from collections.abc import Iterator
from textwrap import wrap
from typing import Final

MAX_WIDTH: Final = 100
"""Longer lines are hard to read, however wide the terminal is."""

_FENCE: Final = "```"
_MARKS = re.compile(r"\*\*|`")


def plain(markdown: str, width: int) -> str:
    """Return Markdown as text in lines of at most `width` columns; code keeps its lines."""
    blocks = [_shown(block, min(width, MAX_WIDTH)) for block in _blocks(markdown)]
    return "\n\n".join(blocks) + "\n"


def _blocks(markdown: str) -> Iterator[list[str]]:
    """Return the lines of each heading, paragraph, item of a list and fenced code."""
    block: list[str] = []
    for line in markdown.splitlines():
        if block and block[0].startswith(_FENCE):
            block.append(line)
            if line == _FENCE:
                yield block
                block = []
            continue
        if block and (not line or line.startswith(("- ", _FENCE))):
            yield block
            block = []
        if line:
            block.append(line)
    if block:
        yield block


def _shown(block: list[str], width: int) -> str:
    """Return one block as plain text."""
    first = block[0]
    if first.startswith(_FENCE):
        return "\n".join(f"    {line}".rstrip() for line in block[1:-1])
    text = _MARKS.sub("", " ".join(line.strip() for line in block))
    if first.startswith("#"):
        title = text.lstrip("# ")
        return title.upper() if first.startswith(("# ", "## ")) else title
    indent = "  " if first.startswith("- ") else ""
    return "\n".join(wrap(text, width, subsequent_indent=indent, break_on_hyphens=False))
