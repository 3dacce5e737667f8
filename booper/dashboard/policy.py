"""What every response of the dashboard allows a browser, and which requests may come from one.

A page of another origin can send requests here, and can have its own name lead to this machine
(DNS rebinding): neither may change or read anything.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from booper.errors import Forbidden, TargetRefused
from booper.guard.names import ip_literal
from booper.guard.target import parse_authority
from booper.model.public_url import PublicURL

CONTENT: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_SAFE: Final = frozenset({"GET", "HEAD"})


def guarded(response: Response) -> Response:
    """Return a response with the policy; one that says nothing of it is not to be stored."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


class Hosts:
    """The names and addresses under which this booper may be called.

    `addresses` are those it listens on, `names` those that the settings give it. A name that is not
    among them may be anybody's.
    """

    def __init__(
        self, addresses: Sequence[str], names: Sequence[str], public: PublicURL | None
    ) -> None:
        found = [*addresses, *names, "localhost"]
        self._names = {name for each in found if (name := _name(each)) is not None}
        if public is not None and (name := _host(public.host)) is not None:
            self._names.add(name)
        self._is_on_all = any((own := _address(each)) and own.is_unspecified for each in addresses)
        self._public = None if public is None else public.origin

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Check a request: its `Host`, and that no other origin changes anything by it.

        Raises:
            Forbidden: it is not for this booper, or a page of another origin has sent it.
        """
        given = headers.get(b"host", b"").decode("latin-1")
        host = _host(given)
        if host is None or not self._is_ours(host, scope):
            raise Forbidden(
                f"this booper is not known by the host {given[:80]!r}; open it by its address, or "
                "set public_url in the table [server] of its settings"
            )
        if scope["method"] not in _SAFE:
            self._check_origin(scope, headers, given.lower())

    def is_this_machine(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a request's `Host` is this machine, as only its own browsers call it."""
        host = _host(headers.get(b"host", b"").decode("latin-1"))
        return host is not None and _is_loopback(host)

    def _is_ours(self, host: str, scope: Scope) -> bool:
        if host in self._names or _is_loopback(host):
            return True
        if ip_literal(host) is None:
            return False
        server = scope.get("server")
        return self._is_on_all or bool(server and _name(server[0]) == host)

    def _check_origin(self, scope: Scope, headers: Mapping[bytes, bytes], host: str) -> None:
        """Check who sends a change (Fetch Metadata; the Fetch Standard, "Origin header")."""
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if site is not None:
            is_own = site == b"same-origin"
        else:
            own = {f"{scope.get('scheme', 'http')}://{host}", self._public}
            is_own = origin is not None and origin.decode("latin-1").lower() in own
        if not is_own:
            raise Forbidden("only a page of this dashboard can do this: open it here and try again")


def _host(authority: str) -> str | None:
    """Return the host of an authority in normal form, None if it has none."""
    try:
        name, _ = parse_authority(authority)
    except TargetRefused:
        return None
    return name


def _name(host: str) -> str | None:
    """Return an address or a name that stands alone in the form of `_host`."""
    return _host(f"[{host}]" if ":" in host else host)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = ip_literal(host)
    if address is None:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
