"""Which IP addresses are not public unicast: one table, and the look-up in it.

It knows nothing of URLs, of names, or of what an operator allows.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


# RFC 6052 §2.1: what DNS64 gives for a name that has IPv4 addresses alone.
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class SpecialRange:
    """A range of addresses that no stranger's request may reach.

    `what` completes the sentence "the address is …" and names the source. `is_private` is true
    where an operator can open the range together with the rest of their own network.
    """

    network: Network
    what: str
    is_private: bool


def special_range(address: Address) -> SpecialRange | None:
    """Return the range that makes `address` unfit for strangers, or None if it is public."""
    for candidate in SPECIAL_RANGES:
        if address in candidate.network:
            return None if candidate.network == _NAT64 and _leads_out(address) else candidate
    if isinstance(address, IPv6Address) and _is_isatap(address):
        return _ISATAP
    return None


def _leads_out(address: Address) -> bool:
    """Return whether an address of NAT64 stands for a public IPv4 address, its last 32 bits.

    RFC 6052 §3.1: such an address must not stand for one that is not global.
    """
    return special_range(IPv4Address(int(address) & 0xFFFF_FFFF)) is None


def _is_isatap(address: IPv6Address) -> bool:
    # RFC 5214 §6.1: the interface identifier is 000000ug00000000 5EFE and the IPv4 address;
    # the bits u (universal) and g (group) may be either.
    return int(address) >> 32 & 0xFCFF_FFFF == 0x0000_5EFE


def _closed(network: str, what: str) -> SpecialRange:
    return SpecialRange(ip_network(network), what, is_private=False)


def _private(network: str, what: str) -> SpecialRange:
    return SpecialRange(ip_network(network), what, is_private=True)


# The IANA IPv4 and IPv6 Special-Purpose Address Registries, whatever their column "globally
# reachable" says (no web server lives in the few ranges where it says yes), multicast and
# reserved space. The first match counts, so what is narrower stands before what is wider.
#
# Clouds hand out credentials at fixed addresses. Those stay closed when the operator opens
# private networks, and so does all of link-local, where most of them live.
SPECIAL_RANGES: tuple[SpecialRange, ...] = (
    _closed("169.254.169.254/32", "a cloud metadata service (most clouds)"),
    _closed("100.100.100.200/32", "a cloud metadata service (Alibaba Cloud)"),
    _closed("168.63.129.16/32", "a cloud metadata service (Azure)"),
    _closed("0.0.0.0/8", "'this network' (RFC 791)"),
    _private("10.0.0.0/8", "in a private network (RFC 1918)"),
    _private("100.64.0.0/10", "in a carrier's shared network (RFC 6598)"),
    _private("127.0.0.0/8", "a loopback address (RFC 1122)"),
    _closed("169.254.0.0/16", "a link-local address (RFC 3927)"),
    _private("172.16.0.0/12", "in a private network (RFC 1918)"),
    _closed("192.0.0.0/24", "set aside for protocols (RFC 6890)"),
    _closed("192.0.2.0/24", "for documentation only (RFC 5737)"),
    _closed("192.31.196.0/24", "an AS112 name server (RFC 7535)"),
    _closed("192.52.193.0/24", "a multicast tunnel relay (RFC 7450)"),
    _closed("192.88.99.0/24", "a 6to4 relay (RFC 7526)"),
    _private("192.168.0.0/16", "in a private network (RFC 1918)"),
    _closed("192.175.48.0/24", "an AS112 name server (RFC 7534)"),
    _closed("198.18.0.0/15", "for benchmarks only (RFC 2544)"),
    _closed("198.51.100.0/24", "for documentation only (RFC 5737)"),
    _closed("203.0.113.0/24", "for documentation only (RFC 5737)"),
    _closed("224.0.0.0/4", "a multicast address (RFC 5771)"),
    _closed("255.255.255.255/32", "the broadcast address (RFC 919)"),
    _closed("240.0.0.0/4", "reserved (RFC 1112)"),
    _closed("fd00:ec2::/32", "a cloud metadata service (Amazon)"),
    _closed("fd20:ce::254/128", "a cloud metadata service (Google)"),
    _closed("fd00:c1::a9fe:a9fe/128", "a cloud metadata service (Oracle)"),
    _closed("fd00:42::42/128", "a cloud metadata service (Scaleway)"),
    _closed("fd00:a9fe:a9fe::1/128", "a cloud metadata service (Linode)"),
    _closed("::/128", "the unspecified address (RFC 4291)"),
    _private("::1/128", "a loopback address (RFC 4291)"),
    _closed("::/96", "an IPv4-compatible address (RFC 4291)"),
    _closed("::ffff:0:0/96", "an IPv4-mapped address (RFC 4291)"),
    _closed("::ffff:0:0:0/96", "an IPv4-translated address (RFC 2765)"),
    # Around a public IPv4 address it is open; see `special_range`.
    _closed("64:ff9b::/96", "a NAT64 address around an IPv4 one that is not public (RFC 6052)"),
    # RFC 8215 §3.1: where such a prefix leads is for each network to say.
    _closed("64:ff9b:1::/48", "a local NAT64 address around an IPv4 one (RFC 8215)"),
    _closed("100::/64", "for discarding only (RFC 6666)"),
    _closed("100:0:0:1::/64", "a dummy prefix (RFC 9780)"),
    _closed("2001::/32", "a Teredo address around an IPv4 one (RFC 4380)"),
    _closed("2001::/23", "set aside for protocols (RFC 2928)"),
    _closed("2001:db8::/32", "for documentation only (RFC 3849)"),
    _closed("2002::/16", "a 6to4 address around an IPv4 one (RFC 3056)"),
    _closed("2620:4f:8000::/48", "an AS112 name server (RFC 7534)"),
    _closed("3fff::/20", "for documentation only (RFC 9637)"),
    _closed("5f00::/16", "a segment routing identifier (RFC 9602)"),
    _private("fc00::/7", "in a private network (RFC 4193)"),
    _closed("fe80::/10", "a link-local address (RFC 4291)"),
    _closed("fec0::/10", "a site-local address (RFC 3879)"),
    _closed("ff00::/8", "a multicast address (RFC 4291)"),
    # RFC 4291 §2.4 and IANA: only 2000::/3 is handed out as global unicast.
    _closed("::/3", "outside global unicast, 2000::/3 (RFC 4291)"),
    _closed("4000::/2", "outside global unicast, 2000::/3 (RFC 4291)"),
    _closed("8000::/1", "outside global unicast, 2000::/3 (RFC 4291)"),
)

# Not in the table: told by the interface identifier, in any network.
_ISATAP = _closed("::/0", "an ISATAP address around an IPv4 one (RFC 5214)")
