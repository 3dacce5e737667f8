"""The search over the reference: which of its sections and operations have all words."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from booper.dashboard.description import Described
from booper.dashboard.topics import Topic

MAX_HITS: Final = 50
_EXCERPT_LENGTH: Final = 200


class Hit(msgspec.Struct, frozen=True):
    """A place that was found; `where` is the title of its page."""

    title: str
    where: str
    path: str
    anchor: str
    excerpt: str


def search(text: str, topics: Iterable[Topic], operations: Iterable[Described]) -> Sequence[Hit]:
    """Return the places that have all words of a text.

    First come those that have them in the title, and of these whole pages.
    """
    words = text.lower().split()
    if not words:
        return ()
    found = [*_of_topics(topics, words), *_of_operations(operations, words)]
    found.sort(key=lambda hit: (not _has_all(hit.title, words), hit.anchor != ""))
    return found[:MAX_HITS]


def _of_topics(topics: Iterable[Topic], words: Sequence[str]) -> Iterator[Hit]:
    for topic in topics:
        for section in topic.sections:
            heading = section.heading
            if _has_all("\n".join((heading.title, *section.texts)), words):
                anchor = heading.anchor if heading.level > 1 else ""
                excerpt = _excerpt(section.texts, words)
                yield Hit(heading.title, topic.title, f"/docs/{topic.name}", anchor, excerpt)


def _of_operations(operations: Iterable[Described], words: Sequence[str]) -> Iterator[Hit]:
    for each in operations:
        title = f"{each.method} {each.path}"
        if _has_all(f"{title}\n{each.summary}", words):
            yield Hit(title, "API", each.page, "", each.summary)


def _has_all(text: str, words: Sequence[str]) -> bool:
    lower = text.lower()
    return all(word in lower for word in words)


def _excerpt(texts: Sequence[str], words: Sequence[str]) -> str:
    """Return the first text that has the most words, the part of it around the first of them."""
    if not texts:
        return ""
    best = max(texts, key=lambda text: sum(word in text.lower() for word in words))
    places = [at for word in words if (at := best.lower().find(word)) >= 0]
    start = max(min(places, default=0) - _EXCERPT_LENGTH // 4, 0)
    start = best.find(" ", start) + 1 if start else 0
    piece = best[start : start + _EXCERPT_LENGTH]
    return f"{'… ' if start else ''}{piece}{' …' if start + len(piece) < len(best) else ''}"
