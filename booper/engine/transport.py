"""Outgoing HTTP/1.1 behind httpx's transport interface: `Transport`.

Owns the connections: opening them at the addresses the caller vetted, keeping idle ones, spelling
requests. It must not resolve names, follow redirects, decode bodies or keep deadlines.
"""

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

import certifi
import httpx

from booper.engine.answer import Answer
from booper.engine.connection import Connection, Exchange
from booper.engine.raw import RawHeaders, RawResponse
from booper.errors import Shortage
from booper.shortage import descriptor_shortage, port_shortage_of, shortage_of

Origin = tuple[str, str, int]
"""Scheme, host and port: what a connection may be used again for."""

Addresses = Callable[[], Awaitable[Sequence[str]]]
"""The IP addresses, in order, to which the request may go."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_METHODS_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
_OWN_HEADERS = frozenset({b"content-length", b"transfer-encoding"})
_NOT_TOKEN = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_BREAKS_VALUE = re.compile(rb"[\r\n\0]")
_BREAKS_TARGET = re.compile(rb"[\x00-\x20\x7f]")


class Transport(httpx.AsyncBaseTransport):
    """Send requests over connections that are kept alive between them.

    Each request brings its vetted addresses as `request.extensions["addresses"]`, awaited only
    when a connection has to be opened. There is no deadline: wrap each call, and the reading of
    the body, in `asyncio.timeout`; a cancelled exchange closes its connection at once.

    A request whose *reused* connection ends before the first byte of an answer is sent once more,
    over a new connection: a server may close an idle connection at any moment. Such a request may
    have been carried out, whatever its method. That is sound here because delivery is at least
    once anyway, with one `Idempotency-Key` per job.

    `max_header_bytes` bounds an answer's heads (interim ones included), `max_idle_per_origin` and
    `max_idle` the idle connections, `max_idle_seconds` how long one may be idle.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        *,
        max_header_bytes: int = 65536,
        max_idle_per_origin: int = 16,
        max_idle: int = 256,
        max_idle_seconds: float = 15.0,
    ) -> None:
        self._ssl_context = ssl_context
        self._max_header_bytes = max_header_bytes
        self._connections: set[Connection] = set()
        self._idle = IdleConnections(max_idle_per_origin, max_idle, max_idle_seconds)
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; return the response as soon as its headers are there.

        Read the response's stream to its end, or `aclose` it.

        Raises:
            httpx.LocalProtocolError: the request cannot be spelled safely.
            httpx.ConnectError: none of the addresses could be connected to, or TLS failed.
            httpx.WriteError, httpx.ReadError: the connection was lost.
            httpx.RemoteProtocolError: the answer breaks the protocol, a limit, or off.
            Shortage: this machine has no descriptor, port or memory for a connection.
            Exception: what the `addresses` callable raised.
        """
        stream = request.stream
        body = b"".join(stream if isinstance(stream, httpx.ByteStream) else [await request.aread()])
        data, keep_alive = encode_request(request, body)
        origin = _origin(request.url)
        connection = self._idle.take(origin)
        if connection is not None:
            exchange = self._start(connection, request, data, keep_alive)
            try:
                return _response(await exchange.head(), exchange)
            except httpx.TransportError:
                if exchange.answer.has_begun or self._is_closed:
                    raise
        connection = await self._connect(origin, request.extensions["addresses"])
        exchange = self._start(connection, request, data, keep_alive)
        return _response(await exchange.head(), exchange)

    async def aclose(self) -> None:
        """Close every connection; exchanges that are running fail with `httpx.ReadError`."""
        self._is_closed = True
        for connection in tuple(self._connections):
            connection.fail(httpx.ReadError("the transport was closed"))
        self._idle.expire()

    def _start(
        self, connection: Connection, request: httpx.Request, data: bytes, keep_alive: bool
    ) -> Exchange:
        answer = Answer(is_head=request.method == "HEAD", max_header_bytes=self._max_header_bytes)
        return connection.start(data, answer, keep_alive=keep_alive)

    async def _connect(self, origin: Origin, addresses: Addresses) -> Connection:
        _, host, port = origin
        failure, shortage = "it has no address", None
        for address in await addresses():
            try:
                connection = await self._open(origin, address)
            except (OSError, UnicodeError, MemoryError) as error:
                shortage = shortage or _shortage(error, address, port)
                failure = _reason(error)  # without an address, which the caller may not know
                continue
            if self._is_closed:
                connection.close()
                raise httpx.ReadError("the transport was closed")
            return connection
        if shortage is not None:
            self._idle.clear()  # what they hold is needed
            raise shortage
        raise httpx.ConnectError(f"cannot connect to {host}: {failure}")

    async def _open(self, origin: Origin, address: str) -> Connection:
        scheme, host, port = origin
        is_tls = scheme == "https"
        if is_tls and self._ssl_context is None:
            self._ssl_context = self._make_ssl_context()

        def keep(connection: Connection) -> None:
            self._idle.put(origin, connection)

        def forget(connection: Connection) -> None:
            self._connections.discard(connection)
            self._idle.remove(origin, connection)

        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(keep, forget),
            address,
            port,
            ssl=self._ssl_context if is_tls else None,
            server_hostname=_certificate_name(host) if is_tls else None,
            flags=socket.AI_NUMERICHOST,  # a name would be resolved behind the caller's back
        )
        self._connections.add(connection)
        return connection

    def _make_ssl_context(self) -> ssl.SSLContext:
        """Make the context of all connections; OpenSSL skips certificates that it cannot open."""
        if shortage := descriptor_shortage():
            raise shortage
        return default_ssl_context()


class IdleConnections:
    """The connections that wait for another request, the last used first.

    One timer runs while there are any; none when there are none, so an idle process sleeps.
    """

    def __init__(self, per_origin: int, total: int, seconds: float) -> None:
        self._per_origin = per_origin
        self._total = total
        self._seconds = seconds
        self._by_origin: dict[Origin, list[Connection]] = {}
        self._expires: dict[Connection, float] = {}
        """Loop time at which each expires; insertion order is the order of expiry."""
        self._timer: asyncio.TimerHandle | None = None

    def put(self, origin: Origin, connection: Connection) -> None:
        """Keep `connection`; where that is one too many, close the one idle for longest."""
        loop = connection.loop
        waiting = self._by_origin.setdefault(origin, [])
        waiting.append(connection)
        self._expires[connection] = expires = loop.time() + self._seconds
        if len(waiting) > self._per_origin:
            waiting[0].close()
        elif len(self._expires) > self._total:
            next(iter(self._expires)).close()
        if self._timer is None:
            self._timer = loop.call_at(expires, self.expire)

    def take(self, origin: Origin) -> Connection | None:
        """Return the connection to `origin` that was used last, or None."""
        waiting = self._by_origin.get(origin)
        if not waiting:
            return None
        connection = waiting[-1]
        expires = self._expires[connection]
        if expires > connection.loop.time():
            self.remove(origin, connection)
            return connection
        self.expire()
        return None

    def remove(self, origin: Origin, connection: Connection) -> None:
        """Forget `connection`, if it is here."""
        if self._expires.pop(connection, None) is None:
            return
        waiting = self._by_origin[origin]
        waiting.remove(connection)
        if not waiting:
            del self._by_origin[origin]

    def clear(self) -> None:
        """Close every connection."""
        for connection in tuple(self._expires):
            connection.close()
        self.expire()

    def expire(self) -> None:
        """Close what has expired, and sleep until the next one does."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = loop.time()
        for connection in [c for c, expires in self._expires.items() if expires <= now]:
            connection.close()
        for expires in self._expires.values():
            self._timer = loop.call_at(expires, self.expire)
            break


