"""The topics of the reference, read once: their contents, and their parts that can be found."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import msgspec

from booper.docs import TOPICS, markdown, summary
from booper.docs.blocks import Block, Bullets, Code, Heading, Paragraph, blocks_of, text_of


class Entry(msgspec.Struct, frozen=True):
    """A heading in a list of contents; `anchor` is its id on the page."""

    title: str
    anchor: str
    level: int


class Section(msgspec.Struct, frozen=True):
    """What stands below one heading: paragraphs, items and code as plain text."""

    heading: Entry
    texts: Sequence[str]


class Topic(msgspec.Struct, frozen=True):
    """A topic: `name` is that of its page, `summary` the sentence below its title."""

    name: str
    title: str
    summary: str
    blocks: Sequence[Block]
    sections: Sequence[Section]

    @property
    def contents(self) -> Sequence[Entry]:
        """Return its headings but the title."""
        return [section.heading for section in self.sections[1:]]


@cache
def topics() -> Mapping[str, Topic]:
    """Return all topics by their names, in their order."""
    return {name: _topic(name) for name in TOPICS}


def anchor(title: str) -> str:
    """Return the id of a heading: `the-first-start` of "The first start"."""
    return "-".join(re.findall(r"[^\W_]+", title.lower()))


def _topic(name: str) -> Topic:
    blocks = blocks_of(markdown(name))
    sections = list(_sections(blocks))
    return Topic(name, sections[0].heading.title, summary(name), blocks[1:], sections)


def _sections(blocks: Sequence[Block]) -> Iterator[Section]:
    starts = [at for at, block in enumerate(blocks) if isinstance(block, Heading)]
    for start, end in zip(starts, [*starts[1:], len(blocks)], strict=True):
        heading = blocks[start]
        if isinstance(heading, Heading):
            title = text_of(heading.spans)
            texts = [text for block in blocks[start + 1 : end] for text in _texts(block)]
            yield Section(Entry(title, anchor(title), heading.level), texts)


def _texts(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(spans=spans) | Heading(spans=spans):
            yield text_of(spans)
        case Code(text=text):
            yield text
        case Bullets(items=items):
            for item in items:
                for paragraph in item:
                    yield text_of(paragraph.spans)
