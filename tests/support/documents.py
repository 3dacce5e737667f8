"""The README and the reference: their texts, and the blocks of code in them."""

import re
from pathlib import Path
from typing import Final

from booper.docs import TOPICS, markdown

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS: Final = {topic: markdown(topic) for topic in TOPICS}

_FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks_of(text: str) -> list[tuple[str, str]]:
    """Return the kind and the text of each block of code."""
    return _FENCED.findall(text)


BLOCKS: Final = [found for text in (README, *DOCS.values()) for found in blocks_of(text)]


def block(kind: str, beginning: str) -> str:
    """Return the first block of a kind that begins with these words."""
    return next(text for k, text in BLOCKS if k == kind and text.startswith(beginning))
