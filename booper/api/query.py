"""The query of a request: which parameters an operation has, and the values of a list."""

import re
from collections.abc import Container, Mapping
from typing import Final

from starlette.datastructures import QueryParams

from booper.api.shapes import unknown
from booper.errors import FieldError, InvalidRequest, pointer_to

_LISTED = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<index>\d{0,3})\])?")
_MAX_UNKNOWN: Final = 10
"""How many unknown parameters get a hint at one that may be meant."""


def check_query(
    query: QueryParams, known: Mapping[str, bool], in_body: Container[str] = ()
) -> None:
    """Check that an operation has all parameters of a query; `known` says which are lists.

    `in_body` are the fields of its body. A parameter that was ignored would do something else than
    its sender meant: pause every host instead of one.

    Raises:
        InvalidRequest: one is unknown, or stands there twice and is no list.
    """
    names = [_name_of(key, known) for key, _ in query.multi_items()]
    others = [name for name in dict.fromkeys(names) if name not in known]
    errors = [_unknown(name, known, in_body) for name in others[:_MAX_UNKNOWN]]
    errors += [
        FieldError(pointer_to("", name), f"must be given once, got {names.count(name)}")
        for name, is_list in known.items()
        if not is_list and names.count(name) > 1
    ]
    if errors:
        raise InvalidRequest(errors)


def _unknown(name: str, known: Mapping[str, bool], in_body: Container[str]) -> FieldError:
    if name in in_body:
        detail = f"unknown parameter; {name!r} is a field of the body"
        return FieldError(pointer_to("", name), detail)
    return unknown(name, known, "parameter")


def listed(query: QueryParams, name: str) -> list[str]:
    """Return the values of a list: `a=1&a=2`, `a[]=1&a[]=2` or `a[0]=1&a[1]=2`."""
    found = [
        (int(match["index"] or 0), value)
        for key, value in query.multi_items()
        if (match := _LISTED.fullmatch(key)) and match["name"] == name
    ]
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def is_given_as_list(query: QueryParams, name: str) -> bool:
    """Return whether a list is spelled with brackets."""
    return any(key.startswith(f"{name}[") for key in query)


def _name_of(key: str, known: Mapping[str, bool]) -> str:
    """Return the name of a parameter, without the brackets that a list's may have."""
    match = _LISTED.fullmatch(key)
    return match["name"] if match and known.get(match["name"]) else key
