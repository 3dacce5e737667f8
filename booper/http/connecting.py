"""Opening connections: to addresses that the caller has vetted, over TCP, TLS or a Unix socket.

It must not resolve names: only the addresses that it is given are connected to.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence

import certifi

from booper.errors import ConnectError, Shortage
from booper.http.base import Target
from booper.http.connection import Connection
from booper.http.pool import Pool
from booper.shortage import descriptor_shortage, port_shortage_of, shortage_of


class Connector:
    """Open connections into a pool. `ssl_context` is made of the system's trust if it is None."""

    def __init__(self, pool: Pool, ssl_context: ssl.SSLContext | None = None) -> None:
        self._pool = pool
        self._ssl_context = ssl_context

    async def connect(self, target: Target, addresses: Sequence[str]) -> Connection:
        """Open a connection to the first of the addresses that can be connected to.

        Raises:
            ConnectError: none of them can be, or TLS failed.
            Shortage: this machine has no descriptor, port or memory for a connection.
        """
        failure, shortage = "it has no address", None
        for address in addresses:
            try:
                connection = await self._open(target, address)
            except (OSError, UnicodeError, MemoryError) as error:
                shortage = shortage or _shortage(error, address, target.port)
                failure = _reason(error)  # without an address, which the caller may not know
                continue
            self._pool.add(connection)
            return connection
        if shortage is not None:
            self._pool.clear_idle()  # what they hold is needed
            raise shortage
        raise ConnectError(f"cannot connect to {target.host}: {failure}")

    async def _open(self, target: Target, address: str) -> Connection:
        loop, origin = asyncio.get_running_loop(), (target.scheme, target.host, target.port)
        if target.scheme == "unix":
            _, connection = await loop.create_unix_connection(
                lambda: self._pool.make(origin), address
            )
            return connection
        is_tls = target.scheme == "https"
        _, connection = await loop.create_connection(
            lambda: self._pool.make(origin),
            address,
            target.port,
            ssl=self._context() if is_tls else None,
            server_hostname=_certificate_name(target.host) if is_tls else None,
            flags=socket.AI_NUMERICHOST,  # a name would be resolved behind the caller's back
        )
        return connection

    def _context(self) -> ssl.SSLContext:
        """Make the context of all connections; OpenSSL skips certificates that it cannot open."""
        if self._ssl_context is None:
            if shortage := descriptor_shortage():
                raise shortage
            self._ssl_context = default_ssl_context()
        return self._ssl_context


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
        case UnicodeError():
            return "no certificate can carry this name"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)  # asyncio's own text names the address
        case _:
            return str(error) or type(error).__name__
