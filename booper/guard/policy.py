"""Which hosts and addresses an outgoing request may reach.

A URL is judged twice: by what it shows when it is stored, and by what its host resolves to
when it is sent. It opens no connection; whoever does must use the addresses given here.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from booper.errors import AddressRefused, Shortage, TargetRefused, UnresolvableHost
from booper.guard.addresses import Address, Network, special_range
from booper.guard.names import ip_literal
from booper.guard.resolver import Resolver
from booper.guard.target import Target, parse_authority, parse_target
from booper.model.origin import LOOPBACK_OF

# Verdicts, of URLs of at most 8 KiB: a few MB for what is typical, 32 MB at the worst.
REMEMBERED = 4_096

# Limits for the look-ups of dry runs: threads in all, and time for each.
PREVIEW_THREADS = 16
PREVIEW_SECONDS = 5.0

__all__ = ["Check", "Guard", "Resolve", "Target"]

Check: TypeAlias = Callable[[str], Target]

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

# What booper's own endpoints offer to jobs (the contract's §2). Nothing else of its API may be
# reached from inside, where a request seems to come from the machine itself.
_HELPER_PATHS = r"/api/(?:ping|echo|broadcast|channels/[A-Za-z0-9_-]+)"


# A URL where only its host and port are expected.
_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#@\s]+)(?:[/?#].*)?")


class Guard:
    """The decision where requests may go.

    `require_https` refuses plain http. `allow_private_networks` opens loopback and private
    addresses, but neither link-local nor cloud metadata. `allow` names what may always be reached,
    also over plain http: a host, `host:port`, an IP address or a CIDR network. A host entry matches
    the URL's host and vouches for whatever it resolves to; an address entry vouches for those
    addresses wherever they come from. `own` are the addresses booper listens on: its helper
    paths may be reached there over plain http. `resolve` signals failure by an OSError.
    `is_left_to_proxy` returns whether a proxy resolves a target's name: its addresses are then not
    known here, and not judged.

    Raises:
        ValueError: an entry of `allow` is none of the four.
    """

    def __init__(
        self,
        *,
        require_https: bool,
        allow_private_networks: bool,
        allow: Sequence[str],
        own: Sequence[tuple[str, int]],
        resolve: Resolve | None = None,
        is_left_to_proxy: Callable[[Target], bool] | None = None,
    ) -> None:
        entries = [parse_entry(entry) for entry in allow]
        self._allowed_networks = [entry for entry in entries if not isinstance(entry, tuple)]
        self._allowed_hosts = {entry for entry in entries if isinstance(entry, tuple)}
        self._require_https = require_https
        self._allow_private_networks = allow_private_networks
        self._judged = lru_cache(maxsize=REMEMBERED)(self._judge)
        self._own_urls = [_own_urls(*address) for address in own]
        self._is_left_to_proxy = is_left_to_proxy or _is_never_left
        self._resolve = resolve or Resolver()
        # Of its own, so that dry runs take no threads from what is sent.
        self._resolve_for_preview = resolve or Resolver(max_threads=PREVIEW_THREADS)

    def trusting(self, hosts: Sequence[str]) -> "Guard":
        """Return a guard for URLs of the operator's own: they may be at these hosts anywhere.

        Its look-ups have threads of their own.
        """
        return Guard(
            require_https=False,
            allow_private_networks=True,
            allow=hosts,
            own=(),
            is_left_to_proxy=self._is_left_to_proxy,
        )

    def check(self, url: str) -> Target:
        """Read a raw URL and judge what it shows by itself.

        The same URL is judged again and again, at its create and at each attempt, and always the
        same: verdicts are remembered.

        Raises:
            TargetRefused: it is malformed, or shows that the request may not go there.
        """
        target = self._judged(url)
        if target.is_app:
            raise TargetRefused(
                "only a program with booper inside can create jobs for an app: url, by "
                "booper.jobs of its Booper(config, app=…); from here, give an https:// url"
            )
        return target

    def check_own(self, url: str) -> Target:
        """Read and judge a URL that a program around booper has given: it may name itself.

        Raises:
            TargetRefused: see `check`.
        """
        return self._judged(url)

    def _judge(self, url: str) -> Target:
        target = parse_target(url)
        # The raw string, since the exception for booper itself holds for one spelling only.
        is_free = target.is_app or self._is_allowed_host(target)
        if is_free or self._is_own(url.partition("#")[0]):
            return target
        address = ip_literal(target.host)
        if address is not None:
            self._vet(address, f"host {target.host}", str(address))
        if _is_localhost(target.host) and not self._allow_private_networks:
            raise TargetRefused(
                f"host {target.host} is this machine; to allow it, the operator can set "
                f"allow_private_networks or add {target.host} to allow"
            )
        if self._require_https and target.scheme != "https" and not self._is_listed(address):
            raise TargetRefused(
                f"url must begin with https://, got http://{target.authority}; to allow it, "
                f"the operator can unset require_https or add {target.host} to allow"
            )
        return target

    def spelled(self, url: str) -> str:
        """Return a URL as it goes on the wire, or as it is where it is refused."""
        try:
            return self._judged(url).url
        except TargetRefused:
            return url

    def is_own(self, target: Target) -> bool:
        """Return whether a checked target is one of booper's own helper paths."""
        return self._is_own(target.url)

    async def addresses(self, target: Target) -> tuple[str, ...]:
        """Resolve a checked target once; return the only addresses to connect to for it.

        Where a proxy resolves names, it is the name.

        Raises:
            AddressRefused: one of the addresses that the name has now may not be reached. This
                may be retried.
            TargetRefused: the URL's host is an address that may not be reached. This is final.
            UnresolvableHost: the name has no address now. This may be retried.
            Shortage: this machine has nothing to look the name up with.
        """
        if target.is_app:
            return ()
        if self._has_name_for_proxy(target):
            return (target.host,)
        return self._vetted(target, await self._look_up(target, self._resolve))

    async def preview(self, target: Target) -> tuple[str, ...]:
        """Return the same as `addresses`, for display only: quickly, and apart from what is sent.

        Raises:
            TargetRefused, UnresolvableHost: see `addresses`, or the name servers take too long.
        """
        if target.is_app:
            return ()
        if self._has_name_for_proxy(target):
            return (target.host,)
        try:
            async with asyncio.timeout(PREVIEW_SECONDS):
                found = await self._look_up(target, self._resolve_for_preview)
        except (TimeoutError, Shortage):
            raise UnresolvableHost(
                f"host {target.host} was not resolved within {PREVIEW_SECONDS:g} s"
            ) from None
        return self._vetted(target, found)

    def _has_name_for_proxy(self, target: Target) -> bool:
        return self._is_left_to_proxy(target) and ip_literal(target.host) is None

    def _vetted(self, target: Target, found: Sequence[Address]) -> tuple[str, ...]:
        if not self._is_own(target.url) and not self._is_allowed_host(target):
            self._vet_all(found, target)
        return tuple(str(address) for address in found)

    def _vet_all(self, found: Sequence[Address], target: Target) -> None:
        if ip_literal(target.host) is not None:
            for address in found:
                self._vet(address, f"host {address}", str(address))
            return
        try:
            for address in found:
                # The author of the job may not be meant to know the network's addresses.
                self._vet(address, f"host {target.host} resolves to an address that", target.host)
        except TargetRefused as error:
            raise AddressRefused(str(error)) from None

    async def _look_up(self, target: Target, resolve: Resolve) -> list[Address]:
        literal = ip_literal(target.host)
        if literal is not None:
            return [literal]
        try:
            texts = await resolve(target.host, target.port)
        except OSError as error:
            raise UnresolvableHost(f"host {target.host} does not resolve: {error}") from error
        if not texts:
            raise UnresolvableHost(f"host {target.host} resolves to no address")
        return [_parse_address(target.host, text) for text in texts]

    def _vet(self, address: Address, source: str, entry: str) -> None:
        """Check an address; `entry` is what to add to allow. Raises: TargetRefused."""
        if self._is_listed(address):
            return
        special = special_range(address)
        if special is None or (special.is_private and self._allow_private_networks):
            return
        setting = "set allow_private_networks or " if special.is_private else ""
        raise TargetRefused(
            f"{source} is {special.what}, and only public addresses may be reached; "
            f"to allow it, the operator can {setting}add {entry} to allow"
        )

    def _is_listed(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._allowed_networks)

    def _is_allowed_host(self, target: Target) -> bool:
        wanted = {(target.host, None), (target.host, target.port)}
        return not self._allowed_hosts.isdisjoint(wanted)

    def _is_own(self, url: str) -> bool:
        return any(own.fullmatch(url) for own in self._own_urls)


