"""What sending costs without a scheduler: the same requests, 64 in flight, no store.

Runs as a process of its own: `python -m tests.benchmarks.senders KIND URL COUNT`.
"""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta

import aiohttp
import uvloop

from booper.engine.delivery import Delivery
from booper.guard.policy import Guard
from booper.guard.target import parse_target
from booper.http.body import read_body
from booper.http.client import SocketClient
from booper.model.job import Request, Responded
from tests.benchmarks.jobs import PAYLOAD, fill_in, microseconds
from tests.benchmarks.load import PROCESS_SECONDS

IN_FLIGHT = 64

Send = Callable[[str], Awaitable[int]]


def run(kind: str, url: str, count: int) -> int:
    """Send from a process of its own; return when it began, in microseconds since 1970."""
    command = [sys.executable, "-m", "tests.benchmarks.senders", kind, url, str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=PROCESS_SECONDS, check=True)
    return int(done.stdout)


async def _aiohttp(url: str, stack: AsyncExitStack) -> Send:
    """A bare client loop over aiohttp, as anybody would write it."""
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))

    async def send(body: str) -> int:
        async with session.post(url, data=body) as response:
            await response.read()
            return response.status

    return send


async def _transport(url: str, stack: AsyncExitStack) -> Send:
    """booper's client alone."""
    client = await stack.enter_async_context(aclosing(SocketClient(max_idle_per_origin=IN_FLIGHT)))
    target = parse_target(url)

    async def addresses() -> list[str]:
        return ["127.0.0.1"]

    async def send(body: str) -> int:
        response = await client.send("POST", target, (), body.encode(), addresses)
        await read_body(response.stream, 1 << 18)
        return response.status

    return send


async def _delivery(url: str, stack: AsyncExitStack) -> Send:
    """booper's delivery: the guard, the deadline and the size limit around its client."""
    client = await stack.enter_async_context(aclosing(SocketClient(max_idle_per_origin=IN_FLIGHT)))
    guard = Guard(require_https=False, allow_private_networks=False, allow=["127.0.0.1"], own=())
    delivery = Delivery(client, guard, 1 << 18)

    async def send(body: str) -> int:
        outcome = await delivery.send(
            Request("POST", url, {}, body.encode(), {}, {}), timedelta(seconds=30)
        )
        assert isinstance(outcome, Responded)
        return outcome.response.status

    return send


KINDS = {"aiohttp": _aiohttp, "transport": _transport, "delivery": _delivery}


async def _main(kind: str, url: str, count: int) -> None:
    due = microseconds()
    bodies = [fill_in(PAYLOAD, number, due) for number in range(count)]

    async def work(send: Send) -> None:
        while bodies:
            assert await send(bodies.pop()) == 200

    async with AsyncExitStack() as stack:
        send = await KINDS[kind](url, stack)
        began = microseconds()
        await asyncio.gather(*(work(send) for _ in range(IN_FLIGHT)))
        print(began)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
