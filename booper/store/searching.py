"""How a text is looked for in stored args: in the JSON of their values, but not in the headers.

The values of headers can be secret, and the names of fields are no values.
"""

import re
from typing import Final

import msgspec

_IN_PATTERN: Final = re.compile(r"[\\%_]")


def searched_values(args: str) -> str:
    """Return the JSON of each value in stored args but the headers, in lines."""
    fields = msgspec.json.decode(args, type=dict[str, msgspec.Raw])
    return b"\n".join(value for name, value in fields.items() if name != "headers").decode()


def has_text(args: str, text: str) -> bool:
    """Return whether a searched value of stored args has a text, in any case of ASCII letters."""
    found = searched_values(args).encode().lower()  # of bytes only the ASCII letters
    return (in_json(text) or "").encode().lower() in found


def in_json(text: str | None) -> str | None:
    """Return text as it stands within a JSON string; what it begins with, begins the string."""
    return None if text is None else msgspec.json.encode(text).decode()[1:-1]


def pattern(text: str | None) -> str | None:
    """Return the pattern of LIKE, with a backslash as its escape, for what has a text in JSON."""
    if text is None:
        return None
    return f"%{_IN_PATTERN.sub(lambda found: f'{chr(92)}{found[0]}', in_json(text) or '')}%"
