"""Living through a simulated year: a whole booper on a virtual clock, looked at each day."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Delivery, Targets
from booper.travel import Travel
from tests.conftest import KEY
from tests.support.api import Api
from tests.torture.year.reader import Skipped
from tests.torture.year.script import DAY, HELD, HOUR, SCHEDULES, Course, OneOff
from tests.torture.year.sink import Sink

BATCH = 1_000
PAGE = 100
SKIPPED = f"/api/logs?event=schedule.skipped&limit={PAGE}"

ENTRIES_GROW = 5 * DAY
"""Entries older than this are not read again: what was skipped no longer goes on."""

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Look:
    """How many bytes everything had on a day: file and log at most, memory at its end."""

    SIZES: ClassVar = ("file", "log", "memory")

    day: int
    file: int
    log: int
    memory: int


@dataclass(slots=True)
class Lived:
    """What a year has left, beside the record."""

    looks: list[Look] = field(default_factory=list)
    skipped: Mapping[int, Sequence[Skipped]] = field(default_factory=dict)
    requests: int = 0


class Year:
    """A year that is lived through in a folder; with `is_pruned` false nothing is ever deleted."""

    def __init__(self, course: Course, folder: Path, *, is_pruned: bool = True) -> None:
        self.lived = Lived()
        self.record = folder / "record"
        self._course = course
        self._database = folder / "booper.db"
        self._clock = VirtualClock(course.start)
        self._sink = Sink(course, self._clock, self.record)
        self._is_pruned = is_pruned
        self._entries: dict[str, tuple[int, Skipped]] = {}
        self._schedules: list[str] = []
        self._numbers: dict[int, int] = {}
        self._file = self._log = 0

    async def live(self) -> Lived:
        """Live through all of its days."""
        async with (
            Booper(
                self._config(),
                api_key=KEY,
                clock=self._clock,
                random=Random(1),
                transport=self._sink,
            ) as booper,
            Api(booper.asgi, KEY) as api,
        ):
            self._api, self._travel = api, Travel(booper, self._clock)
            for number in range(len(SCHEDULES)):
                self._schedules.append(await self._schedule(number))
            for jobs in self._course.one_offs():
                await self._create(jobs)
                await self._pass_a_day()
            while self._clock.now() < self._course.end:
                await self._pass_a_day()
        return self._closed()

    def _config(self) -> Config:
        course = self._course
        retention = replace(course.retention, max_bytes=course.cap)
        if not self._is_pruned:
            retention = replace(retention, completed="forever", discarded="forever", max_bytes=0)
        return Config(
            database=Database(path=str(self._database)),
            targets=Targets(require_https=False, allow_private_networks=True),
            delivery=Delivery(grace_seconds=0),
            retention=retention,
        )

    async def _schedule(self, number: int) -> str:
        schedule = SCHEDULES[number]
        fields = {
            "url": f"https://{schedule.host}/schedule/{number}",
            "cron": schedule.cron,
            "timezone": schedule.zone,
            "misfire": schedule.misfire,
        }
        return str((await self._api.create(**fields))["schedule_id"])

    async def _create(self, jobs: Sequence[OneOff]) -> None:
        """Create a day's jobs in batches, and cancel some of them."""
        for begin in range(0, len(jobs), BATCH):
            batch = jobs[begin : begin + BATCH]
            body = {"jobs": [_fields(job) for job in batch]}
            made = await self._api.act("/api/jobs/batch", body)
            for job, created in zip(batch, made, strict=True):
                if job.is_cancelled:
                    await self._api.act(f"/api/jobs/{created['data']['job_id']}/cancel")

    async def _pass_a_day(self) -> None:
        begins = self._clock.now()
        self._file = self._log = 0
        for hour in range(1, 25):
            await self._travel.to(begins + hour * HOUR)
            await self._switch()
            self._file = max(self._file, _file(self._database))
            self._log = max(self._log, self._database.with_name("booper.db-wal").stat().st_size)
        await self._read_skipped()
        day = (self._clock.now() - self._course.start) // DAY
        self.lived.looks.append(Look(day, self._file, self._log, _memory()))

    async def _switch(self) -> None:
        """Pause, resume, disable and enable what the script has for this moment."""
        passed = self._clock.now() - self._course.start
        for moments, paused, disabled in (
            (0, "/api/pause", "disable"),
            (1, "/api/resume", "enable"),
        ):
            if passed in [window[moments] for window in self._course.paused]:
                await self._api.act(paused, {"host": HELD})
            if passed in [window[moments] for window in self._course.disabled]:
                for number, schedule in enumerate(SCHEDULES):
                    if schedule.is_switched:
                        await self._api.act(f"/api/schedules/{self._schedules[number]}/{disabled}")

    async def _read_skipped(self) -> None:
        """Read what the log says was skipped, the newest entries first."""
        since, path = self._clock.now() - ENTRIES_GROW, SKIPPED
        while True:
            response = await self._api.get(path)
            response.raise_for_status()
            page = response.json()
            for entry in page["data"]:
                if datetime.fromisoformat(entry["inserted_at"]) < since:
                    return
                number = await self._number_of(entry["job_id"])
                self._entries[entry["id"]] = (number, _skipped(entry["payload"]))
            if "next_cursor" not in page:
                return
            path = f"{SKIPPED}&cursor={page['next_cursor']}"

    async def _number_of(self, job_id: int) -> int:
        """Return the number of the schedule that a run is of."""
        if job_id not in self._numbers:
            job = await self._api.read(f"/api/jobs/{job_id}")
            self._numbers[job_id] = self._schedules.index(job["schedule_id"])
        return self._numbers[job_id]

    def _closed(self) -> Lived:
        skipped = defaultdict(list)
        for number, entry in self._entries.values():
            skipped[number].append(entry)
        self.lived.skipped = skipped
        self.lived.requests = self._sink.count
        return self.lived


def _fields(job: OneOff) -> dict[str, Any]:
    return {
        "url": f"https://{job.host}/one/{job.number}",
        "method": "post",
        "body": {"number": job.number},
        "scheduled_at": job.due.isoformat(),
        "max_attempts": job.max_attempts,
    }


def _skipped(payload: dict[str, Any]) -> Skipped:
    first, last = (datetime.fromisoformat(payload[name]) for name in ("first", "last"))
    return Skipped(payload["reason"], first, last, payload["count"])


def _file(path: Path) -> int:
    """Return how many bytes a database has, whatever of it is still in its log."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as opened:
        (count,) = opened.execute("PRAGMA page_count").fetchone()
        (size,) = opened.execute("PRAGMA page_size").fetchone()
    return int(count) * int(size)


def _memory() -> int:
    """Return how much memory this process has, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
