"""Markdown as plain text for a terminal: wrapped, without its marks. Pure."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from booper.docs.blocks import Block, Bullets, Code, Heading, Paragraph, blocks_of, text_of

MAX_WIDTH: Final = 100
"""Longer lines are hard to read, however wide the terminal is."""


def plain(markdown: str, width: int) -> str:
    """Return Markdown as text in lines of at most `width` columns; code keeps its lines."""
    columns = min(width, MAX_WIDTH)
    return (
        "\n\n".join(text for block in blocks_of(markdown) for text in _shown(block, columns)) + "\n"
    )


def _shown(block: Block, width: int) -> Iterator[str]:
    """Yield a block as plain text, of a list each paragraph."""
    match block:
        case Code(text=code):
            yield "\n".join(f"    {line}".rstrip() for line in code.splitlines())
        case Heading(level=level, spans=spans):
            yield text_of(spans).upper() if level <= 2 else text_of(spans)
        case Paragraph(spans=spans):
            yield _wrapped(text_of(spans), width)
        case Bullets(items=items):
            for first, *more in items:
                yield _wrapped(f"- {text_of(first.spans)}", width, rest="  ")
                for paragraph in more:
                    yield _wrapped(text_of(paragraph.spans), width, first="  ", rest="  ")


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> str:
    lines = wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return "\n".join(lines)
