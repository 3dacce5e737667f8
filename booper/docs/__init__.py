"""The reference: a Markdown file for each topic, as `booper docs` prints it.

Markdown here is headings, paragraphs, lists and fenced code, so that `plain` can show all of it.
"""

from importlib.resources import files
from typing import Final

TOPICS: Final = (
    "guarantees",
    "fields",
    "events",
    "settings",
    "operating",
    "deploying",
    "nodes",
    "clients",
    "metrics",
    "alerts",
    "embedding",
    "developing",
    "moving",
    "changes",
)


def markdown(topic: str) -> str:
    """Return a topic's text, as Markdown. Raises: FileNotFoundError, there is no such topic."""
    return files(__name__).joinpath(f"{topic}.md").read_text(encoding="utf-8")


def summary(topic: str) -> str:
    """Return the sentence that stands below a topic's title."""
    _, sentence, _ = markdown(topic).split("\n\n", 2)
    return sentence
