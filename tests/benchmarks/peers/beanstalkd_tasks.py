"""The processes beside beanstalkd: a worker on aiohttp, and a client that enqueues.

`beanstalkd_tasks work PORT URL IN_FLIGHT`, `beanstalkd_tasks enqueue PORT COUNT IN_FLIGHT DUE STEP`
(prints the seconds that it took).
"""

import asyncio
import sys
from time import perf_counter

import aiohttp
import uvloop

from tests.benchmarks.jobs import PAYLOAD, fill_in, microseconds

LOCAL = "127.0.0.1"
SECOND = 1_000_000


async def _work(port: int, url: str, in_flight: int) -> None:
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def take() -> None:
            reader, writer = await asyncio.open_connection(LOCAL, port)
            while True:
                writer.write(b"reserve\r\n")
                _, job, size = (await reader.readline()).split()
                body = (await reader.readexactly(int(size) + 2))[:-2]
                async with session.post(url, data=body) as response:
                    await response.read()
                    assert response.status == 200
                writer.write(b"delete %b\r\n" % job)
                assert await reader.readline() == b"DELETED\r\n"

        print("ready", flush=True)
        await asyncio.gather(*(take() for _ in range(in_flight)))


async def _enqueue(port: int, count: int, in_flight: int, due: int, step: int) -> None:
    waiting = iter(range(count))

    async def put(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in waiting:
            at = due + number * step
            body = fill_in(PAYLOAD, number, at).encode()
            # One instant is kept by the tube, which the jobs must have reached by then.
            early = 0.0 if step == 0 else 0.5
            delay = max(0, int((at - microseconds()) / SECOND + early))
            writer.write(b"put 0 %d 60 %d\r\n%b\r\n" % (delay, len(body), body))
            assert (await reader.readline()).startswith(b"INSERTED")

    streams = [await asyncio.open_connection(LOCAL, port) for _ in range(in_flight)]
    if step == 0:
        await _pause(*streams[0], due)
    began = perf_counter()
    await asyncio.gather(*(put(reader, writer) for reader, writer in streams))
    print(perf_counter() - began)


async def _pause(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, due: int) -> None:
    """Send no job before an instant, which must be whole seconds away when this is called."""
    wait = due - microseconds()
    if wait > SECOND:
        await asyncio.sleep(wait % SECOND / SECOND)
        writer.write(b"pause-tube default %d\r\n" % (wait // SECOND))
        assert await reader.readline() == b"PAUSED\r\n"


if __name__ == "__main__":
    _, role, its_port, *rest = sys.argv
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if role == "work":
            runner.run(_work(int(its_port), rest[0], int(rest[1])))
        else:
            runner.run(_enqueue(int(its_port), *(int(text) for text in rest)))
