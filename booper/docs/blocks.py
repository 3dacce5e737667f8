"""Markdown as blocks and spans: the part of CommonMark that the reference is written in. Pure.

A test compares what is read here with what a CommonMark parser reads in every topic, so that no
topic can use more of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

_FENCE: Final = "```"
_BULLET: Final = "- "
_INDENT: Final = "  "
_SPAN: Final = re.compile(r"\*\*(?P<strong>.+?)\*\*|`(?P<code>.+?)`")


class Style(StrEnum):
    """How a span is set."""

    PLAIN = "plain"
    STRONG = "strong"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line."""

    text: str
    style: Style = Style.PLAIN


Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; the title of a topic has level 1."""

    kind: ClassVar = "heading"
    level: int
    spans: Spans


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    kind: ClassVar = "paragraph"
    spans: Spans


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list; each item has one paragraph or several."""

    kind: ClassVar = "bullets"
    items: tuple[tuple[Paragraph, ...], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines of code in a language."""

    kind: ClassVar = "code"
    language: str
    text: str


Block = Heading | Paragraph | Bullets | Code


def blocks_of(markdown: str) -> list[Block]:
    """Return the blocks of a text in order."""
    blocks, items = list[Block](), list[list[Paragraph]]()
    for lines in _groups(markdown):
        first = lines[0]
        if first.startswith(_BULLET):
            items.append([_paragraph([first.removeprefix(_BULLET), *lines[1:]])])
        elif first.startswith(_INDENT) and items:
            items[-1].append(_paragraph(lines))
        else:
            blocks += _bullets(items)
            items = []
            blocks.append(_block(lines))
    return [*blocks, *_bullets(items)]


def spans_of(text: str) -> Spans:
    """Return a line as spans."""
    found, end = list[Span](), 0
    for match in _SPAN.finditer(text):
        if match.start() > end:
            found.append(Span(text[end : match.start()]))
        style = Style(match.lastgroup or Style.PLAIN)
        found.append(Span(match[style], style))
        end = match.end()
    return (*found, Span(text[end:])) if end < len(text) else tuple(found)


def text_of(spans: Spans) -> str:
    """Return spans as plain text."""
    return "".join(span.text for span in spans)


def _groups(markdown: str) -> Iterator[list[str]]:
    """Yield the lines of each heading, paragraph, item of a list and fenced code."""
    group: list[str] = []
    for line in markdown.splitlines():
        if group and group[0].startswith(_FENCE):
            group.append(line)
            if line == _FENCE:
                yield group
                group = []
            continue
        if group and (not line or line.startswith((_BULLET, _FENCE))):
            yield group
            group = []
        if line:
            group.append(line)
    if group:
        yield group


def _block(lines: list[str]) -> Block:
    first = lines[0]
    if first.startswith(_FENCE):
        return Code(first.removeprefix(_FENCE), "\n".join(lines[1:-1]))
    if first.startswith("#"):
        title = first.lstrip("#")
        return Heading(len(first) - len(title), spans_of(title.strip()))
    return _paragraph(lines)


def _bullets(items: list[list[Paragraph]]) -> list[Block]:
    return [Bullets(tuple(map(tuple, items)))] if items else []


def _paragraph(lines: list[str]) -> Paragraph:
    return Paragraph(spans_of(" ".join(line.strip() for line in lines)))