def default_ssl_context() -> ssl.SSLContext:
    """Trust what the system trusts, since a private network's own authority is installed there.

    certifi's list stands in on a system without one (a bare container).
    """
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def encode_request(request: httpx.Request, body: bytes) -> tuple[bytes, bool]:
    """Return the request's bytes, and whether it lets the connection live on.

    Raises:
        httpx.LocalProtocolError: see `encode`.
    """
    url, headers = request.url, request.headers.raw
    return encode(request.method.encode(), url.raw_path, url.netloc, headers, body)


def encode(
    method: bytes, target: bytes, host: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> tuple[bytes, bool]:
    """Return a request's bytes, and whether it lets the connection live on.

    `host` stands in where no header names one. Framing is decided here alone: `Content-Length` and
    `Transfer-Encoding` of the caller are replaced. GET, HEAD and DELETE without a body have neither
    (RFC 9110 §8.6).

    Raises:
        httpx.LocalProtocolError: a method, target or header would break out of its place
            (RFC 9112 §11.2).
    """
    if _NOT_TOKEN.search(method) or _BREAKS_TARGET.search(target) or not method:
        raise httpx.LocalProtocolError(f"invalid request line: {method!r} {target!r}")
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    hosts, keep_alive = 0, True
    for name, value in headers:
        lowered = _lowered_token(name)
        if not lowered:
            raise _invalid(name, value)
        if lowered in _OWN_HEADERS:
            continue
        if lowered == b"connection":
            keep_alive = keep_alive and b"close" not in value.lower()
        hosts += lowered == b"host"
        lines.append(name + b": " + value)
    if hosts > 1:
        raise httpx.LocalProtocolError("more than one Host header")
    if hosts == 0:
        lines.insert(1, b"Host: " + host)
    if body or method in _METHODS_WITH_BODY:
        lines.append(b"Content-Length: %d" % len(body))
    head = b"\r\n".join(lines)
    # All at once: a value that breaks out shows in how many there are.
    if not head.count(b"\r") == head.count(b"\n") == len(lines) - 1 or b"\0" in head:
        broken = (header for header in headers if _BREAKS_VALUE.search(header[1]))
        raise _invalid(*next(broken, (b"Host", host)))
    return b"%b\r\n\r\n%b" % (head, body), keep_alive


def _invalid(name: bytes, value: bytes) -> httpx.LocalProtocolError:
    return httpx.LocalProtocolError(f"invalid header {name[:80]!r}: {value[:80]!r}")


@lru_cache(maxsize=512)  # the same few names in every request
def _lowered_token(name: bytes) -> bytes:
    """Return a header's name in lower case, or nothing where it is no token."""
    return b"" if _NOT_TOKEN.search(name) else name.lower()


def _origin(url: httpx.URL) -> Origin:
    scheme = url.scheme
    if scheme not in _DEFAULT_PORTS:
        raise httpx.UnsupportedProtocol(f"scheme must be http or https, got {scheme!r}")
    port = _DEFAULT_PORTS[scheme] if url.port is None else url.port
    return scheme, url.raw_host.decode("ascii"), port


def _certificate_name(host: str) -> str:
    """Return the name TLS checks; raise UnicodeError where none can match.

    The loops meet such a name only in a callback, and leave the socket open.
    """
    name = host.rstrip(".")
    name.encode("idna")
    return name


def _response(answer: Answer, stream: Exchange) -> httpx.Response:
    extensions = {"http_version": b"HTTP/" + answer.http_version.encode("ascii")}
    return RawResponse(answer.status, RawHeaders(answer.headers), stream, extensions)


def _shortage(error: Exception, address: str, port: int) -> Shortage | None:
    """Return the shortage of ours that kept a connection from being opened, or None."""
    match error:
        case ssl.SSLError():
            return descriptor_shortage()  # a certificate may not have been found for that alone
        case OSError():
            return shortage_of(error) or port_shortage_of(error, address, port)
        case _:
            return shortage_of(error)


def _reason(error: Exception) -> str:
    """Say what a person can act on; OpenSSL's own text names its source line."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate was refused: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case UnicodeError():
            return "no certificate can carry this name"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)  # asyncio's own text names the address
        case _:
            return str(error) or type(error).__name__
