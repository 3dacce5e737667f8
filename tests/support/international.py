"""Bodies that a schema refuses for nothing but an international name, which no pattern has.

Names are judged by UTS 46 and IDNA 2008 alone (the package `idna`), never by booper.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import idna
import jsonschema_rs

# RFC 1123 §2.1, and the underscore, which names in the wild have.
ASCII_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?")
SCHEMES: Final = ("", "http://", "https://")


def differs_by_a_name(body: object, fits: jsonschema_rs.Draft202012Validator) -> bool:
    """Return whether a body would fit with an ASCII name for its right international one."""
    if not isinstance(body, Mapping):
        return False
    return any(
        fits.is_valid({**body, field: f"{scheme}a"})
        for field, schemes in (("host", SCHEMES[:1]), ("origin", SCHEMES[1:]))
        for scheme in schemes
        if _names(body.get(field), scheme)
    )


def _names(value: Any, scheme: str) -> bool:
    if not isinstance(value, str) or value.isascii() or not value.startswith(scheme):
        return False
    return is_international(value.removeprefix(scheme))


def is_international(name: str) -> bool:
    """Return whether a name, which may end in a dot, is one that UTS 46 and IDNA 2008 allow."""
    try:
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
        labels = mapped.removesuffix(".").split(".")
        return len(".".join(map(_a_label, labels))) <= 253  # RFC 1035 §2.3.4
    except idna.IDNAError:
        return False


def _a_label(label: str) -> str:
    if ASCII_LABEL.fullmatch(label) and not label.startswith("xn--"):
        return label
    return idna.alabel(label).decode("ascii")
