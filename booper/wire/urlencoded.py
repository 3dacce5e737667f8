"""Forms as browsers and curl send them: names and values, percent-encoded.

https://url.spec.whatwg.org/#urlencoded-parsing says how they are read. `urllib.parse` can read them
too, but takes a step of Python for each escape: a tenth of a second for a mebibyte of them.
"""

import re
from binascii import a2b_qp
from typing import Final

MAX_LITERAL: Final = 10_000
"""Most percent signs that begin no escape: each of them is a match of its own."""

_LITERAL: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def parse_form(body: bytes, max_fields: int) -> list[tuple[str, str]]:
    """Return the names and values of a form's fields in their order; without `=` one is empty.

    A percent sign that begins no escape stays what it is.

    Raises:
        ValueError: it has too many fields or such signs, or what it says is not UTF-8.
    """
    if body.count(b"&") >= max_fields:
        raise ValueError(f"it has more than {max_fields:,} fields")
    escaped, count = _LITERAL.subn(b"%25", body, MAX_LITERAL + 1)
    if count > MAX_LITERAL:
        raise ValueError(
            f"more than {MAX_LITERAL:,} percent signs have no two hexadecimal digits behind them; "
            "encode them as %25"
        )
    pairs = [field.partition(b"=") for field in escaped.split(b"&") if field]
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(text: bytes) -> str:
    """Return the text of a name or a value in which each percent sign begins an escape.

    Quoted-printable (RFC 2045 §6.7) has the same escapes behind another sign, and is read by C.
    """
    text = text.replace(b"+", b" ")
    if b"%" in text:
        text = a2b_qp(text.replace(b"=", b"=3D").replace(b"%", b"="))
    return text.decode()
