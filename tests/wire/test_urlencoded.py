"""Forms, read as the URL standard says (https://url.spec.whatwg.org/#urlencoded-parsing)."""

from collections.abc import Callable
from random import Random
from urllib.parse import parse_qsl

import pytest

from booper.wire.urlencoded import MAX_LITERAL, parse_form

PARTS = (
    *"%&=+_ \t\n\r09afAFgz~é😀",
    *("%41", "%c3%A9", "%25", "%3D", "%3d", "%0D%0A", "%20%0A", "%0a", "%00", "=\n", "=41", "%4"),
)


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        (b"", []),
        (b"&&", []),
        (b"a=1&b=2", [("a", "1"), ("b", "2")]),
        (b"a=1&a=2", [("a", "1"), ("a", "2")]),
        (b"a", [("a", "")]),
        (b"=", [("", "")]),
        (b"a=b=c", [("a", "b=c")]),
        (b"a+b=%2B+%20", [("a b", "+  ")]),
        (b"a%5Bb%5d=%C3%A9", [("a[b]", "é")]),
        ("é=é".encode(), [("é", "é")]),
        (b"a=100%&%=%4&b=%zz", [("a", "100%"), ("%", "%4"), ("b", "%zz")]),
        (b"a=%%41&%4&1=2", [("a", "%A"), ("%4", ""), ("1", "2")]),
        (b"a=%2541&b=%=41", [("a", "%41"), ("b", "%=41")]),
        (b"a=%0A%0D%0A", [("a", "\n\r\n")]),
    ],
)
def test_a_form_is_read(body: bytes, pairs: list[tuple[str, str]]) -> None:
    """Names and values in order; what begins no escape stays what it is."""
    assert parse_form(body, 10) == pairs


def test_a_form_is_read_as_by_python() -> None:
    """Drawn texts of all that means something in a form, or in quoted-printable."""
    random = Random(1)
    for _ in range(20_000):
        text = "".join(random.choices(PARTS, k=random.randrange(16)))
        assert _read(text, by_python) == _read(text, by_booper), text


def by_python(text: str) -> list[tuple[str, str]]:
    """Read a form with the standard library."""
    return parse_qsl(text, keep_blank_values=True, errors="strict")


def by_booper(text: str) -> list[tuple[str, str]]:
    """Read a form."""
    return parse_form(text.encode(), 100)


def _read(text: str, by: Callable[[str], list[tuple[str, str]]]) -> list[tuple[str, str]] | None:
    """Return the pairs of a form, None if it is not in UTF-8."""
    try:
        return by(text)
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize("body", [b"a=\xff", b"\xff=a", b"a=%FF", b"a=%C3&b=%A9", b"a=%ED%A0%80"])
def test_what_is_not_utf_8_is_refused(body: bytes) -> None:
    """Encoded or not: another text would be stored than was meant."""
    with pytest.raises(ValueError, match="utf-8"):
        parse_form(body, 10)


def test_a_form_has_a_bound() -> None:
    """In fields, and in percent signs that begin no escape."""
    assert len(parse_form(b"a&" * 9 + b"a", 10)) == 10
    with pytest.raises(ValueError, match="more than 10 fields"):
        parse_form(b"a&" * 10 + b"a", 10)
    half = b"%" * (MAX_LITERAL // 2)
    assert parse_form(half + b"&" + half, 2) == 2 * [(half.decode(), "")]
    with pytest.raises(ValueError, match=r"more than 10,000 .* encode them as %25"):
        parse_form(half + b"%&" + half, 2)
    assert parse_form(b"%41" * 300_000, 1) == [("A" * 300_000, "")]
