"""Which path of the API is meant by one that is not there, and which thing by an id."""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from booper.errors import NotFound
from booper.model.suggestion import suggestions
from booper.store.values import JobRef

# What base URLs and other APIs put before a resource.
_PREFIXES: Final = frozenset({"api", "rest", "v1", "v2"})
_MAX_SEGMENTS: Final = 12
_MAX_ID: Final = 2**63 - 1
_PARAMETER = re.compile(r"{\w+(:\w+)?}")


def advice(path: str, templates: Iterable[str], prefix: str = "") -> str:
    """Return which path may be meant, and where all are listed if none is near.

    `templates` are the paths that are there, with `{name}` for a parameter; `prefix` is where the
    API is mounted.
    """
    segments = [segment for segment in path.split("/") if segment]
    meant = _meant(segments, [_segments(each) for each in templates])
    if meant is None:
        return f"all paths are in {prefix}/openapi.json"
    if [each.lower() for each in segments[:2]] == ["api", "api"]:
        return f"did you mean {prefix}{meant}? A base URL must not end in /api"
    return f"did you mean {prefix}{meant}?"


def _meant(segments: Sequence[str], known: Sequence[Sequence[str]]) -> str | None:
    if not 0 < len(segments) <= _MAX_SEGMENTS:
        return None
    start = 0
    while start < len(segments) and segments[start].lower() in _PREFIXES:
        start += 1
    core = list(segments[start:])
    words = sorted({word for template in known for word in template if not _is_parameter(word)})
    near = [(suggestions(each, words) or [each])[0] for each in core]
    found = [
        _filled(template, spelled)
        for spelled in (core, near)
        for template in sorted(known, key=lambda each: sum(map(_is_parameter, each)))
        if _matches(template, ["api", *spelled]) or _matches(template, spelled)
    ]
    return found[0] if found else None


def _segments(template: str) -> list[str]:
    return [segment for segment in template.split("/") if segment]


def _is_parameter(segment: str) -> bool:
    return _PARAMETER.fullmatch(segment) is not None


def _matches(template: Sequence[str], segments: Sequence[str]) -> bool:
    return len(template) == len(segments) and all(
        _is_parameter(expected) or expected == given.lower()
        for expected, given in zip(template, segments, strict=True)
    )


def _filled(template: Sequence[str], spelled: Sequence[str]) -> str:
    """Return a path of a template, with the parameters that were given."""
    given = ["api", *spelled][-len(template) :]
    parts = (
        value if _is_parameter(expected) else expected
        for expected, value in zip(template, given, strict=True)
    )
    return "/" + "/".join(parts)


def job_ref(text: str) -> JobRef:
    """Return how a job is named: by its number or its UUID. Raises: NotFound."""
    if text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= _MAX_ID:
        return int(text)
    return uuid_of(text, "job")


def uuid_of(text: str, noun: str) -> UUID:
    """Return the id in a path. Raises: NotFound, which names what is not there."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"there is no {noun} {text[:80]!r}") from None
