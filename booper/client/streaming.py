"""Streams of events: how one definition becomes an iteration that blocks, and one to await."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

import httpx

from booper.client.calls import Call
from booper.client.sending import Asynchronous, Blocking, Resource, bound, error_of, request_of

P = ParamSpec("P")
T = TypeVar("T")

SILENT_SECONDS: Final = 45.0
"""How long nothing may come: the server sends a comment every 15 seconds."""


class Streaming(Generic[P, T]):
    """A method that builds a call, made one that iterates over the events of its response."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, resource: None, owner: type) -> "Streaming[P, T]": ...
    @overload
    def __get__(self, resource: Resource[Blocking], owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(
        self, resource: Resource[Asynchronous], owner: type
    ) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, resource: Any, owner: type) -> Any:
        if resource is None:
            return self
        sender = resource.sender
        events = _events if isinstance(sender, Blocking) else _events_async
        return bound(self.build, resource, partial(events, sender))


class EventReader:
    """The lines of an event stream (HTML standard §9.2.6), as far as its events have data alone."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def read(self, line: str) -> bytes | None:
        """Read a line without its end; return the data of the event that it ends, if it does."""
        if not line:
            data, self._data = self._data, []
            return "\n".join(data).encode() if data else None
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        return None


def _events(sender: Blocking, call: Call[T]) -> Iterator[T]:
    """Yield what the events hold, until the server ends the stream. Raises: ClientError."""
    reader = EventReader()
    try:
        response = sender.http.send(_request(sender.http, call), stream=True)
        try:
            if not response.is_success:
                response.read()
                raise error_of(call, str(sender.http.base_url), response, sender.now)
            for line in response.iter_lines():
                if (data := reader.read(line)) is not None:
                    yield call.read(data)
        finally:
            response.close()
    except httpx.TransportError as error:
        raise error_of(call, str(sender.http.base_url), error, sender.now) from error


async def _events_async(sender: Asynchronous, call: Call[T]) -> AsyncIterator[T]:
    """Yield what the events hold, until the server ends the stream. Raises: ClientError."""
    reader = EventReader()
    try:
        response = await sender.http.send(_request(sender.http, call), stream=True)
        try:
            if not response.is_success:
                await response.aread()
                raise error_of(call, str(sender.http.base_url), response, sender.now)
            async for line in response.aiter_lines():
                if (data := reader.read(line)) is not None:
                    yield call.read(data)
        finally:
            await response.aclose()
    except httpx.TransportError as error:
        raise error_of(call, str(sender.http.base_url), error, sender.now) from error


def _request(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
    request = request_of(http, call)
    timeout = request.extensions["timeout"]
    timeout["read"] = max(timeout["read"] or 0.0, SILENT_SECONDS)
    return request
