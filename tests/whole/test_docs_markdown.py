"""The reference as blocks: what a CommonMark parser reads in it, and nothing else."""

from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from booper.docs import TOPICS
from booper.docs.blocks import Block, Bullets, Code, Heading, Paragraph, Spans, blocks_of
from tests.support.documents import DOCS

Flat = list[object]
"""Beginnings and ends of blocks by their names, and their spans, in order."""

STYLES = {"strong_open": "strong", "strong_close": "plain"}
TEXTS = {"text": "", "softbreak": " "}


def expected(markdown: str) -> Flat:
    """Return what a CommonMark parser reads."""
    return [
        _inline(token) if token.type == "inline" else _name(token)
        for token in MarkdownIt("commonmark").parse(markdown)
    ]


def _name(token: Token) -> object:
    if token.type == "fence":
        return ("fence", token.info, token.content)
    return f"{token.type} {token.tag}" if token.type.startswith("heading") else token.type


def _inline(token: Token) -> Flat:
    """Return the spans of a line: pairs of a text and its style, adjacent ones joined."""
    style, spans = "plain", list[tuple[str, str]]()
    for child in token.children or ():
        style = STYLES.get(child.type, style)
        if child.type in STYLES:
            continue
        text, own = child.content or TEXTS.get(child.type, child.type), style
        if child.type not in ("text", "softbreak"):
            own = "code" if child.type == "code_inline" else "unknown"
        elif spans and spans[-1][1] == style:
            text = spans.pop()[0] + text
        spans.append((text, own))
    return [span for span in spans if span[0]]


def read(markdown: str) -> Flat:
    """Return what booper reads, in the same form."""
    return [each for block in blocks_of(markdown) for each in _flat(block)]


def _flat(block: Block) -> Iterator[object]:
    match block:
        case Heading(level=level, spans=spans):
            yield from (f"heading_open h{level}", _pairs(spans), f"heading_close h{level}")
        case Paragraph(spans=spans):
            yield from ("paragraph_open", _pairs(spans), "paragraph_close")
        case Code(language=language, text=text):
            yield ("fence", language, f"{text}\n")
        case Bullets(items=items):
            yield "bullet_list_open"
            for item in items:
                yield "list_item_open"
                for paragraph in item:
                    yield from _flat(paragraph)
                yield "list_item_close"
            yield "bullet_list_close"


def _pairs(spans: Spans) -> Flat:
    return [(span.text, str(span.style)) for span in spans]


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_what_commonmark_says(topic: str) -> None:
    """So no topic uses more of Markdown than is read: a link, a table, emphasis, HTML."""
    assert read(DOCS[topic]) == expected(DOCS[topic])


@pytest.mark.parametrize(
    "more",
    [
        "1. first\n2. second\n",
        "- outer\n\n  - inner\n",
        "a *word*\n",
        "[a](https://b.test)\n",
        "a <b>c</b>\n",
        "> quoted\n",
        "Title\n=====\n",
        "a\\_b\n",
        "AT&amp;T\n",
    ],
)
def test_more_of_markdown_is_noticed(more: str) -> None:
    """The comparison finds what booper does not read as CommonMark does."""
    assert read(more) != expected(more)
