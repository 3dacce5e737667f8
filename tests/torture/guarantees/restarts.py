"""Restarts under a service manager that holds the port: no connection is refused, none is lost.

Creates arrive at a steady rate, whether booper runs or not. Half of the clients keep their
connection, the others take a new one for each create. One that is cut before any byte of its
response is sent again with the same idempotency key; nothing else is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from booper.clock import SystemClock
from tests.support.processes import database_copy, monotonic
from tests.support.service_manager import KEY, ServiceManager, managing
from tests.torture.line import Line, Size, line

CLIENTS = 200
TICKS_PER_SECOND = 50
SETTLE_SECONDS = 0.5
"""How long booper runs before its first restart, and between two of them."""

MIN_PART_OF_RATE = 0.95


@dataclass
class Record:
    """What became of the creates, by their number."""

    created: dict[int, int] = field(default_factory=dict)
    posted: int = 0
    refused: int = 0
    cut: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def measure(size: Size) -> Line:
    """Restart ten times under 1,000 creates a second (in short once under 200)."""
    restarts, rate = size.pick(10, 1), size.pick(1_000, 200)
    record, faults = tried(restarts, rate, passes=True)
    reached = record.posted / record.seconds
    if size is Size.LONG and reached < rate * MIN_PART_OF_RATE:
        faults.append("fewer creates than meant")
    figure = (
        f"{restarts} restarts, {record.posted} creates at {reached:.0f} a second: "
        f"{record.refused} refused, {record.cut} cut before any byte and sent again"
    )
    return line("restarts", figure, faults)


def tried(restarts: int, rate: int, *, passes: bool) -> tuple[Record, list[str]]:
    """Restart under load, with the port passed or not; return what came of it, and the faults."""
    with TemporaryDirectory() as name, managing(Path(name), passes=passes) as manager:
        manager.start()
        record = asyncio.run(_restarted(manager, restarts, rate))
        manager.stop()
        kept = _kept(manager.folder)
    faults = record.faults[:]
    if record.refused:
        faults.append(f"{record.refused} connections refused")
    numbers = range(record.posted)
    faults += [f"{n} has no response" for n in numbers if n not in record.created]
    faults += [f"{n} is lost" for n, job in record.created.items() if kept.get(n) != [job]]
    faults += [f"{n} was made and not asked for" for n in kept if n not in numbers]
    return record, faults


async def _restarted(manager: ServiceManager, restarts: int, rate: int) -> Record:
    record, due = Record(), asyncio.Queue[int | None]()
    clients = [
        asyncio.create_task(_client(manager.port, due, record, keeps=bool(number % 2)))
        for number in range(CLIENTS)
    ]
    begun = monotonic()
    posting = asyncio.create_task(_post(due, record, rate))
    clock = SystemClock()
    for _ in range(restarts):
        await clock.pause(timedelta(seconds=SETTLE_SECONDS))
        await asyncio.to_thread(manager.stop)
        await asyncio.to_thread(manager.start)
    await clock.pause(timedelta(seconds=SETTLE_SECONDS))
    posting.cancel()
    record.seconds = monotonic() - begun
    for _ in clients:
        due.put_nowait(None)
    await asyncio.gather(*clients)
    return record


async def _post(due: asyncio.Queue[int | None], record: Record, rate: int) -> None:
    """Make creates fall due at a rate, by a grid that does not wait for anything."""
    begun, clock = monotonic(), SystemClock()
    while True:
        while record.posted < (monotonic() - begun) * rate:
            due.put_nowait(record.posted)
            record.posted += 1
        await clock.pause(timedelta(seconds=1 / TICKS_PER_SECOND))


async def _client(
    port: int, due: asyncio.Queue[int | None], record: Record, *, keeps: bool
) -> None:
    """Post what is due, one after the other, until there is no more."""
    number = await due.get()
    while number is not None:
        try:
            async with _connection(port) as (reader, writer):
                while number is not None:
                    await _create(number, reader, writer, record)
                    number = await due.get()
                    if not keeps:
                        break
        except ConnectionRefusedError:
            record.refused += 1
            return
        except _Cut:
            record.cut += 1
        except ConnectionError as error:
            record.faults.append(f"{number}: {error!r}")
            return


class _Cut(Exception):
    """A connection has ended before any byte of a response."""


@asynccontextmanager
async def _connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _create(
    number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: Record
) -> None:
    """Post a create and note its job. Raises: _Cut, ConnectionError."""
    body = (
        f'{{"url": "https://target.example/{number}", "idempotency_key": "{number}", '
        '"schedule_in": [1, "hour"]}'
    )
    try:
        writer.write(
            (
                f"POST /api/jobs HTTP/1.1\r\nHost: booper\r\nAuthorization: Bearer {KEY}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
        first = await reader.read(1)
    except ConnectionError as error:
        raise _Cut from error
    if not first:
        raise _Cut
    try:
        head = first + await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        response = await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("a response was cut off") from error
    if head.split(b" ")[1] in (b"200", b"201"):
        record.created[number] = int(response.partition(b'"job_id":')[2].split(b",")[0])
    else:
        record.faults.append(f"{number}: {head.splitlines()[0]!r}")


def _kept(folder: Path) -> dict[int, list[int]]:
    """Return the jobs in the database by the number in their idempotency key."""
    kept: dict[int, list[int]] = {}
    with database_copy(folder) as connection:
        for key, job in connection.execute("SELECT idempotency_key, id FROM jobs"):
            kept.setdefault(int(key), []).append(job)
    return kept
