"""Operations: one method of one path each, who may call it, and what the API document says of it.

An operation declares its access; there is no way to add one that forgets to.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.request_counts import Route
from booper.errors import BooperError


@dataclass(frozen=True, slots=True)
class Data:
    """The envelope of most responses (contract §1) as the API document describes it."""

    kind: type
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a path or a query as the API document describes it; `schema` is JSON Schema.

    One whose name stands in the operation's path is the path's, any other the query's. A list may
    be given as `a=1&a=2` or `a[]=1&a[]=2` as well.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    example: Any = None
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class DescribedBody:
    """A request's body as the API document describes it.

    `kind` is the type that reads it (or a JSON Schema where any JSON will do), `form` the JSON
    Schema of the same as a form, if it may come as one. The examples are bodies by name, or a
    function of the time at which they are right.
    """

    kind: Any
    examples: Mapping[str, Any] | Callable[[datetime], Mapping[str, Any]]
    form: Mapping[str, Any] | None = None
    form_examples: Mapping[str, Any] = field(default_factory=dict)
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class DescribedResponse:
    """A successful response as the API document describes it.

    `kinds` are the types of its JSON (or `Data` of one, or a JSON Schema), none if it has no body.
    """

    description: str
    kinds: tuple[Any, ...] = ()
    example: Any = None
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Documentation:
    """The part of the API document on an operation that does not follow from the operation itself.

    `errors` are those that neither its access, its parameters nor its body imply. An operation
    takes the parameters of a query that are listed here and no others, unless it `ignores_query`.
    """

    tag: str
    responses: Mapping[int, DescribedResponse]
    body: DescribedBody | None = None
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[type[BooperError], ...] = ()
    is_deprecated: bool = False
    ignores_query: bool = False


@dataclass(frozen=True)
class Operation:
    """One method of one path; `{name:path}` in it may hold slashes, as Starlette spells that.

    `reserves` is the memory in bytes that it waits for before it builds a response: how much that
    may have, 0 where it is short or as long as the request's body.
    """

    method: str
    path: str
    access: Access
    handler: Callable[[Call], Awaitable[Response]]
    documentation: Documentation
    reserves: int = 0

    @property
    def template(self) -> str:
        """Return the path as the API document spells it, where parameters have names alone."""
        return re.sub(r":\w+}", "}", self.path)

    @cached_property
    def route(self) -> Route:
        """Return its method and its path, as its requests are counted."""
        return self.method, self.template

    @cached_property
    def query(self) -> Mapping[str, bool]:
        """Return the parameters of its query, and which of them are lists."""
        return {
            each.name: each.is_list
            for each in self.documentation.parameters
            if f"{{{each.name}" not in self.path
        }

    @cached_property
    def body_fields(self) -> Collection[str]:
        """Return the names of its body's fields, none if any JSON will do."""
        kind = self.documentation.body.kind if self.documentation.body else None
        if isinstance(kind, type):
            return [each.name for each in msgspec.structs.fields(kind)]
        return kind.get("properties", ()) if isinstance(kind, Mapping) else ()

    @property
    def summary(self) -> str:
        """Return what it does, in the first line of its handler's docstring."""
        return (self.handler.__doc__ or "").partition("\n")[0].rstrip(".")
