"""Connecting to several addresses (RFC 8305): order, stagger, and what becomes of the losers."""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from booper.guard.target import parse_target
from booper.http.body import read_body
from booper.http.client import SocketClient
from booper.http.errors import ConnectError
from booper.http.racing import NothingConnected, first_connected, interleaved
from tests.support.http_server import answering, serve

pytestmark = pytest.mark.anyio

LONG_SECONDS = 1000.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("4a", "4a"),
        ("4a 4b 4c", "4a 4b 4c"),
        ("6a 6b 4a 4b", "6a 4a 6b 4b"),
        ("4a 4b 6a 6b", "4a 6a 4b 6b"),
        ("6a 6b 6c 4a", "6a 4a 6b 6c"),
        ("6a 4a 4b 4c", "6a 4a 4b 4c"),
        ("6a 4a 6b", "6a 4a 6b"),
    ],
)
def test_families_take_turns(given: str, expected: str) -> None:
    """The first address is the resolver's; then both families by turns (RFC 8305 §4)."""

    def spelled(names: str) -> list[str]:
        return [f"::{n[1]}" if n[0] == "6" else f"192.0.2.{ord(n[1])}" for n in names.split()]

    assert interleaved(spelled(given)) == spelled(expected)


class Attempts:
    """Attempts to connect, each of which ends when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.discarded: list[str] = []
        self.news = asyncio.Event()
        self._ends: dict[str, asyncio.Future[str]] = {}

    async def connect(self, address: str) -> str:
        """Wait until the test ends this attempt."""
        self.begun.append(address)
        self.news.set()
        self._ends[address] = asyncio.get_running_loop().create_future()
        try:
            return await self._ends[address]
        except asyncio.CancelledError:
            self.cancelled.append(address)
            raise

    def succeed(self, address: str) -> None:
        """Connect an attempt."""
        self._ends[address].set_result(address)

    def fail(self, address: str) -> None:
        """Fail an attempt."""
        self._ends[address].set_exception(ConnectionRefusedError(address))

    async def until(self, count: int) -> None:
        """Wait until so many attempts have begun."""
        while len(self.begun) < count:
            self.news.clear()
            await self.news.wait()


async def turns(count: int) -> None:
    """Run the loop."""
    for _ in range(count):
        gone = asyncio.Event()
        asyncio.get_running_loop().call_soon(gone.set)
        await gone.wait()


def race(
    attempts: Attempts, addresses: Sequence[str], stagger_seconds: float
) -> "asyncio.Task[str]":
    """Begin a race."""
    return asyncio.create_task(
        first_connected(addresses, attempts.connect, attempts.discarded.append, stagger_seconds)
    )


async def test_the_first_that_connects_wins() -> None:
    """Attempts that hang do not keep the next from beginning; the losers are cancelled."""
    attempts = Attempts()
    async with asyncio.timeout(5):
        racing = race(attempts, ["a", "b", "c"], 0)
        await attempts.until(3)
        attempts.succeed("b")
        assert await racing == "b"
        await turns(2)
    assert (attempts.begun, attempts.cancelled) == (["a", "b", "c"], ["a", "c"])
    assert attempts.discarded == []


async def test_an_attempt_has_a_while_for_itself() -> None:
    """The second address is not asked before the first was given its time."""
    attempts = Attempts()
    async with asyncio.timeout(5):
        racing = race(attempts, ["a", "b"], LONG_SECONDS)
        await attempts.until(1)
        attempts.succeed("a")
        assert await racing == "a"
    assert attempts.begun == ["a"]


async def test_a_failure_lets_the_next_begin_at_once() -> None:
    """Nobody waits for the time of an attempt that is over (RFC 8305 §5)."""
    attempts = Attempts()
    async with asyncio.timeout(5):
        racing = race(attempts, ["a", "b", "c"], LONG_SECONDS)
        await attempts.until(1)
        attempts.fail("a")
        await attempts.until(2)
        attempts.fail("b")
        await attempts.until(3)
        attempts.succeed("c")
        assert await racing == "c"


async def test_two_winners_are_one() -> None:
    """Of two that connect at the same moment the earlier attempt is kept, the other discarded."""
    attempts = Attempts()
    async with asyncio.timeout(5):
        racing = race(attempts, ["a", "b"], 0)
        await attempts.until(2)
        attempts.succeed("b")
        attempts.succeed("a")
        assert await racing == "a"
        await turns(2)
    assert attempts.discarded == ["b"]


@pytest.mark.parametrize("addresses", [["a"], ["a", "b"]])
async def test_all_failures_are_told(addresses: list[str]) -> None:
    """With their addresses, in the order in which they came."""
    attempts = Attempts()
    async with asyncio.timeout(5):
        racing = race(attempts, addresses, LONG_SECONDS)
        for count, address in enumerate(addresses, 1):
            await attempts.until(count)
            attempts.fail(address)
        with pytest.raises(NothingConnected) as caught:
            await racing
    assert [(address, str(error)) for address, error in caught.value.failures] == [
        (address, address) for address in addresses
    ]


async def test_a_race_that_is_given_up_gives_up_its_attempts() -> None:
    """A deadline ends all of them."""
    attempts = Attempts()
    async with asyncio.timeout(5):
        racing = race(attempts, ["a", "b"], 0)
        await attempts.until(2)
        racing.cancel()
        await asyncio.wait({racing})
        await turns(2)
    assert attempts.cancelled == ["a", "b"]


# --- over sockets ---------------------------------------------------------------------------------


@contextmanager
def hanging(*hosts: str, port: int) -> Iterator[None]:
    """Hang connections to some addresses of this machine, as dropped packets do.

    The queue of a socket that nobody accepts from is filled: Linux then drops what else comes.
    """
    with ExitStack() as stack:
        for host in hosts:
            listener = stack.enter_context(socket.socket())
            listener.bind((host, port))
            listener.listen(0)
            for _ in range(4):
                caller = stack.enter_context(socket.socket())
                caller.setblocking(False)
                caller.connect_ex((host, port))
        yield


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.2", "127.0.0.1"],
        ["127.0.0.2", "127.0.0.3", "127.0.0.1"],
        ["127.0.0.4", "127.0.0.2", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.2"],
    ],
    ids=["one hangs", "two hang", "one refuses and one hangs", "the second hangs"],
)
async def test_an_address_that_hangs_does_not_hide_a_healthy_one(addresses: list[str]) -> None:
    """The request arrives well within the time for which the first address would hang."""

    async def vetted() -> Sequence[str]:
        return addresses

    client = SocketClient(stagger_seconds=0.01)
    async with serve(answering(OK)) as server, asyncio.timeout(5):
        with hanging("127.0.0.2", "127.0.0.3", port=server.port):
            target = parse_target(server.url(host="target.example"))
            response = await client.send("GET", target, (), b"", vetted)
            assert (await read_body(response.stream, 10)).content == b"ok"
    await client.aclose()


async def test_addresses_that_all_refuse_are_a_connect_error() -> None:
    """The reason is that of the last one, without its address."""

    async def vetted() -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.3"]

    client = SocketClient()
    async with serve(answering(OK)) as server, asyncio.timeout(5):
        target = parse_target(server.url(host="target.example"))
        with pytest.raises(ConnectError, match=r"^cannot connect to target\.example: ") as caught:
            await client.send("GET", target, (), b"", vetted)
    assert "127.0.0" not in str(caught.value)
