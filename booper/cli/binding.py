"""Sockets that are listened on: one for each address that was asked for."""

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from booper.cli.addresses import authority
from booper.errors import StartError
from booper.first_key import Address

BACKLOG: Final = 2048

# With port 0 the system chooses for the first address; the others may have that one taken.
_MAX_TRIES: Final = 10

_IPV4, _IPV6 = "0.0.0.0", "::"


@contextmanager
def bound(hosts: Sequence[str], port: int) -> Iterator[list[socket.socket]]:
    """Listen on addresses until the end of the block, on the same port of each.

    `::` is every address of both families, where the system has IPv6. A name is all addresses that
    it has on this machine.

    Raises:
        StartError: one of them cannot be listened on.
    """
    with ExitStack() as stack:
        sockets = _bind_all(hosts, port)
        for each in sockets:
            stack.enter_context(each)
        yield sockets


def bound_addresses(sockets: Sequence[socket.socket]) -> list[Address]:
    """Return where sockets listen; one that serves both families is reached at `0.0.0.0` too."""
    found: list[Address] = []
    for each in sockets:
        host, port = each.getsockname()[:2]
        found.append((host, port))
        if host == _IPV6 and not each.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            found.append((_IPV4, port))
    return found


def without_covered(hosts: Sequence[str]) -> list[str]:
    """Return the addresses without those that another one includes and keeps from being bound."""
    plain = list(dict.fromkeys(host.removeprefix("[").removesuffix("]") for host in hosts))
    if _IPV6 in plain:
        return [_IPV6]
    if _IPV4 in plain:
        return [_IPV4, *(host for host in plain if ":" in host)]
    return plain


def _bind_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    for tries_left in reversed(range(_MAX_TRIES)):
        sockets: list[socket.socket] = []
        try:
            for host in without_covered(hosts):
                chosen = port or (sockets[0].getsockname()[1] if sockets else 0)
                sockets += _bind(host, chosen)
        except BaseException as error:
            for each in sockets:
                each.close()
            is_by_chance = port == 0 and len(sockets) > 0 and isinstance(error, StartError)
            if not (is_by_chance and tries_left):
                raise
        else:
            return sockets
    raise AssertionError("the last try returns or raises")


def _bind(host: str, port: int) -> list[socket.socket]:
    """Listen on the addresses of a host. Raises: StartError."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in _resolved(host, port):
            try:
                sockets.append(_listen(family, (address[0], port or _port_of(sockets))))
            except OSError as error:
                # Names such as localhost are often given addresses that the machine lacks.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if not sockets and missing is not None:
            raise missing
    except (OSError, UnicodeError) as error:
        for each in sockets:
            each.close()
        raise StartError(
            f"cannot listen on {authority(host, port)}: {_reason(host, error)}"
        ) from error
    return sockets


def _resolved(host: str, port: int) -> list[tuple[int, Address]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((int(each[0]), (str(each[4][0]), port)) for each in found))


def _port_of(sockets: Sequence[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1]) if sockets else 0


def _listen(family: int, address: Address) -> socket.socket:
    is_both = family == socket.AF_INET6 and address[0] == _IPV6
    return socket.create_server(
        address,
        family=socket.AddressFamily(family),
        backlog=BACKLOG,
        dualstack_ipv6=is_both and socket.has_dualstack_ipv6(),
    )


def _reason(host: str, error: OSError | UnicodeError) -> str:
    """Return why an address cannot be listened on, and what to do where that is known."""
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return "something listens there already; --port chooses another, 0 any free one"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT if ":" in host:
            return "this machine has no such IPv6 address; --host 0.0.0.0 is all of IPv4"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; --host chooses another"
        case _:
            reason = getattr(error, "strerror", None) or str(error)
            return f"{reason}; --host names an address of this machine, such as 127.0.0.1"
