"""The text of bodies, by the charset that their `Content-Type` declares (RFC 9110 §8.3.2)."""

import codecs
import re
from functools import lru_cache
from typing import Final

UTF_8: Final = "utf-8"

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]+)', re.IGNORECASE)

# The encodings of the web (WHATWG Encoding §4.2) and UTF-32, by the names that Python has for
# them. Others that Python knows are no charsets (`rot13`, `zip`) or slow (`punycode`); ASCII is
# read as UTF-8.
_ENCODINGS: Final = frozenset(
    {
        UTF_8,
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        *(f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
        *(f"cp{page}" for page in (866, 874, 949, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257)),
        "cp1258",
        "cp932",
        "koi8-r",
        "koi8-u",
        "mac-roman",
        "mac-cyrillic",
        "gb2312",
        "gbk",
        "gb18030",
        "big5",
        "big5hkscs",
        "euc_jp",
        "euc_kr",
        "iso2022_jp",
        "shift_jis",
    }
)


def body_text(body: bytes, content_type: str, *, is_cut: bool = False) -> str | None:
    """Return a body as text, None if it is not valid in its charset, which is UTF-8 by default.

    If the body `is_cut`, half a character at its end is left out.
    """
    try:
        return codecs.getincrementaldecoder(_encoding(content_type))().decode(body, not is_cut)
    except UnicodeDecodeError:
        return None


def in_utf8(body: bytes, content_type: str) -> bytes:
    """Return a body in UTF-8, or unchanged if it is not valid in its charset."""
    if _encoding(content_type) == UTF_8:
        return body
    text = body_text(body, content_type)
    return body if text is None else text.encode()


@lru_cache(maxsize=256)
def _encoding(content_type: str) -> str:
    declared = _CHARSET.search(content_type)
    if declared is None:
        return UTF_8
    try:
        name = codecs.lookup(declared[1]).name
    except (LookupError, ValueError):  # unknown, or no name at all
        return UTF_8
    return name if name in _ENCODINGS else UTF_8
