"""Sending requests over sockets: `SocketClient`."""

import ssl

from booper.fence import OPEN, Fence
from booper.http.base import Addresses, Headers, Response, Target
from booper.http.certificates import Certificates
from booper.http.connecting import Connector, Routes, directly
from booper.http.connection import Connection, Exchange
from booper.http.errors import ReadError, SendError, UnsendableRequest
from booper.http.pool import Pool
from booper.http.racing import STAGGER_SECONDS
from booper.http.request import encode_request
from booper.http.response import ResponseReader

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
"""Methods of which two requests intend the same as one (RFC 9110 §9.2.2)."""

_SCHEMES = frozenset({"http", "https", "unix"})


class SocketClient:
    """A `Client` over connections that are kept alive between requests.

    There is no deadline: wrap each call, and the reading of the body, in `asyncio.timeout`; a
    cancelled exchange closes its connection at once.

    A server may close an idle connection at any moment. A request whose *reused* connection ends
    before the first byte of a response is sent once more, over a new connection, if that changes
    nothing: its method is idempotent, or nothing of it was written (RFC 9110 §9.2.2). If
    `sends_again` is unset, the caller decides what is sent again.

    `max_header_bytes` bounds a response's heads (interim ones included), `max_idle_per_origin` and
    `max_idle` the idle connections, `max_idle_seconds` how long one may be idle. `routes`,
    `stagger_seconds` and `certificates` are those of `Connector`. Once `fence` is closed, nothing
    is sent any more.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        *,
        max_header_bytes: int = 65536,
        max_idle_per_origin: int = 16,
        max_idle: int = 256,
        max_idle_seconds: float = 15.0,
        sends_again: bool = True,
        routes: Routes = directly,
        stagger_seconds: float = STAGGER_SECONDS,
        certificates: Certificates | None = None,
        fence: Fence = OPEN,
    ) -> None:
        self._max_header_bytes = max_header_bytes
        self._sends_again = sends_again
        self._pool = Pool(max_idle_per_origin, max_idle, max_idle_seconds, fence)
        self._connector = Connector(self._pool, ssl_context, routes, stagger_seconds, certificates)
        self._is_closed = False

    async def send(
        self, method: str, target: Target, headers: Headers, body: bytes, addresses: Addresses
    ) -> Response:
        """Send one request; return its response as soon as the head of that is there.

        Read the response's stream to its end, or `aclose` it.

        Raises:
            UnsendableRequest: the request cannot be spelled safely.
            ConnectError: none of the addresses could be connected to, or TLS failed.
            WriteError, ReadError: the connection was lost.
            ProtocolError: the response breaks the protocol, a limit, or off.
            Shortage: this machine has no descriptor, port or memory for a connection, or this
                process may not send any more.
            Exception: what the `addresses` callable raised.
        """
        data, keep_alive = encode_request(
            method, target.request_target, target.authority, headers, body
        )
        connection = self._pool.take((target.scheme, target.host, target.port))
        if connection is not None:
            exchange = self._start(connection, method, data, keep_alive)
            try:
                await exchange.head()
            except SendError:
                if self._is_closed or not self._sends_again:
                    raise
                has_begun = exchange.response.has_begun
                if not may_send_again(method, is_sent=exchange.is_sent, has_begun=has_begun):
                    raise
            else:
                return _response(exchange)
        connection = await self._connect(target, addresses)
        exchange = self._start(connection, method, data, keep_alive)
        await exchange.head()
        return _response(exchange)

    async def aclose(self) -> None:
        """Close every connection; what runs on them fails with `ReadError`."""
        self.close()

    def close(self) -> None:
        """Close as `aclose` does, without waiting."""
        self._is_closed = True
        self._pool.close(ReadError("the client was closed"))

    def _start(
        self, connection: Connection, method: str, data: bytes, keep_alive: bool
    ) -> Exchange:
        reader = ResponseReader(is_head=method == "HEAD", max_header_bytes=self._max_header_bytes)
        return connection.start(data, reader, keep_alive=keep_alive)

    async def _connect(self, target: Target, addresses: Addresses) -> Connection:
        if target.scheme not in _SCHEMES:
            raise UnsendableRequest(f"scheme must be http or https, got {target.scheme!r}")
        connection = await self._connector.connect(target, await addresses())
        if self._is_closed:
            connection.close()
            raise ReadError("the client was closed")
        return connection


def may_send_again(method: str, *, is_sent: bool, has_begun: bool) -> bool:
    """Return whether a request whose connection was lost may go over another one (§9.2.2).

    `is_sent` is whether any of it was written, `has_begun` whether any byte of a response came.
    """
    return not has_begun and (method in IDEMPOTENT_METHODS or not is_sent)


def _response(exchange: Exchange) -> Response:
    reader = exchange.response
    return Response(reader.status, reader.headers, exchange)
