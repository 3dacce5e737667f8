"""The target of a simulated year: it fails by the script, and writes down each request.

The record is a file, so that it takes no memory of the process that is looked at.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import httpx

from booper.clock import VirtualClock
from tests.torture.year.script import DEAD, Course, fate

GONE = 0
"""The status of a request that had no response."""


class Received(NamedTuple):
    """A request as it was written down: a path's kind and number, and what came of it."""

    kind: str
    number: int
    attempt: int
    planned: datetime
    at: datetime
    status: int


class Sink(httpx.AsyncBaseTransport):
    """What all requests of a year go to."""

    def __init__(self, course: Course, clock: VirtualClock, record: Path) -> None:
        self._course = course
        self._clock = clock
        self._file = record.open("w")
        self.count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Write a request down and respond as the script has it."""
        _, kind, number = request.url.path.split("/")
        attempt, at = int(request.headers["booper-attempt"]), self._clock.now()
        is_dead = request.url.host == DEAD and self._course.is_in([self._course.dead], at)
        failure: httpx.Response | Exception | None
        if is_dead:
            failure = httpx.ConnectError("refused")
        else:
            failure = fate(int(number), attempt) if kind == "one" else None
        response = failure or httpx.Response(200, text=self._text(int(number), at))
        self._write(kind, number, attempt, request.headers["booper-scheduled-at"], at, response)
        if isinstance(response, Exception):
            raise response
        return response

    async def aclose(self) -> None:
        """Close the record."""
        self._file.close()

    def _text(self, number: int, at: datetime) -> str:
        day = (at - self._course.start).days
        return f"{number} ".ljust(self._course.answer_bytes(day), ".")

    def _write(
        self,
        kind: str,
        number: str,
        attempt: int,
        planned: str,
        at: datetime,
        response: httpx.Response | Exception,
    ) -> None:
        status = response.status_code if isinstance(response, httpx.Response) else GONE
        self._file.write(f"{kind} {number} {attempt} {planned} {at.isoformat()} {status}\n")
        self.count += 1


def read_record(record: Path) -> Iterator[Received]:
    """Yield each request of a record, in order."""
    with record.open() as file:
        for line in file:
            kind, number, attempt, planned, at, status = line.split()
            yield Received(
                kind,
                int(number),
                int(attempt),
                datetime.fromisoformat(planned),
                datetime.fromisoformat(at),
                int(status),
            )
