"""What runs in Procrastinate's environment; knows nothing of the rest.

`procrastinate_tasks.py DATABASE TARGET prepare` makes its tables, `... work IN_FLIGHT` works, and
`... enqueue COUNT DUE STEP` prints the seconds that it took.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import aiohttp
from procrastinate import (  # type: ignore[import-not-found]  # of another environment
    App,
    PsycopgConnector,
)

DATABASE, TARGET = sys.argv[1:3]
POLLING_SECONDS = 0.1
CHUNK = 1_000

app = App(connector=PsycopgConnector(conninfo=DATABASE))
sessions = list[aiohttp.ClientSession]()


@app.task(name="post")  # type: ignore[untyped-decorator]  # of another environment
async def post(number: int, due: int) -> None:
    """Post a body to the target."""
    body = {"number": number, "due": due, "content": "Hello, this is your reminder."}
    async with sessions[0].post(TARGET, json=body) as response:
        await response.read()
        assert response.status == 200


async def prepare() -> None:
    """Make its tables."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
    print(0)


async def work(in_flight: int) -> None:
    """Work until told to stop."""
    connections = aiohttp.TCPConnector(limit=in_flight)
    async with app.open_async(), aiohttp.ClientSession(connector=connections) as session:
        sessions.append(session)
        print("ready", flush=True)
        await app.run_worker_async(
            concurrency=in_flight, fetch_job_polling_interval=POLLING_SECONDS
        )


async def enqueue(count: int, due: int, step: int) -> None:
    """Enqueue, a thousand by one statement where all are due at once."""
    size = 1 if step else CHUNK
    async with app.open_async():
        began = perf_counter()
        for first in range(0, count, size):
            at = datetime.fromtimestamp((due + first * step) / 1e6, UTC)
            numbers = range(first, min(first + size, count))
            await post.configure(schedule_at=at).batch_defer_async(
                *({"number": number, "due": due + number * step} for number in numbers)
            )
        print(perf_counter() - began)


if __name__ == "__main__":
    role, *rest = sys.argv[3:]
    roles: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        "prepare": prepare,
        "work": work,
        "enqueue": enqueue,
    }
    asyncio.run(roles[role](*map(int, rest)))
