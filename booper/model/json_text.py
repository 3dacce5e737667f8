"""Checking JSON text without decoding it: a mebibyte can hold half a million lists.

To create so many objects takes 0.1 s and more, during which the event loop stands still.
"""

import re
from array import array
from itertools import accumulate
from typing import Final

import msgspec

MAX_DECODED_BRACKETS: Final = 10_000
"""Text with at most so many objects and lists is decoded in a few milliseconds."""

MAX_DEPTH: Final = 900
"""How deep containers may nest: the codec stops at 1,000 levels, which callers share."""

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
    """Return how deep the containers of JSON text nest."""
    steps = _STRING.sub(b"", text).translate(_STEPS, _OTHERS)
    return max(accumulate(array("b", steps)), default=0)


def _check_numbers(text: bytes) -> None:
    """Check that no number is too large for a float. Raises: msgspec.ValidationError."""
    if _EXPONENT.search(text) is None and _LONG not in text.translate(_DIGITS):
        return
    for number in _NUMBER.findall(_STRING.sub(b"", text)):
        if len(number) >= len(_LONG) or _EXPONENT.search(number):
            msgspec.json.decode(number)
