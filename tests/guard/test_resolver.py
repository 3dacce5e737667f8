"""Looking names up: shared while it runs, and never in another name's way."""

import asyncio
import socket
import threading

import pytest

from booper.errors import Shortage
from booper.guard.resolver import Resolver

pytestmark = pytest.mark.anyio


class NameServer:
    """A resolver of the operating system that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.responses: dict[str, threading.Event] = {}

    def __call__(self, host: str, port: int) -> list[str]:
        """Answer one address, or fail for a name that begins with `no`."""
        self.asked.append(host)
        if host in self.responses:
            self.responses[host].wait(5)
        if host.startswith("no"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ["192.0.2.1", "192.0.2.1", "192.0.2.2"]


async def test_localhost_resolves_without_repeats() -> None:
    """The operating system's own response comes as texts, each address once."""
    addresses = await Resolver()("localhost", 80)
    assert "127.0.0.1" in addresses or "::1" in addresses
    assert len(addresses) == len(set(addresses))


async def test_a_name_without_addresses_is_an_os_error() -> None:
    """What the guard turns into a failed attempt."""
    with pytest.raises(OSError, match="Name or service not known"):
        await Resolver(NameServer())("no.test", 80)


async def test_names_whose_servers_are_dead_hold_up_no_other() -> None:
    """A hundred look-ups that hang leave the next one free to be answered."""
    server = NameServer()
    hanging = [f"dead{number}.test" for number in range(100)]
    server.responses = {host: threading.Event() for host in hanging}
    resolver = Resolver(server)
    stuck = [asyncio.create_task(resolver(host, 80)) for host in hanging]
    assert await resolver("alive.test", 80) == ("192.0.2.1", "192.0.2.2")
    for response in server.responses.values():
        response.set()
    assert len(await asyncio.gather(*stuck)) == 100


async def test_threads_are_bounded_and_some_are_kept_for_names_that_answered_before() -> None:
    """Two thousand new names hang: one known before is still answered, another new one is not."""
    server, release = NameServer(), threading.Event()
    hanging = [f"dead{number}.test" for number in range(2_000)]
    server.responses = dict.fromkeys(hanging, release)
    resolver = Resolver(server, max_threads=40, max_wait_seconds=0.05)
    await resolver("known.test", 80)
    before = threading.active_count()
    stuck = [asyncio.create_task(resolver(host, 80)) for host in hanging]
    assert await resolver("known.test", 80) == ("192.0.2.1", "192.0.2.2")
    assert threading.active_count() - before <= 31  # three quarters, and that one
    with pytest.raises(Shortage, match="30 look-ups of names hang"):
        await resolver("new.test", 80)
    release.set()
    outcomes = await asyncio.gather(*stuck, return_exceptions=True)
    assert [isinstance(outcome, tuple) for outcome in outcomes].count(True) == 30
    assert await resolver("new.test", 80) == ("192.0.2.1", "192.0.2.2")
    assert await resolver(hanging[-1], 80) == ("192.0.2.1", "192.0.2.2")


async def test_look_ups_wait_for_a_thread_in_turn() -> None:
    """A burst of more names than threads is answered, all of it, while their servers answer."""
    resolver = Resolver(NameServer(), max_threads=4)
    names = [f"name{number}.test" for number in range(200)]
    responses = await asyncio.gather(*(resolver(name, 80) for name in names))
    assert len(responses) == 200


async def test_those_who_ask_for_one_name_share_its_response() -> None:
    """While a look-up runs, no second one of the same name begins."""
    server = NameServer()
    server.responses = {"slow.test": threading.Event()}
    resolver = Resolver(server)
    asking = [asyncio.create_task(resolver("slow.test", 80)) for _ in range(10)]
    await resolver("other.test", 80)
    server.responses["slow.test"].set()
    await asyncio.gather(*asking)
    assert server.asked.count("slow.test") == 1


async def test_one_who_gives_up_does_not_spoil_it_for_the_others() -> None:
    """A cancelled attempt leaves the look-up to whoever else waits for it."""
    server = NameServer()
    server.responses = {"slow.test": threading.Event()}
    resolver = Resolver(server)
    first, second = (asyncio.create_task(resolver("slow.test", 80)) for _ in range(2))
    await resolver("other.test", 80)
    first.cancel()
    server.responses["slow.test"].set()
    assert await second == ("192.0.2.1", "192.0.2.2")
    assert first.cancelled()
