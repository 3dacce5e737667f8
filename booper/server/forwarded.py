"""Requests that come through a proxy: who sent them, and under which path booper is.

Anybody can send the headers in which proxies tell that (`X-Forwarded-For`, `X-Forwarded-Proto`), so
they count only from addresses that the operator trusts.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from booper.model.public_url import PublicURL

Address = IPv4Address | IPv6Address

_MOUNT: Final = b"booper-mount"
"""The header of a call that was handed on: a scheme, and the path where booper is mounted."""

_SCHEMES = {b"http": "http", b"https": "https"}


class TrustedProxies:
    """The addresses and networks of proxies whose headers count. Raises: ValueError."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._networks = [_network(entry) for entry in entries]

    def __contains__(self, address: Address | None) -> bool:
        return any(address in network for network in self._networks) if address else False

    def sender(self, forwarded: str, peer: Address) -> Address:
        """Return who sent a request that `peer` passed on, by its `X-Forwarded-For`.

        That is the last address which no trusted proxy has. What comes before it anybody could
        have written; behind something that is no address, nothing is known.
        """
        sender = peer
        for entry in reversed(forwarded.split(",")):
            found = read_address(entry)
            if sender not in self or found is None:
                break
            sender = found
        return sender


def read_address(text: str) -> Address | None:
    """Return an address, None if it is none; with a port or without, IPv4 as such."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def proxied(application: ASGIApp, public: PublicURL | None, trusted: Sequence[str]) -> ASGIApp:
    """Return an application as proxies need it.

    It is under the path of its public URL, which proxies may remove or keep, and sees the senders
    of what trusted ones pass on.
    """
    if public is not None and public.prefix:
        application = _under_prefix(application, public.prefix)
    return _behind_proxies(application, trusted) if trusted else application


def with_mount(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers of a call for another process, and where it came in at this one."""
    kept = [item for item in scope["headers"] if item[0].lower() != _MOUNT]
    at = f"{scope.get('scheme', 'http')} {quote(scope.get('root_path', ''))}"
    return [*kept, (_MOUNT, at.encode("ascii"))]


def handed_on(application: ASGIApp) -> ASGIApp:
    """Return an application for calls of another process, which says where they came in.

    Only for a socket that nobody else can open: links are made by what it says.
    """

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        for name, value in scope.get("headers", ()):
            if name == _MOUNT:
                scheme, _, prefix = value.decode("latin-1").partition(" ")
                root = unquote(prefix)
                scope = {**scope, "scheme": scheme, "root_path": root, "path": root + scope["path"]}
        await application(scope, receive, send)

    return respond


def _behind_proxies(application: ASGIApp, trusted: Sequence[str]) -> ASGIApp:
    proxies = TrustedProxies(trusted)

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        peer = read_address(scope["client"][0]) if scope.get("client") else None
        if peer is not None and peer in proxies:
            scope = {**scope, **_forwarded(scope, proxies, peer)}
        await application(scope, receive, send)

    return respond


def _under_prefix(application: ASGIApp, prefix: str) -> ASGIApp:
    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope.get("root_path") and scope.get("path", "").startswith(f"{prefix}/"):
            scope = {**scope, "root_path": prefix}
        await application(scope, receive, send)

    return respond


def _network(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry)
    except ValueError as error:
        raise ValueError(
            'expected the addresses or networks of proxies, such as "127.0.0.1" or "10.0.0.0/8", '
            f"got {entry!r}"
        ) from error


def _forwarded(scope: Scope, proxies: TrustedProxies, peer: Address) -> dict[str, object]:
    """Return what of a scope is different by the headers of a trusted proxy."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        values.setdefault(name, []).append(value)
    found: dict[str, object] = {}
    if forwarded := values.get(b"x-forwarded-for"):
        sender = proxies.sender(b",".join(forwarded).decode("latin-1"), peer)
        found["client"] = (str(sender), 0)
    protocol = values.get(b"x-forwarded-proto", [b""])[-1].strip().lower()
    if protocol in _SCHEMES:
        found["scheme"] = _SCHEMES[protocol]
    return found
