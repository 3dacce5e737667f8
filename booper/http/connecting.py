"""Opening connections: to addresses that the caller has vetted, over TCP, TLS or a Unix socket.

It must not resolve names: only the addresses that it is given are connected to.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import certifi

from booper.errors import Shortage
from booper.http.base import Target
from booper.http.certificates import Certificates
from booper.http.connection import Connection
from booper.http.errors import ConnectError
from booper.http.pool import Pool
from booper.http.racing import STAGGER_SECONDS, NothingConnected, first_connected
from booper.http.tunnel import Proxy, ProxyRefused, open_tunnel
from booper.model.origin import origin_of
from booper.shortage import descriptor_shortage, port_shortage_of, shortage_of


@dataclass(frozen=True, slots=True)
class Route:
    """The way to an origin: the proxy that connections go through, and whom TLS trusts.

    None stands for a direct connection, or for the trust of all other origins. Connections always
    go to what the `addresses` of a request return: a proxy is told these.
    """

    proxy: Proxy | None = None
    ssl_context: ssl.SSLContext | None = None


DIRECT = Route()

Routes = Callable[[Target], Route]
"""Return the route to a target; asked when a connection has to be opened."""


def directly(target: Target) -> Route:
    """Return a direct route, for any target."""
    return DIRECT


class Connector:
    """An opener of connections for a pool.

    If `ssl_context` is None, the system's authorities are trusted. Of several addresses the first
    that connects wins; each is given `stagger_seconds` before the next is tried as well.
    `certificates` gets what servers show.
    """

    def __init__(
        self,
        pool: Pool,
        ssl_context: ssl.SSLContext | None = None,
        routes: Routes = directly,
        stagger_seconds: float = STAGGER_SECONDS,
        certificates: Certificates | None = None,
    ) -> None:
        self._pool = pool
        self._ssl_context = ssl_context
        self._routes = routes
        self._stagger_seconds = stagger_seconds
        self._certificates = Certificates() if certificates is None else certificates

    async def connect(self, target: Target, addresses: Sequence[str]) -> Connection:
        """Open a connection to one of the addresses.

        Raises:
            ConnectError: none of them can be connected to, or TLS failed.
            Shortage: this machine has no descriptor, port or memory for a connection.
        """
        if not addresses:
            raise ConnectError(f"cannot connect to {target.host}: it has no address")
        route = self._routes(target)

        async def open_to(address: str) -> Connection:
            return await self._open(target, address, route)

        try:
            connection = await first_connected(
                addresses, open_to, Connection.close, self._stagger_seconds
            )
        except NothingConnected as error:
            raise self._failure(target, error.failures) from error
        self._pool.add(connection)
        if target.scheme == "https":
            origin = origin_of(target.scheme, target.host, target.port)
            self._certificates.note(origin, connection.certificate)
        return connection

    def _failure(
        self, target: Target, failures: Sequence[tuple[str, Exception]]
    ) -> ConnectError | Shortage:
        for address, error in failures:
            if shortage := _shortage(error, address, target.port):
                self._pool.clear_idle()  # what they hold is needed
                return shortage
        reason = _reason(failures[-1][1])  # without an address, which the caller may not know
        return ConnectError(f"cannot connect to {target.host}: {reason}")

    async def _open(self, target: Target, address: str, route: Route) -> Connection:
        loop = asyncio.get_running_loop()
        origin = (target.scheme, target.host, target.port)
        if target.scheme == "unix":
            _, connection = await loop.create_unix_connection(
                lambda: self._pool.make(origin), address
            )
            return connection
        is_tls = target.scheme == "https"
        context = (route.ssl_context or self._context()) if is_tls else None
        name = _certificate_name(target.host) if is_tls else None
        if route.proxy is not None:
            tunnel = await open_tunnel(route.proxy, address, target.port)
            return await _start_on(tunnel, self._pool.make(origin), context, name)
        _, connection = await loop.create_connection(
            lambda: self._pool.make(origin),
            address,
            target.port,
            ssl=context,
            server_hostname=name,
            flags=socket.AI_NUMERICHOST,  # a name would be resolved without the guard
        )
        return connection

    def _context(self) -> ssl.SSLContext:
        """Make the context of all connections; OpenSSL skips certificates that it cannot open."""
        if self._ssl_context is None:
            if shortage := descriptor_shortage():
                raise shortage
            self._ssl_context = make_ssl_context()
        return self._ssl_context


async def _start_on(
    tunnel: asyncio.Transport,
    connection: Connection,
    context: ssl.SSLContext | None,
    name: str | None,
) -> Connection:
    """Use an open transport for a connection, with TLS where there is a context."""
    if context is None:
        tunnel.set_protocol(connection)
        connection.connection_made(tunnel)
        return connection
    try:
        # A handshake that fails would end a connection that was never made.
        secured = await connection.loop.start_tls(
            tunnel, asyncio.Protocol(), context, server_hostname=name
        )
    except BaseException:
        tunnel.abort()
        raise
    assert secured is not None
    secured.set_protocol(connection)
    connection.connection_made(secured)
    return connection


def make_ssl_context(ca: str | None = None) -> ssl.SSLContext:
    """Return a context for HTTP that trusts what `trusting_context` does.

    Raises:
        OSError: the file cannot be read, or holds something else.
    """
    context = trusting_context(ca)
    context.set_alpn_protocols(["http/1.1"])
    return context


def trusting_context(ca: str | None = None) -> ssl.SSLContext:
    """Return a context that trusts the authorities in a PEM file, or those of the system.

    A private network's own authority is installed there. certifi's list stands in on a system
    without one (a bare container).

    Raises:
        OSError: the file cannot be read, or holds something else.
    """
    context = ssl.create_default_context(cafile=ca)
    paths = ssl.get_default_verify_paths()
    if ca is None and paths.cafile is None and paths.capath is None:
        context.load_verify_locations(certifi.where())
    context.hostname_checks_common_name = False  # RFC 9110 §4.3.4
    return context


def _certificate_name(host: str) -> str:
    """Return the name TLS checks; raise UnicodeError where none can match.

    The loops meet such a name only in a callback, and leave the socket open.
    """
    name = host.rstrip(".")
    name.encode("idna")
    return name


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
    """Return what a person can act on; OpenSSL's own text names its source line."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate was refused: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case ProxyRefused():
            return str(error)
        case UnicodeError():
            return "no certificate can carry this name"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)  # asyncio's own text names the address
        case _:
            return str(error) or type(error).__name__
