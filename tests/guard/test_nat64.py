"""Addresses of NAT64 (RFC 6052), by which a network without IPv4 reaches IPv4-only targets."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest

from booper.errors import TargetRefused
from booper.guard.addresses import SPECIAL_RANGES, Network, special_range
from booper.guard.policy import Guard

PREFIX = int(IPv6Address("64:ff9b::"))


def around(address: str) -> str:
    """Return the NAT64 address of an IPv4 one: the prefix and its 32 bits (RFC 6052 §2.2)."""
    return str(IPv6Address(PREFIX | int(IPv4Address(address))))


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "1.1.1.1", "223.255.255.255"])
def test_a_public_ipv4_address_is_reached_through_nat64(address: str) -> None:
    """The embedded address is what is judged."""
    assert special_range(IPv6Address(around(address))) is None


def test_the_example_is_spelled_right() -> None:
    """93, 184, 216 and 34 are 5d, b8, d8 and 22."""
    assert around("93.184.216.34") == "64:ff9b::5db8:d822"


@pytest.mark.parametrize(
    "network", [each.network for each in SPECIAL_RANGES if each.network.version == 4], ids=str
)
def test_no_special_ipv4_range_is_reached_through_nat64(network: Network) -> None:
    """First and last address of each range stay closed, also where the operator opens their own."""
    open_guard = Guard(require_https=True, allow_private_networks=True, allow=[], own=())
    for address in (network[0], network[-1]):
        with pytest.raises(TargetRefused, match="NAT64"):
            open_guard.check(f"https://[{around(str(address))}]/")


@pytest.mark.parametrize(
    "address",
    ["64:ff9b:1::808:808", "64:ff9b:1:ffff::1", "64:ff9b::1:808:808"],
)
def test_other_prefixes_stay_closed(address: str) -> None:
    """A network's own prefix (RFC 8215 §3.1) may lead anywhere, and the rest is nobody's."""
    assert special_range(IPv6Address(address)) is not None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("responses", "is_reached"),
    [
        (["64:ff9b::5db8:d822"], True),
        (["2606:4700::1", "64:ff9b::5db8:d822"], True),
        (["64:ff9b::a00:1"], False),
        (["64:ff9b::5db8:d822", "64:ff9b::7f00:1"], False),
    ],
)
async def test_names_of_dns64_are_judged_alike(responses: list[str], *, is_reached: bool) -> None:
    """What name servers with DNS64 answer for an IPv4-only name is connected to."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return responses

    judge = Guard(
        require_https=True, allow_private_networks=False, allow=[], own=(), resolve=resolve
    )
    target = judge.check("https://ipv4only.example/")
    if is_reached:
        assert await judge.addresses(target) == tuple(responses)
    else:
        with pytest.raises(TargetRefused, match="NAT64"):
            await judge.addresses(target)
