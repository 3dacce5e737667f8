"""Text for a terminal or a program: nothing that others wrote may steer what shows it."""

import re
import sys
from typing import Any

import msgspec

# In JSON only strings hold these characters, and there any may be written as \uXXXX (RFC 8259 §7).
_NOT_ASCII = re.compile(r"[^\x00-\x7e]")


class Number(float):
    """A number that is shown with the digits that it came with: `1.10`, not `1.1`."""

    def __new__(cls, text: str) -> "Number":
        """Read its text."""
        number = super().__new__(cls, text)
        number._text = text
        return number

    _text: str

    def __str__(self) -> str:
        return self._text


def printable(text: str) -> str:
    r"""Return text whose control and format characters are escapes: `\x1b`, `\u202e`.

    Line breaks stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)


def one_line(text: str) -> str:
    """Return text as above, with its line breaks escaped too."""
    return text if text.isprintable() else printable(text).replace("\n", "\\n")


def to_json(value: Any, *, is_indented: bool = False) -> str:
    """Return a value as JSON without raw control or format characters, or ones stdout lacks."""
    encoded = msgspec.json.encode(value, enc_hook=_number)
    return json_text(msgspec.json.format(encoded) if is_indented else encoded)


def _number(value: Any) -> msgspec.Raw:
    if isinstance(value, Number):
        return msgspec.Raw(str(value).encode())
    raise NotImplementedError


def json_text(encoded: bytes) -> str:
    """Return JSON as above that is encoded already."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    is_whole = encoding.lower().startswith("utf")

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        return character if is_whole and character.isprintable() else _json_escape(character)

    return _NOT_ASCII.sub(escaped, encoded.decode())


def ascii_json(encoded: bytes) -> str:
    """Return JSON of one line as ASCII, for a stream of any encoding."""
    text = encoded.decode()
    if text.isascii() and "\x7f" not in text:  # JSON has no other control characters
        return text
    return _NOT_ASCII.sub(lambda found: _json_escape(found[0]), text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json_escape(character: str) -> str:
    pair = character.encode("utf-16-be").hex()
    return "".join(f"\\u{pair[at : at + 4]}" for at in range(0, len(pair), 4))
