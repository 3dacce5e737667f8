"""JSON text that is checked without being decoded: a mebibyte can hold half a million lists.

To make so many objects takes a tenth of a second and more, in which the loop does nothing else.
"""

import re
from array import array
from itertools import accumulate
from typing import Final

import msgspec

MAX_DECODED_BRACKETS: Final = 10_000
"""Text with no more objects and lists is decoded in some milliseconds."""

MAX_DEPTH: Final = 900
"""How many containers may lie within each other: the codec stops at 1,000, which callers share."""

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_EXPONENT: Final = re.compile(rb"[eE][+-]?[0-9]{3}")
_NUMBER: Final = re.compile(rb"-?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?")
_LONG: Final = b"0" * 300

_BRACKETS: Final = b"[]{}"
_OTHERS: Final = bytes(set(range(256)) - set(_BRACKETS))
_STEPS: Final = bytes({91: 1, 123: 1, 93: 255, 125: 255}.get(byte, 0) for byte in range(256))
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")


def check(text: bytes) -> None:
    """Check that text is JSON that can be decoded.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError: as decoding it would.
    """
    if len(text) <= MAX_DECODED_BRACKETS or _brackets(text) <= MAX_DECODED_BRACKETS:
        msgspec.json.decode(text)
        return
    msgspec.json.decode(text, type=msgspec.Raw)
    text.decode()
    if depth(text) > MAX_DEPTH:
        raise RecursionError
    _check_numbers(text)


def _brackets(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")


def depth(text: bytes) -> int:
    """Return how many containers lie within each other in JSON text."""
    steps = _STRING.sub(b"", text).translate(_STEPS, _OTHERS)
    return max(accumulate(array("b", steps)), default=0)


def _check_numbers(text: bytes) -> None:
    """Check that no number is too large for a float. Raises: msgspec.ValidationError."""
    if _EXPONENT.search(text) is None and _LONG not in text.translate(_DIGITS):
        return
    for number in _NUMBER.findall(_STRING.sub(b"", text)):
        if len(number) >= len(_LONG) or _EXPONENT.search(number):
            msgspec.json.decode(number)
