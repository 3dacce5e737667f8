"""A booper on a disk that fails, run behind the shim: `failing_disk FIRST STEP LAST`.

For each of these numbers two boopers live through it: one whose disk is full from that call on,
until there is space again, and one in which that call alone ends in an I/O error. Prints one fault
a line, the last line says how many were tried.
"""

import asyncio
import errno
import logging
import sqlite3
import sys
from collections import Counter
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import httpx

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Targets
from booper.errors import BooperError
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.target import FakeTarget
from tests.torture.shim import ALWAYS, Shim

CREATES = 20
RESUMES_WITHIN = 5
# How many commits follow each other, at most, from a due job's claim to its recorded result.
ROUNDS = 12
WRITTEN_WITHIN = 5.0  # seconds of real time, for the disk


class Witness(FakeTarget):
    """A target that asks the database, at each arrival, whether the request was claimed."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database = database
        self.unclaimed: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record a request and answer it."""
        number = request.headers["booper-job-id"]
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT state FROM jobs WHERE id = ?", (number,)).fetchone()
        if found != ("executing",):
            self.unclaimed.append(number)
        return await super().handle_async_request(request)


class Trial:
    """One booper, from its start to the look at what it leaves."""

    def __init__(self, folder: Path, shim: Shim) -> None:
        self._shim = shim
        self._database = folder / "booper.db"
        self._clock = VirtualClock(START)
        self._target = Witness(self._database)
        self._accepted: set[str] = set()
        self.faults: list[str] = []

    async def live(self, failing: tuple[int, int], number: int) -> None:
        """Fail those calls while jobs are created, sent and settled; then mend the disk."""
        async with (
            self.booper() as booper,
            Api(booper.asgi, KEY) as api,
        ):
            self._target.hold()
            await self._create(api)
            await self._target.arrived.wait()
            self._shim.fail(failing, number)
            await self._suffer(api)
            if self._shim.calls < failing[0]:
                self.faults.append(f"there were only {self._shim.calls} calls")
            self._shim.mend()
            await self._recover(api)
        self._look()

    def booper(self) -> Booper:
        """Return a booper on this trial's disk."""
        config = Config(
            database=Database(path=str(self._database)),
            targets=Targets(require_https=False, allow_private_networks=True),
        )
        return Booper(
            config, api_key=KEY, clock=self._clock, random=Random(1), transport=self._target
        )

    async def _suffer(self, api: Api) -> None:
        for _ in range(CREATES):
            await self._create(api)
            self._target.release()
            for path in ("/api/jobs", "/healthz"):
                response = await api.get(path)
                if response.status_code != 200:
                    self.faults.append(f"{path} answered {response.status_code}")

    async def _create(self, api: Api, **fields: object) -> None:
        response = await api.post("/api/jobs", json={"url": "https://target.test/", **fields})
        if response.status_code == 201 and not fields:
            self._accepted.add(str(response.json()["data"]["job_id"]))
        if response.status_code not in (201, 503, 507):
            self.faults.append(f"a create was answered with {response.status_code}")

    async def _recover(self, api: Api) -> None:
        """Wait five seconds; what waits to be written goes before each of these creates.

        One is refused at once while the loop cannot claim, so what is on its way is waited for.
        """
        for _ in range(RESUMES_WITHIN):
            self._clock.advance(timedelta(seconds=1))
            for _ in range(ROUNDS):
                await self._create(api, schedule_in=[1, "week"])
        with suppress(TimeoutError):
            async with asyncio.timeout(WRITTEN_WITHIN):
                while not self._accepted <= await self._completed(api):
                    await self._create(api, schedule_in=[1, "week"])

    async def _completed(self, api: Api) -> set[str]:
        response = await api.get("/api/jobs", params={"state": "completed", "limit": 100})
        return {str(job["job_id"]) for job in response.json()["data"]}

    def _look(self) -> None:
        with closing(sqlite3.connect(self._database)) as connection:
            whole = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            ended = {
                str(number)
                for (number,) in connection.execute(
                    "SELECT id FROM jobs WHERE state = 'completed' AND attempt = 1"
                )
            }
        sent = Counter(request.headers["booper-job-id"] for request in self._target.received)
        faults = {
            "the file is not whole": not whole,
            "accepted and not completed": self._accepted - ended,
            "sent and not accepted": sent.keys() - self._accepted,
            "sent more than once": {job for job, times in sent.items() if times > 1},
            "sent and not claimed": self._target.unclaimed,
        }
        self.faults += [f"{what}: {found}" for what, found in faults.items() if found]


async def start_fails(trial: Trial, shim: Shim, failing: tuple[int, int], number: int) -> None:
    """Fail calls of a start: it is refused or not, and the next one is as any other."""
    shim.fail(failing, number)
    try:
        async with trial.booper():
            shim.mend()
    except BooperError:  # one line for the operator
        shim.mend()
    async with trial.booper():
        pass


async def tried(shim: Shim, failing: tuple[int, int], number: int) -> list[str]:
    """Try one fault, at a start and in the middle of the work; return what went wrong."""
    found: list[str] = []
    for part in ("start", "work"):
        with TemporaryDirectory() as name:
            folder = Path(name)
            trial = Trial(folder, shim)
            shim.mend()
            shim.watch(folder)
            try:
                async with asyncio.timeout(20):
                    if part == "start":
                        await start_fails(trial, shim, failing, number)
                    else:
                        await trial.live(failing, number)
            except Exception as error:  # any other end than an expected one is a fault
                trial.faults.append(f"{type(error).__name__}: {error}")
            finally:
                shim.mend()
        kind = errno.errorcode[number]
        found += [f"{kind} at call {failing[0]} of the {part}: {fault}" for fault in trial.faults]
    return found


def main(first: int, step: int, last: int) -> None:
    """Try every fault and print what went wrong."""
    logging.disable()  # the faults are made on purpose
    shim, count = Shim(), 0
    for call in range(first, last + 1, step):
        for failing, number in (((call, ALWAYS), errno.ENOSPC), ((call, call), errno.EIO)):
            count += 2
            for fault in asyncio.run(tried(shim, failing, number)):
                print(fault)
    print(count)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
