"""JSON text is checked as decoding it would, and without making an object for each bracket."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booper.model import json_text
from booper.model.dynamic import MAX_DEPTH, is_text_too_deep, is_too_deep

# So many that the text is not decoded.
MANY = b"[]," * (json_text.MAX_DECODED_BRACKETS + 1)

# A value, and whether it is JSON with numbers that a float can hold (RFC 8259 §6).
VALUES = [
    (b"1", True),
    (b"1e308", True),
    (b"1e309", False),
    (b"-1E+999", False),
    (b"1e-999", True),
    (b"1" + b"0" * 308, True),
    (b"1" + b"0" * 309, True),  # an integer, of which JSON bounds no digits
    (b"0." + b"1" * 400, True),
    (b'"1e999"', True),
    (b'"\\"1e999"', True),
    (b'"' + b"9" * 400 + b'"', True),
    (b'{"a":1e999}', False),
    (b"\xff", False),
    (b'"\xff"', False),
    (b'"\\ud800"', False),
    (b'"\\ud83d\\ude00"', True),
    (b'"\x01"', False),
    (b"01", False),
    (b"tru", False),
    (b"NaN", False),
    (b"", False),
    (b"[[1]", False),
]


@pytest.mark.parametrize(("value", "is_right"), VALUES)
def test_text_of_many_brackets_is_judged_as_text_of_few(value: bytes, is_right: bool) -> None:
    """Whichever way it is checked, right is what can be decoded."""
    for text in (b"[" + value + b"]" if value else b"[1,]", b"[" + MANY + value + b"]"):
        if is_right:
            json_text.check(text)
        else:
            with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
                json_text.check(text)


@given(
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_depth_is_that_of_the_value(value: object) -> None:
    """Brackets within strings, after quotes and backslashes of whatever number, are no brackets."""

    def depth(value: object) -> int:
        if isinstance(value, dict):
            return 1 + max(map(depth, value.values()), default=0)
        return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0

    assert json_text.depth(msgspec.json.encode(value)) == depth(value)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_the_bound_of_a_depth_is_the_same_for_text(extra: int) -> None:
    """200 levels are right, 201 are too many, however wide the text is."""
    levels = MAX_DEPTH + extra
    text = b"[" + MANY + b"[" * (levels - 1) + b"]" * (levels - 1) + b"]"
    assert is_text_too_deep(text) == is_too_deep(msgspec.json.decode(text)) == (extra > 0)


def test_text_that_is_nested_too_deeply_is_refused_before_it_is_decoded() -> None:
    """The codec would go as deep as Python's recursion does."""
    tower = b"[" * 950 + b"]" * 950
    with pytest.raises(RecursionError):
        json_text.check(b"[" + MANY + tower + b"]")
