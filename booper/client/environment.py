"""How a client reaches its server by what the environment says: proxy and certificates.

httpx would read the same variables, for any server, and end in errors of other libraries. Here
only those that this server needs are read; a wrong one is an `InvalidArgument` that names it.
"""

import os
import ssl
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from socket import inet_aton
from typing import NamedTuple

import httpx

from booper.certificates import InvalidCertificates, named_context
from booper.client.errors import InvalidArgument

_EXAMPLE = "http://proxy.example:3128"
_SCHEMES = ("http", "https")
_SOCKS = ("socks5", "socks5h")


class Path(NamedTuple):
    """The way to a server: through which proxy, and which certificates are trusted."""

    proxy: httpx.Proxy | None
    verify: ssl.SSLContext


def path_to(url: httpx.URL, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the way to a server. Raises: InvalidArgument, which names the variable."""
    proxy = None if is_loopback(url.host) else _proxy(url, environment)
    if url.scheme == "http" and (proxy is None or proxy.scheme == "http"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # none is needed; the real one is slow
    else:
        context = _context(environment)
    if proxy is None:
        return Path(None, context)
    tls = context if proxy.scheme == "https" else None
    return Path(httpx.Proxy(proxy, ssl_context=tls), context)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its spelling: no name is looked up."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return _is_short_loopback(name)
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _is_short_loopback(name: str) -> bool:
    """Return whether this is a spelling such as 127.1, which resolvers take (inet_aton(3))."""
    try:
        return name[:1].isdigit() and inet_aton(name)[0] == 127
    except (OSError, UnicodeError):
        return False


@cache
def _default_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _context(environment: Mapping[str, str]) -> ssl.SSLContext:
    try:
        return named_context(environment) or _default_context()
    except InvalidCertificates as error:
        raise InvalidArgument(str(error)) from error


def _proxy(url: httpx.URL, environment: Mapping[str, str]) -> httpx.URL | None:
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        variable, value = _value(name, environment)
        if value and not _is_exempt(url, _value("no_proxy", environment)[1]):
            return _read_proxy(variable, value, url.host)
    return None


def _value(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return a variable by its lower-case name, else by its upper-case one.

    A CGI program gets the header `Proxy` of a stranger as HTTP_PROXY (https://httpoxy.org).
    """
    is_cgi = name == "http_proxy" and "REQUEST_METHOD" in environment
    if name in environment or is_cgi:
        return name, environment.get(name, "").strip()
    return name.upper(), environment.get(name.upper(), "").strip()


def _read_proxy(variable: str, value: str, host: str) -> httpx.URL:
    advice = f"write {_EXAMPLE}, or add {host} to NO_PROXY"
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
        is_whole = bool(url.host)
    except (httpx.InvalidURL, ValueError):
        is_whole = False
    if not is_whole:
        # It is not quoted: a password may stand in it.
        raise InvalidArgument(f"{variable}: its value is not the URL of a proxy; {advice}")
    if url.scheme in _SOCKS and find_spec("socksio") is None:
        raise InvalidArgument(
            f"{variable}: a SOCKS proxy ({url.scheme}://{url.host}) needs "
            f"`pip install 'httpx[socks]'`; or {advice}"
        )
    if url.scheme not in (*_SCHEMES, *_SOCKS):
        raise InvalidArgument(
            f"{variable}: {url.scheme}://{url.host} is not an http or https proxy; {advice}"
        )
    return url


def _is_exempt(url: httpx.URL, no_proxy: str) -> bool:
    """Return whether NO_PROXY names the server: a host, a domain, an address, a network, or all."""
    entries = (entry.strip().lower() for entry in no_proxy.split(","))
    return any(entry == "*" or _matches(url, entry) for entry in entries if entry)


def _matches(url: httpx.URL, entry: str) -> bool:
    host = url.host.lower().removesuffix(".")
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # one of them is a name
        pass
    name, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (name.startswith("[") or ":" not in name):
        default = 443 if url.scheme == "https" else 80
        return int(port) == (url.port or default) and _matches(url, name)
    domain = entry.removeprefix("*").removeprefix(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
