r"""Words of a command as a POSIX shell, or bash with its `$'…'`, splits them; nothing is expanded.

The rules are those of POSIX.1-2024, Shell Command Language, 2.2 (Quoting) and 2.3 (Tokens).
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_PART: Final = re.compile(
    r"""
    (?P<joined>\\\n)                           # a line that goes on
    | (?P<space>[\ \t]+)
    | (?P<end>\n|[;|&<>()]+)                   # the command ends, or its output goes elsewhere
    | '(?P<single>[^']*)'
    | \$'(?P<ansi>(?:[^'\\]|\\.)*)'
    | \$?"(?P<double>(?:[^"\\]|\\.)*)"
    | \\(?P<escaped>.)
    | (?P<plain>(?:[^\s'"\\;|&<>()$]|\$(?!['"]))+)
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_DOUBLE: Final = re.compile(r'\\(?:\n|([$`"\\]))', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
_EXPANDED: Final = re.compile(r"\$(?:[A-Za-z_]\w*|[{(?#@*!$0-9-])|`")
_ANSI: Final = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9A-Fa-f]{1,2})|u(?P<short>[0-9A-Fa-f]{1,4})"
    r"|U(?P<long>[0-9A-Fa-f]{1,8})|c(?P<control>.)|(?P<other>.))",
    re.DOTALL,
)
_LETTERS: Final = dict(zip("abeEfnrtv", "\a\b\x1b\x1b\f\n\r\t\v", strict=True))


class UnclosedQuote(ValueError):
    """A quote is opened and not closed; a shell would wait for more."""


class Command(msgspec.Struct, frozen=True):
    """The words of a command; `rest` is what stands behind its end, such as `| jq`.

    `expanded` are the words in which a shell would put something else, such as `$HOME`.
    """

    words: tuple[str, ...]
    expanded: tuple[str, ...]
    rest: str


def split(text: str) -> Command:
    """Split the first command of a text. Raises: UnclosedQuote."""
    text = text.replace("\r\n", "\n").strip()
    words, expanded = list[str](), list[str]()
    pieces, is_expanded = list[str](), False
    for kind, value, expands, at in _parts(text):
        if kind not in ("space", "end"):
            pieces.append(value)
            is_expanded |= expands
            continue
        if pieces:
            _add(pieces, is_expanded, words, expanded)
        pieces, is_expanded = [], False
        if kind == "end":
            return Command(tuple(words), tuple(expanded), text[at:].strip())
    if pieces:
        _add(pieces, is_expanded, words, expanded)
    return Command(tuple(words), tuple(expanded), "")


def _add(pieces: list[str], is_expanded: bool, words: list[str], expanded: list[str]) -> None:
    """Add the word that pieces make."""
    words.append("".join(pieces))
    expanded += words[-1:] * is_expanded


def _parts(text: str) -> Iterator[tuple[str, str, bool, int]]:
    """Yield the kind of each part, its value, whether a shell changes it, and where it begins.

    Raises:
        UnclosedQuote: there is no end of a part.
    """
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            raise UnclosedQuote(f"a quote is not closed: {text[at : at + 40]!r}")
        kind = str(found.lastgroup)
        if kind != "joined":
            given = found[kind]
            expands = kind in ("plain", "double") and _is_expanded(given)
            yield kind, _value(kind, given), expands, at
        at = found.end()


def _is_expanded(given: str) -> bool:
    return _EXPANDED.search(_ESCAPED.sub("", given)) is not None


def _value(kind: str, text: str) -> str:
    match kind:
        case "double":
            return _IN_DOUBLE.sub(lambda found: found[1] or "", text)
        case "ansi":
            return _ansi(text)
        case _:
            return text


def _ansi(text: str) -> str:
    """Return what stands in `$'…'`; escapes of bytes together make UTF-8."""
    parts, at = bytearray(), 0
    for found in _ANSI.finditer(text):
        parts += text[at : found.start()].encode()
        parts += _byte_or_text(found)
        at = found.end()
    parts += text[at:].encode()
    return parts.decode(errors="replace")


def _byte_or_text(found: re.Match[str]) -> bytes:
    if found["octal"]:
        return bytes([int(found["octal"], 8) & 0xFF])
    if found["hex"]:
        return bytes([int(found["hex"], 16)])
    if point := found["short"] or found["long"]:
        code = int(point, 16)
        is_character = code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
        return (chr(code) if is_character else "\ufffd").encode()
    if found["control"]:
        return bytes([ord(found["control"].upper()) & 0x1F])
    other = found["other"]
    plain = other if other in "'\"\\?" else found[0]
    return _LETTERS.get(other, plain).encode()
