"""What is different for single origins, as the configuration wants it: slots, ways, certificates.

Files are read here, at the start, so that an error in one comes before a request needs it.
"""

import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from booper.config import Config, Delivery, Origin
from booper.errors import ConfigError
from booper.guard.policy import reached_at
from booper.guard.resolver import Resolver
from booper.http.base import Target
from booper.http.connecting import DIRECT, Route, make_ssl_context
from booper.http.tunnel import Proxy, ProxyRefused
from booper.model.origin import app_origin, names_of, origin_of
from booper.model.proxy import ProxyURL
from booper.store.limits import Limits

log = logging.getLogger("booper")


@dataclass(frozen=True, slots=True)
class Way:
    """A route, and whether its proxy gets names and resolves them itself."""

    route: Route
    proxy_resolves: bool = False


_DIRECT: Final = Way(DIRECT)


class Ways:
    """The ways to origins by their names (`names_of`), and that to all others."""

    def __init__(self, default: Way, by_name: Mapping[str, Way]) -> None:
        self._default = default
        self._by_name = by_name

    def route(self, target: Target) -> Route:
        """Return how connections to a target are opened."""
        return self._of(target).route

    def is_resolved_by_proxy(self, target: Target) -> bool:
        """Return whether a proxy gets the name of a target, so that booper needs no address."""
        way = self._of(target)
        return way.proxy_resolves and way.route.proxy is not None

    def _of(self, target: Target) -> Way:
        if self._by_name:
            for name in names_of(origin_of(target.scheme, target.host, target.port)):
                if name in self._by_name:
                    return self._by_name[name]
        return self._default


def limits_of(config: Config) -> Limits:
    """Return how many jobs may be on their way at a time, and how many of a user may wait."""
    origins, delivery = config.origins.items(), config.delivery
    slots = {name: one.slots for name, one in origins if one.slots is not None}
    return Limits(delivery.concurrency, delivery.per_host, slots, config.limits.max_waiting)


def limits_of_node(config: Config, *, has_app: bool) -> Limits:
    """Return the limits of a process that sends; `has_app` says that a program is around it.

    Over PostgreSQL others send as well, and each program's jobs are for its own nodes.
    """
    limits = limits_of(config)
    if not config.database.url:
        return limits
    return replace(limits, program=app_origin(config.delivery.app_name) if has_app else "")


def ways_of(config: Config, own: Sequence[tuple[str, int]]) -> Ways:
    """Return the ways to all origins; those to `own` addresses are always direct.

    What goes to booper itself has a secret that no proxy may see.

    Raises:
        ConfigError: a file cannot be read, or holds something else.
    """
    resolver = Resolver()
    delivery = config.delivery
    default = Way(Route(_proxy(delivery.proxy, resolver)), delivery.proxy_resolves)
    for name, one in config.origins.items():
        if one.verify is False:
            log.warning('[origins."%s"] verify = false: any certificate is trusted there', name)
    by_name = {name: _way(name, config, resolver) for name in config.origins}
    by_name |= {origin_of("http", reached_at(host), port): _DIRECT for host, port in own}
    return Ways(default, by_name)


def _way(name: str, config: Config, resolver: Resolver) -> Way:
    wider = (config.origins[each] for each in _wider(name) if each in config.origins)
    try:
        return _merged([config.origins[name], *wider], config.delivery, resolver)
    except ValueError as error:
        raise ConfigError(f'[origins."{name}"] {error}') from error


def _wider(name: str) -> Sequence[str]:
    """Return the names of which a name is a part: host and port, and the host."""
    if "://" in name:
        return names_of(name)[1:]
    host, colon, port = name.rpartition(":")
    return (host,) if colon and port.isdecimal() else ()


def _merged(tables: Sequence[Origin], delivery: Delivery, resolver: Resolver) -> Way:
    """Return the way in which the first table that has a setting decides it.

    Raises:
        ValueError: it cannot be as they say; the message names the setting.
    """
    proxies = [each.proxy for each in tables if each.proxy is not None]
    resolves = [each.proxy_resolves for each in tables if each.proxy_resolves is not None]
    proxy = _proxy((proxies or [delivery.proxy])[0], resolver)
    return Way(Route(proxy, _ssl_context(tables)), (resolves or [delivery.proxy_resolves])[0])


def _proxy(url: str, resolver: Resolver) -> Proxy | None:
    """Return the proxy that a URL names, None for none. Its operator vouches for its address."""
    if not url:
        return None
    named = ProxyURL.parse(url)

    async def addresses() -> Sequence[str]:
        if _is_address(named.host):
            return (named.host,)
        try:
            return await resolver(named.host, named.port)
        except OSError as error:
            raise ProxyRefused("the name of the proxy does not resolve") from error

    return Proxy(named.port, addresses, named.authorization)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _ssl_context(tables: Sequence[Origin]) -> ssl.SSLContext | None:
    """Return a context as tables want it, None if they want nothing. Raises: ValueError."""
    for each in tables:
        if each.key is not None and each.cert is None:
            raise ValueError("key: it belongs to a certificate; name that by cert")
        if each.verify is False and each.ca is not None:
            raise ValueError("verify: false trusts any certificate, so ca means nothing; drop one")
    trust = next((each for each in tables if (each.ca, each.verify) != (None, None)), None)
    shown = next((each for each in tables if each.cert is not None), None)
    if trust is None and shown is None:
        return None
    context = _trusting(trust.ca if trust else None)
    if trust is not None and trust.verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if shown is not None:
        _show(context, shown)
    return context


def _trusting(ca: str | None) -> ssl.SSLContext:
    try:
        return make_ssl_context(ca)
    except ssl.SSLError as error:
        raise ValueError(f"ca: {ca!r} must hold certificates in PEM form") from error
    except OSError as error:
        raise ValueError(f"ca: cannot read {ca!r}: {error.strerror}") from error


def _show(context: ssl.SSLContext, own: Origin) -> None:
    """Load the certificate that booper shows to an origin. Raises: ValueError."""
    assert own.cert is not None
    for setting, path in (("cert", own.cert), ("key", own.key)):
        if path is not None:
            _check_readable(setting, path)
    try:
        # Without a password, or OpenSSL would ask for one on the terminal.
        context.load_cert_chain(own.cert, own.key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(_wrong_certificate(own, error)) from error


def _check_readable(setting: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise ValueError(f"{setting}: cannot read {path!r}: {error.strerror}") from error


def _wrong_certificate(own: Origin, error: Exception) -> str:
    """Return what is wrong with a certificate or its key."""
    reason = getattr(error, "reason", None) or ""
    if reason == "KEY_VALUES_MISMATCH":
        return f"key: {own.key or own.cert!r} is not the key of the certificate in {own.cert!r}"
    if _is_encrypted(own.key or own.cert or ""):
        return f"key: {own.key or own.cert!r} is encrypted; write it without a passphrase"
    if own.key is None:
        return f"cert: {own.cert!r} must hold a certificate and its key in PEM form; or set key"
    return f"cert: {own.cert!r} must hold a certificate and {own.key!r} its key, in PEM form"


def _is_encrypted(path: str) -> bool:
    return b"ENCRYPTED" in Path(path).read_bytes()
