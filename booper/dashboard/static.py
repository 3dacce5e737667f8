"""Style, script and icons: small files whose names change with their content, kept for good."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from starlette.responses import Response

PREFIX: Final = "/static/"
TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_FOREVER: Final = "public, max-age=31536000, immutable"


class StaticFile(msgspec.Struct, frozen=True):
    """A file: the name under which it is asked for, its content and its type."""

    name: str
    content: bytes
    media_type: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Return all files by their names in the source."""
    folder = files(__package__) / "static"
    found = {}
    for item in folder.iterdir():
        stem, _, kind = item.name.rpartition(".")
        if kind in TYPES:
            content = item.read_bytes()
            mark = hashlib.sha256(content).hexdigest()[:12]
            found[item.name] = StaticFile(f"{stem}-{mark}.{kind}", content, TYPES[kind])
    return found


def static_path(name: str) -> str:
    """Return the path of a file by its name in the source."""
    return PREFIX + static_files()[name].name


def static_response(asked: str) -> Response | None:
    """Return the file that is asked for by a name with a hash, None if there is none."""
    for each in static_files().values():
        if each.name == asked:
            headers = {"Cache-Control": _FOREVER, "Content-Type": each.media_type}
            return Response(each.content, headers=headers)
    return None
