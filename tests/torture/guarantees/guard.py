"""Requests go to public addresses only, however another one is written or resolved."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from random import Random

from booper.engine.headers import check_header
from booper.errors import TargetRefused
from booper.guard.addresses import SPECIAL_RANGES
from tests.guard.test_policy import Resolver, guard, verdict
from tests.support.guard_corpus import ACCEPTED, REFUSED
from tests.torture.line import Line, Size, line

PUBLIC = "8.8.8.8"
NAT64 = IPv6Network("64:ff9b::/96")

SPELLINGS: tuple[Callable[[IPv4Address], str], ...] = (
    str,
    lambda address: f"{address}.",
    lambda address: f"user@{address}",
    lambda address: f"{PUBLIC}\\@{address}",
    lambda address: str(int(address)),
    lambda address: hex(int(address)),
    lambda address: f"0{int(address):o}",
    lambda address: ".".join(hex(byte) for byte in address.packed),
    lambda address: ".".join(f"0{byte:o}" for byte in address.packed),
    lambda address: f"{address.packed[0]}.{int(address) & 0xFF_FFFF}",
    lambda address: "".join(f"%{ord(character):02x}" for character in str(address)),
    lambda address: "".join(_full_width(character) for character in str(address)),
    lambda address: f"[::ffff:{address}]",
    lambda address: f"[::{address}]",
    lambda address: f"[64:ff9b::{address}]",
    lambda address: f"[{IPv6Address(0x2002 << 112 | int(address) << 80)}]",
)
"""Ways to write an IPv4 address as the host of a URL; one that is no public one is refused."""

FRAMING = ("Transfer-Encoding", "Content-Length", "Host", "Connection")
CONTROLS = [chr(code) for code in (*range(9), *range(10, 32), 127)]  # all but the tab


def measure(size: Size) -> Line:
    """Judge the corpus, 1,000 addresses of each special range (in short 10), and headers."""
    addresses = list(_special(size.pick(1_000, 10)))
    judged = Counter[str]()
    faults = [
        *_corpus(judged),
        *_spelled(addresses, judged),
        *asyncio.run(_resolved(addresses, judged)),
        *_headers(judged),
    ]
    figure = ", ".join(f"{count:,} {what}" for what, count in judged.items())
    return line("guard", figure, faults)


def _corpus(judged: Counter[str]) -> Iterator[str]:
    """Yield the rows of the corpus that are judged otherwise than it says."""
    judge = guard()
    for url, normal in ACCEPTED:
        judged["URLs accepted"] += 1
        if (said := verdict(judge, url)) != "ok" or judge.check(url).url != normal:
            yield f"{url!a}: {said}"
    for url, reason in REFUSED:
        judged["refused with the reason"] += 1
        if reason not in (said := verdict(judge, url)):
            yield f"{url!a}: {said}"


def _special(count: int) -> Iterator[IPv4Address | IPv6Address]:
    """Yield the first address of each special range, its last, and others between them."""
    random = Random(1)
    for special in SPECIAL_RANGES:
        first, last = special.network[0], special.network[-1]
        yield from (first, last)
        others = (type(first)(random.randint(int(first), int(last))) for _ in range(count - 2))
        yield from (address for address in others if not _leads_to_public(address))


def _leads_to_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether a NAT64 address has a public IPv4 one in it (RFC 6052 §2.2): it may pass."""
    return address in NAT64 and IPv4Address(int(address) & 0xFFFF_FFFF).is_global


def _spelled(addresses: list[IPv4Address | IPv6Address], judged: Counter[str]) -> Iterator[str]:
    """Yield the spellings of special addresses that are let through."""
    judge = guard()
    for address in addresses:
        for host in _hosts(address):
            judged["spellings of special addresses refused"] += 1
            if verdict(judge, f"https://{host}/") == "ok":
                yield f"{host!a} is accepted"


def _hosts(address: IPv4Address | IPv6Address) -> list[str]:
    if isinstance(address, IPv6Address):
        return [f"[{address}]", f"[{address.exploded}]", f"[{address}%25eth0]"]
    return [spelled(address) for spelled in SPELLINGS]


def _full_width(character: str) -> str:
    return chr(ord(character) + 0xFEE0)  # U+FF10 is the wide 0, as U+0030 is the plain one


async def _resolved(addresses: list[IPv4Address | IPv6Address], judged: Counter[str]) -> list[str]:
    """Return the addresses that get through beside a public one, behind a name that rebinds."""
    rounds = [response for address in addresses for response in ([PUBLIC], [PUBLIC, str(address)])]
    judge, faults = guard(resolve=Resolver(*rounds)), list[str]()
    target = judge.check("https://rebind.example/")
    for _ in addresses:
        await judge.addresses(target)
        try:
            faults.append(f"a name led to {await judge.addresses(target)}")
        except TargetRefused:
            judged["rebinding names refused"] += 1
    return faults


def _headers(judged: Counter[str]) -> Iterator[str]:
    """Yield the headers that could split or frame a message and pass all the same."""
    unsound = [
        *((name, "x") for name in (*FRAMING, *map(str.lower, FRAMING))),
        *((f"X{control}Y", "x") for control in (*CONTROLS, "\t")),
        *(("X-Name", f"x{control}y") for control in CONTROLS),
    ]
    for name, value in unsound:
        judged["unsound headers refused"] += 1
        with suppress(ValueError):
            check_header(name, value)
            yield f"{(name, value)!a} passes"
