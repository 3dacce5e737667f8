"""Sending over any transport of httpx, for programs around booper and for tests: `HttpxClient`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx

from booper.http.base import Addresses, Headers, Response, Stream, Target
from booper.http.errors import (
    ConnectError,
    ProtocolError,
    ReadError,
    SendError,
    UnsendableRequest,
    WriteError,
)

_ERRORS: dict[type[httpx.TransportError], type[SendError]] = {
    httpx.ConnectError: ConnectError,
    httpx.ReadError: ReadError,
    httpx.WriteError: WriteError,
    httpx.RemoteProtocolError: ProtocolError,
    httpx.LocalProtocolError: UnsendableRequest,
}


class HttpxClient:
    """A `Client` over a transport, which finds the addresses in the request's extensions."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def send(
        self, method: str, target: Target, headers: Headers, body: bytes, addresses: Addresses
    ) -> Response:
        """Send one request. Raises: SendError, or whatever else the transport raises."""
        request = request_of(method, target, headers, body)
        request.extensions["addresses"] = addresses
        with translated():
            response = await self._transport.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return Response(response.status_code, response.headers.raw, _Body(response.stream))

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


class _Body(Stream):
    """The body of a response of httpx."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with translated():
            async for piece in self._stream:
                yield piece

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


def request_of(method: str, target: Target, headers: Headers, body: bytes) -> httpx.Request:
    """Return a request as httpx has it, with these headers and no others."""
    return httpx.Request(
        method,
        f"{target.scheme}://{target.authority}{target.request_target}",
        headers=list(headers),
        stream=httpx.ByteStream(body),  # no header is added to those of a stream
    )


@contextmanager
def translated() -> Iterator[None]:
    """Raise an error of httpx as ours."""
    try:
        yield
    except httpx.TransportError as error:
        raise _ERRORS.get(type(error), SendError)(str(error) or type(error).__name__) from error
