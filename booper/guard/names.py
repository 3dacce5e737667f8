"""Reading the host of a URL into its one normal form: a name, or an IP address.

Any name that a resolver can look up is valid. It looks up no name and judges no address.
"""

import re
import socket
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

from booper.errors import MalformedURL, TargetRefused
from booper.guard.addresses import Address

MAX_HOST_LENGTH = 253  # RFC 1035 §2.3.4: 255 octets on the wire
MAX_LABEL_LENGTH = 63

# RFC 1123 §2.1, and the underscore that names in the wild have.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_A_LABEL = "xn--"


def normal_host(raw: str) -> str:
    """Return a host's normal form.

    Raises:
        MalformedURL: it is neither a name that DNS can have nor an IP address.
        TargetRefused: parsers read it differently.
    """
    if not raw:
        raise MalformedURL("url must name a host, such as https://example.com/")
    if "%" in raw:
        raise TargetRefused(
            f"host must not contain a percent sign (an escape or a zone id), got {shown(raw)}"
        )
    if raw.startswith("["):
        return _ipv6_literal(raw)
    host = raw.lower() if raw.isascii() else _to_ascii(raw)
    if _is_numeric(host):
        return _ipv4_literal(host)
    host = host.removesuffix(".")
    _check_name(host)
    return host


def ip_literal(host: str) -> Address | None:
    """Return the address that a host in normal form spells out, or None for a name."""
    if ":" in host:
        return IPv6Address(host)
    return IPv4Address(host) if _is_numeric(host) else None


def shown(value: str) -> str:
    """Return `value` quoted for a message, cut where it gets too long to read."""
    return repr(value) if len(value) <= 80 else f"{value[:80]!r}…"


def _ipv6_literal(raw: str) -> str:
    try:
        return str(IPv6Address(raw[1:-1]))
    except AddressValueError:
        raise MalformedURL(
            f"brackets must hold an IPv6 address, such as [2606:4700::1], got {shown(raw)}"
        ) from None


def _to_ascii(raw: str) -> str:
    # The mapping of UTS 46 turns fullwidth digits, letters and dots into ASCII, so what comes
    # out is vetted like any other host. Characters that map to nothing cannot make a name
    # shorter than its spelling, but the codec would have to chew through them first.
    if len(raw) > MAX_HOST_LENGTH:
        raise MalformedURL(_too_long(raw))
    try:
        mapped = idna.uts46_remap(raw, std3_rules=False, transitional=False)
        if not mapped:
            raise idna.IDNAError("nothing is left of it")
        return ".".join(map(_label_to_ascii, mapped.split(".")))
    except idna.IDNAError as error:
        raise MalformedURL(
            f"host must be a valid international name (IDNA 2008), got {shown(raw)}: {error}"
        ) from None


def _label_to_ascii(label: str) -> str:
    """Return a label's A-label; one that is ASCII may have underscores, and stays."""
    if not label.isascii():
        return idna.alabel(label).decode("ascii")
    if label and not _LABEL.fullmatch(label):
        raise idna.IDNAError(f"{label!r} is no label")
    return label


def _is_numeric(host: str) -> bool:
    # WHATWG URL, "ends in a number": inet_aton reads such hosts as IPv4, whatever comes before.
    last = host.removesuffix(".").rpartition(".")[2]
    return last.isdecimal() or last.startswith("0x")


def _ipv4_literal(host: str) -> str:
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        raise TargetRefused(
            f"host {shown(host)} looks like {_as_inet_aton_reads(host)}; "
            "an IPv4 address must be four decimal numbers, such as 192.0.2.1"
        ) from None


def _as_inet_aton_reads(host: str) -> str:
    try:
        return f"the IPv4 address {socket.inet_ntoa(socket.inet_aton(host.removesuffix('.')))}"
    except OSError:
        return "an IPv4 address in an unusual spelling"


def _check_name(host: str) -> None:
    if len(host) > MAX_HOST_LENGTH:
        raise MalformedURL(_too_long(host))
    for label in host.split("."):
        if not label:
            raise MalformedURL(f"host must not have an empty label, got {shown(host)}")
        if len(label) > MAX_LABEL_LENGTH:
            raise MalformedURL(
                f"a label of the host must have at most {MAX_LABEL_LENGTH} characters, "
                f"got {len(label)}: {shown(label)}"
            )
        if not _LABEL.fullmatch(label):
            raise MalformedURL(
                "a label of the host must be letters, digits, underscores and inner hyphens, "
                f"got {shown(label)}"
            )
        if label.startswith(_A_LABEL):
            _check_a_label(label)


def _check_a_label(label: str) -> None:
    """Check that a label is the Punycode of a valid label (UTS 46 §4.1).

    IDNA 2008 would exclude names that are registered and resolve, such as those with symbols.
    """
    try:
        decoded = label.removeprefix(_A_LABEL).encode().decode("punycode")
        mapped = idna.uts46_remap(decoded, std3_rules=False, transitional=False)
    except (UnicodeError, idna.IDNAError):
        decoded = mapped = ""
    if not decoded or decoded.isascii() or mapped != decoded:
        raise MalformedURL(
            f"host must be a valid international name (IDNA 2008 or UTS 46), got {shown(label)}"
        )


def _too_long(host: str) -> str:
    return f"host must have at most {MAX_HOST_LENGTH} characters, got {len(host)}: {shown(host)}"