def _is_never_left(target: Target) -> bool:
    return False


def parse_entry(entry: str) -> Network | tuple[str, int | None]:
    try:
        return ip_network(entry)
    except ValueError:
        pass  # not an address: a host, then
    try:
        return parse_authority(entry)
    except TargetRefused as error:
        raise ValueError(
            "an entry of allow must be a host, host:port, an IP address or a CIDR network "
            f"without host bits, got {entry!r}: {_better_entry(entry) or error}"
        ) from None


def _better_entry(entry: str) -> str | None:
    """Return what to write for a URL, a pattern, or a network with host bits."""
    if found := _URL.fullmatch(entry):
        return f"write {found[1]!r}"
    if entry.startswith("*"):
        return "it takes no patterns; name each host, or the network that they are in"
    try:
        return f"write {str(ip_network(entry, strict=False))!r} for the whole network"
    except ValueError:
        return None


def reached_at(host: str) -> str:
    """Return the address for reaching a listener on `host`: loopback, if that is the wildcard."""
    return LOOPBACK_OF.get(host, host.lower())


def _own_urls(host: str, port: int) -> re.Pattern[str]:
    host = reached_at(host)
    authority = f"[{host}]" if ":" in host else host
    optional = "?" if port == 80 else ""
    return re.compile(
        rf"(?i:http)://{re.escape(authority)}(?::{port}){optional}{_HELPER_PATHS}(?:\?.*)?"
    )


def _is_localhost(host: str) -> bool:
    # RFC 6761 §6.3: these names are loopback, whatever DNS says.
    return host == "localhost" or host.endswith(".localhost")


def _parse_address(host: str, text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise AddressRefused(f"host {host} must resolve to IP addresses") from None
