"""A way through a proxy: `CONNECT` (RFC 9110 §9.3.6), to the address that the caller has vetted."""

import asyncio
import re
import socket
from dataclasses import dataclass, field

from booper.http.base import Addresses
from booper.http.racing import NothingConnected, first_connected

MAX_REPLY_BYTES = 64 * 1024

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r\n]")


class ProxyRefused(OSError):
    """A proxy refused to connect to the address; the text has its response."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy: where it listens, and the value of `Proxy-Authorization`, if it wants one.

    `addresses` returns the addresses of the proxy itself, which its operator has chosen.
    """

    port: int
    addresses: Addresses
    authorization: bytes | None = field(default=None, repr=False)


async def open_tunnel(proxy: Proxy, address: str, port: int) -> asyncio.Transport:
    """Return an open connection through `proxy` to an address, or to a name that it resolves.

    Raises:
        OSError: the proxy cannot be reached, or refuses.
    """
    loop = asyncio.get_running_loop()

    async def connect(proxy_address: str) -> tuple[asyncio.Transport, _Reply]:
        transport, reply = await loop.create_connection(
            _Reply, proxy_address, proxy.port, flags=socket.AI_NUMERICHOST
        )
        return transport, reply

    try:
        transport, reply = await first_connected(
            await proxy.addresses(), connect, lambda opened: opened[0].abort()
        )
    except NothingConnected as error:
        raise ProxyRefused("the proxy cannot be reached") from error
    try:
        transport.write(_request(proxy, address, port))
        await reply.done
    except BaseException:
        transport.abort()
        raise
    return transport


def _request(proxy: Proxy, address: str, port: int) -> bytes:
    authority = (f"[{address}]:{port}" if ":" in address else f"{address}:{port}").encode("ascii")
    lines = [b"CONNECT %b HTTP/1.1" % authority, b"Host: %b" % authority]
    if proxy.authorization is not None:
        lines.append(b"Proxy-Authorization: %b" % proxy.authorization)
    return b"\r\n".join([*lines, b"", b""])


class _Reply(asyncio.Protocol):
    """A proxy's response to CONNECT: `done` once it is a 2xx, and failed otherwise."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if self.done.done():
            return
        status = _STATUS.match(self._received)
        if not end and len(head) <= MAX_REPLY_BYTES:
            return
        if status is None:
            self._fail("the proxy did not speak HTTP")
        elif not end or not status[1].startswith(b"2"):
            self._fail(f"the proxy responded {status[1].decode()}")
        elif rest:
            self._fail("the proxy responded 200 and more")
        else:
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def _fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ProxyRefused(reason))
            self.done.exception()  # its caller may have gone
