"""Reading a URL typed by a stranger into the one Target that every later step uses.

A URL that parsers are known to read differently is refused, so that no library further down can
find another host in the same string. It does not judge addresses.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from ipaddress import AddressValueError, IPv6Address

from booper.errors import MalformedURL, TargetRefused
from booper.guard.names import normal_host, shown
from booper.guard.spelling import resolve, spell_path, spell_query
from booper.model.origin import APP_NAME, APP_ORIGIN, DEFAULT_PORTS, app_origin, origin_of

MAX_URL_LENGTH = 8_192

APP_SCHEME = "app"
APP_HOST = APP_ORIGIN

# Lone surrogates have no UTF-8; parsers disagree about all the others.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\ud800-\udfff]")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?P<colon>:(?P<port>.*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class Target:
    """Where a request goes; without slots, so that what follows from it is put together once.

    `host` is an ASCII name in lower case (IDNA A-labels) or an IP literal, without brackets or
    trailing dot: it is what goes into SNI. `path` begins with "/", `query` has no "?" and is None
    where the URL has none; both are ASCII and go on the wire as they are. Of a program around
    booper `host` is the origin.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str | None = None

    @property
    def is_app(self) -> bool:
        """Return whether this is the program around booper, and no host."""
        return self.scheme == APP_SCHEME

    @cached_property
    def authority(self) -> str:
        """Return the value of the Host header: no port if it is the scheme's default."""
        if self.is_app:
            return APP_SCHEME
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @cached_property
    def origin(self) -> str:
        """Return scheme, host and port: what shares slots, a breaker, and credentials."""
        return self.host if self.is_app else origin_of(self.scheme, self.host, self.port)

    @cached_property
    def request_target(self) -> str:
        """Return path and query as they go on the wire (RFC 9112 §3.2.1)."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @cached_property
    def url(self) -> str:
        """Return the URL in its normal form, without fragment."""
        where = self.host if self.is_app else f"{self.scheme}://{self.authority}"
        return where + self.request_target


def parse_target(url: str) -> Target:
    """Read a raw URL.

    Raises:
        TargetRefused: `url` is neither an http or https URL that every parser reads alike nor
            a program around booper with a path, `app:/…` or `app://NAME/…`.
    """
    _check_length(url)
    _check_characters(url)
    if url[: len(APP_HOST)].lower() == APP_HOST:
        return _parse_app(url)
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in DEFAULT_PORTS:
        raise TargetRefused(f"url must begin with https:// or http://, got {shown(url)}")
    before_query, query = _split(rest)
    authority, slash, path = before_query.partition("/")
    host, port = parse_authority(authority)
    target = Target(
        scheme=scheme,
        host=host,
        port=DEFAULT_PORTS[scheme] if port is None else port,
        path=spell_path(slash + path),
        query=query,
    )
    _check_length(target.url)
    return target


def parse_reference(reference: str, base: Target) -> Target:
    """Read a URL, or a reference relative to `base`, as the header `Location` has it.

    Spaces and control characters are encoded, as browsers do it.

    Raises:
        TargetRefused: see `parse_target`.
    """
    origin = f"{base.scheme}://{base.authority}"
    return parse_target(resolve(reference, base.scheme, origin, base.path, base.query))


def parse_authority(authority: str) -> tuple[str, int | None]:
    """Read `host` or `host:port` into the normal form of the host and the port, None if absent.

    Raises:
        TargetRefused: the host or the port is not valid, or there is user info.
    """
    _check_characters(authority)  # entries of the configuration come here without a URL
    if "@" in authority:
        raise TargetRefused(
            "url must not contain a user name or password; send an Authorization header "
            f"(host: {shown(authority.rpartition('@')[2])})"
        )
    if "[" not in authority and authority.count(":") > 1:
        raise MalformedURL(
            f"an IPv6 address must be in brackets, such as [2606:4700::1], got {shown(authority)}"
        )
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise MalformedURL(f"host must be a name or an IP address, got {shown(authority)}")
    return normal_host(parts["host"]), _parse_port(parts["port"])


def parse_origin(text: str) -> str:
    """Return the normal form of an origin: `https://api.example.com:8443`, `app:`, `app://shop`.

    Raises:
        TargetRefused: it is no URL, or one with a path or a query.
    """
    is_bare_app = text == APP_HOST or (text.startswith(f"{APP_HOST}//") and text.count("/") == 2)
    target = parse_target(f"{text}/" if is_bare_app else text)
    if target.path != "/" or target.query is not None:
        raise TargetRefused(f"an origin has no path and no query, got {shown(text)}")
    return target.origin


def parse_host(text: str) -> str:
    """Return the normal form of a host, or of a host and a port; IPv6 may be without brackets.

    Raises:
        TargetRefused: it is neither.
    """
    host, port = parse_authority(_in_brackets(text))
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def _in_brackets(text: str) -> str:
    try:
        return f"[{IPv6Address(text)}]"
    except AddressValueError:
        return text


def _parse_app(url: str) -> Target:
    name, raw_path = "", url[len(APP_HOST) :]
    if is_named := raw_path.startswith("//"):
        name, slash, rest = raw_path[2:].partition("/")
        name, raw_path = name.lower(), slash + rest
    raw_path, query = _split(raw_path)
    path = spell_path(raw_path)
    if not raw_path.startswith("/") or path.startswith("//"):
        raise TargetRefused(f"url must be app: and a path, such as app:/tasks, got {shown(url)}")
    if is_named and not APP_NAME.fullmatch(name):
        raise TargetRefused(
            "the name of a program has up to 63 letters, digits and inner hyphens, as in "
            f"app://shop/tasks, got {shown(url)}"
        )
    target = Target(APP_SCHEME, app_origin(name), 0, path, query)
    _check_length(target.url)
    return target


def _split(rest: str) -> tuple[str, str | None]:
    """Return what comes before the query, and the query, if any; the fragment is never sent."""
    before_query, mark, query = rest.partition("#")[0].partition("?")
    return before_query, spell_query(query) if mark else None


def _check_length(url: str) -> None:
    if len(url) > MAX_URL_LENGTH:
        raise MalformedURL(
            f"url must have at most {MAX_URL_LENGTH} characters once percent-encoded, "
            f"got {len(url)}: {shown(url)}"
        )


def _check_characters(url: str) -> None:
    bad = _FORBIDDEN.search(url)
    if bad is None:
        return
    where = f"at position {bad.start()}: {shown(url)}"
    match bad[0]:
        case " ":
            raise MalformedURL(f"url must not contain a space (write %20), {where}")
        case "\\":
            raise TargetRefused(f"url must not contain a backslash (write / or %5C), {where}")
        case other:
            raise MalformedURL(f"url must not contain the control character {other!a}, {where}")


def _parse_port(port: str | None) -> int | None:
    if port is None:
        return None
    if not _PORT.fullmatch(port) or int(port) > 65_535:
        raise MalformedURL(f"port must be a number from 1 to 65535, got {shown(port)}")
    return int(port)
