"""Twenty faults, each made and mended, and what is told of it."""

import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx

from booper.model.alert import MOMENTARY, AlertKind
from tests.support.api import Api
from tests.torture.alert_world import World

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

BAD: Final = "https://bad.test"
GOOD: Final = "https://good.test"
BAD_HOST: Final = "bad.test"

Inject = Callable[[World], AbstractAsyncContextManager[str]]
"""Make a fault and yield what it is told of; mend it at the end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, the kind of its alert, and the settings under which it is made.

    `is_kept` is whether it is still there after a restart. `closes_in` is how long after the mend
    booper can know of it at the latest, beside the minute that it has.
    """

    inject: Inject
    kind: AlertKind
    alerts: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    is_kept: bool = True
    closes_in: timedelta = timedelta(0)

    @property
    def longest_end(self) -> timedelta:
        """Return within which time of the mend its end is told."""
        return self.closes_in + MINUTE + (HOUR if self.kind in MOMENTARY else timedelta(0))


@asynccontextmanager
async def three_runs_fail(world: World) -> AsyncIterator[str]:
    """Have a schedule fail three times in a row, by a status."""
    world.hosts.responds[BAD_HOST] = lambda: httpx.Response(500)
    await world.api.create_schedule(
        url=BAD, repeat_every=[1, "minute"], max_attempts=1, name="nightly"
    )
    await world.pass_time(2 * MINUTE)  # at 0, 1 and 2 minutes
    await world.booper.wait_idle()
    yield "nightly"
    del world.hosts.responds[BAD_HOST]
    await world.pass_time(MINUTE)
    await world.booper.wait_idle()


@asynccontextmanager
async def three_runs_do_not_arrive(world: World) -> AsyncIterator[str]:
    """Have a schedule without a name fail three times in a row, by the network."""

    def refuse() -> httpx.Response:
        raise httpx.ConnectError("refused")

    world.hosts.responds[BAD_HOST] = refuse
    schedule = await world.api.create_schedule(url=BAD, repeat_every=[1, "minute"], max_attempts=1)
    await world.pass_time(2 * MINUTE)
    await world.booper.wait_idle()
    yield schedule.rpartition("/")[2]
    await world.api.act(f"{schedule}/disable")  # which ends it as well


@asynccontextmanager
async def a_run_overlaps(world: World) -> AsyncIterator[str]:
    """Have a planned time skipped because the run before it is not finished."""
    world.hosts.hold(BAD_HOST)
    await world.api.create_schedule(
        url=BAD, repeat_every=[10, "minutes"], timeout=900, name="nightly"
    )
    await world.until(lambda status: status["slots"]["taken"])
    await world.pass_time(10 * MINUTE, MINUTE)
    await world.until(lambda status: status["last_hour"]["skipped"])
    yield "nightly"
    world.hosts.release(BAD_HOST)
    await world.booper.wait_idle()


@asynccontextmanager
async def a_run_is_missed(world: World) -> AsyncIterator[str]:
    """Have planned times pass while booper is stopped."""
    await world.api.create_schedule(
        url=GOOD, repeat_every=[10, "minutes"], misfire="skip", name="nightly"
    )
    await world.booper.wait_idle()
    await world.stop()
    world.clock.advance(25 * MINUTE)
    await world.start()
    await world.booper.wait_idle()
    yield "nightly"


@asynccontextmanager
async def a_run_is_paused(world: World) -> AsyncIterator[str]:
    """Have a run wait for a pause for over five minutes."""
    await world.admin.act("/api/pause", {"host": BAD_HOST})
    await world.api.create_schedule(url=BAD, repeat_every=[1, "day"], name="nightly")
    await world.pass_time(5 * MINUTE, MINUTE)
    yield "nightly"
    await world.admin.act("/api/resume", {"host": BAD_HOST})
    await world.booper.wait_idle()


@asynccontextmanager
async def a_run_gets_no_slot(world: World) -> AsyncIterator[str]:
    """Have a run wait for the only slot for over five minutes."""
    world.hosts.hold(BAD_HOST)
    await world.api.create_id(url=BAD, timeout=900)
    await world.until(lambda status: status["slots"]["taken"])
    await world.api.create_schedule(url=GOOD, repeat_every=[1, "day"], name="nightly")
    await world.pass_time(5 * MINUTE, MINUTE)
    yield "nightly"
    world.hosts.release(BAD_HOST)
    await world.booper.wait_idle()


@asynccontextmanager
async def a_tagged_job_is_discarded(world: World) -> AsyncIterator[str]:
    """Have a job with tags use up its attempts."""
    world.hosts.responds[BAD_HOST] = lambda: httpx.Response(500)
    await world.api.create_id(url=BAD, max_attempts=1, tags=["billing", "eu"])
    await world.booper.wait_idle()
    yield "billing"


@asynccontextmanager
async def an_untagged_job_is_discarded(world: World) -> AsyncIterator[str]:
    """Have a job without a tag use up its attempts."""
    world.hosts.responds[BAD_HOST] = lambda: httpx.Response(500)
    await world.api.create_id(url=BAD, max_attempts=2, backoff=[5])
    await world.booper.wait_idle()
    await world.pass_time(MINUTE / 6)
    await world.booper.wait_idle()
    yield BAD


@asynccontextmanager
async def a_target_is_gone(world: World) -> AsyncIterator[str]:
    """Have a job with a wanted tag discarded at once; one with another tag is not told of."""
    world.hosts.responds[BAD_HOST] = lambda: httpx.Response(410)
    await world.api.create_id(url=BAD, tags=["eu"])
    await world.api.create_id(url=BAD, tags=["eu", "billing"])
    await world.booper.wait_idle()
    yield "billing"


@asynccontextmanager
async def an_origin_is_down(world: World) -> AsyncIterator[str]:
    """Have 20 attempts to an origin fail in a row."""
    world.hosts.responds[BAD_HOST] = lambda: httpx.Response(503)
    for _ in range(20):
        await world.api.create_id(url=BAD, backoff=[30], max_attempts=10_000)
    await world.booper.wait_idle()
    yield BAD
    del world.hosts.responds[BAD_HOST]
    await world.pass_time(MINUTE)
    await world.booper.wait_idle()


@asynccontextmanager
async def a_breaker_is_reset(world: World) -> AsyncIterator[str]:
    """Have a breaker opened by the network, and reset by the administrator."""

    def refuse() -> httpx.Response:
        raise httpx.ConnectError("refused")

    world.hosts.responds[BAD_HOST] = refuse
    for _ in range(20):
        await world.api.create_id(url=BAD, backoff=[900], max_attempts=10_000)
    await world.booper.wait_idle()
    yield BAD
    await world.admin.act("/api/breakers/reset", {"host": BAD_HOST})


@asynccontextmanager
async def the_disk_is_low(world: World) -> AsyncIterator[str]:
    """Have less room than is wanted."""
    world.use_alerts(disk_free_bytes=1 << 50)
    yield "disk"
    world.use_alerts(disk_free_bytes=1)


@asynccontextmanager
async def the_database_is_moved(world: World) -> AsyncIterator[str]:
    """Have the file taken away under booper, which then goes on from memory."""
    path, aside = world.folder / "booper.db", world.folder / "aside.db"
    path.rename(aside)
    world.is_stuck = True
    await world.until_created(503)
    yield "database"
    aside.rename(path)
    await world.until_created(201)
    world.is_stuck = False


@asynccontextmanager
async def the_size_cannot_be_kept(world: World) -> AsyncIterator[str]:
    """Have more waiting jobs than may be in the database."""
    numbers = [
        await world.api.create_id(url=GOOD, schedule_in=[1, "week"], body="x" * 200_000)
        for _ in range(8)
    ]
    await world.until_over_size()
    yield "database"
    for number in numbers:
        await world.api.act(f"/api/jobs/{number}/cancel")


@asynccontextmanager
async def the_clock_is_set_back(world: World) -> AsyncIterator[str]:
    """Have the clock go an hour back."""
    before = (await world.alerts())["looked_at"]
    world.clock.advance(-HOUR)  # which wakes whoever waits for a time
    await world.until(lambda status: status["alerts"]["looked_at"] < before)
    yield "clock"


@asynccontextmanager
async def the_clock_goes_ahead(world: World) -> AsyncIterator[str]:
    """Have the clock go an hour ahead within a second, as where a machine has slept."""
    slept = world.clock.now() + HOUR
    world.put_seconds(lambda: max((world.clock.now() - slept).total_seconds(), -1.0))
    world.clock.advance(HOUR)
    yield "clock"


@asynccontextmanager
async def the_loop_is_stuck(world: World) -> AsyncIterator[str]:
    """Have the loop not turn for 90 seconds."""
    world.put_loop_age(90)
    yield "loop"
    world.put_loop_age(0)


@asynccontextmanager
async def backups_fail(world: World) -> AsyncIterator[str]:
    """Have no folder for the backups, since a file is in its place."""
    folder = world.folder / "backups"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("no folder")
    await world.pass_time(HOUR + MINUTE, 10 * MINUTE)
    yield "backup"
    folder.unlink()


@asynccontextmanager
async def backups_do_not_come(world: World) -> AsyncIterator[str]:
    """Have no backup for over two periods."""
    async with backups_fail(world) as subject:
        await world.pass_time(HOUR, 10 * MINUTE)
        yield subject


@asynccontextmanager
async def a_revoked_key_is_used(world: World) -> AsyncIterator[str]:
    """Have somebody send a key that was revoked."""
    made = await world.admin.act("/api/keys", {"name": "old laptop", "scope": "write"})
    response = await world.admin.delete(f"/api/keys/{made['id']}")
    assert response.is_success, response.text
    async with Api(world.booper.asgi, made["key"]) as thief:
        assert (await thief.get("/api/jobs")).status_code == 401
    yield "old laptop"


HOURLY: Final = {"backup": {"every": [1, "hour"]}}
TEN_MINUTES: Final = timedelta(minutes=11)

FAULTS: Final = (
    Fault(three_runs_fail, AlertKind.SCHEDULE_FAILED, {"events": ["schedule.failed"]}),
    Fault(three_runs_do_not_arrive, AlertKind.SCHEDULE_FAILED, {"events": ["schedule.failed"]}),
    Fault(a_run_overlaps, AlertKind.SCHEDULE_SKIPPED, is_kept=False),
    Fault(a_run_is_missed, AlertKind.SCHEDULE_SKIPPED),
    Fault(a_run_is_paused, AlertKind.SCHEDULE_LATE),
    Fault(a_run_gets_no_slot, AlertKind.SCHEDULE_LATE, others={"concurrency": 1}, is_kept=False),
    Fault(a_tagged_job_is_discarded, AlertKind.JOB_DISCARDED),
    Fault(an_untagged_job_is_discarded, AlertKind.JOB_DISCARDED),
    Fault(a_target_is_gone, AlertKind.JOB_DISCARDED, {"events": ["job.discarded:billing"]}),
    Fault(an_origin_is_down, AlertKind.BREAKER_OPEN),
    Fault(a_breaker_is_reset, AlertKind.BREAKER_OPEN, is_kept=False),
    Fault(the_disk_is_low, AlertKind.DISK_LOW),
    Fault(the_database_is_moved, AlertKind.STORE_UNWRITABLE, is_kept=False),
    Fault(
        the_size_cannot_be_kept,
        AlertKind.SIZE_EXCEEDED,
        others={"retention": {"max_bytes": 1 << 20}},
    ),
    Fault(the_clock_is_set_back, AlertKind.CLOCK_STEPPED),
    Fault(the_clock_goes_ahead, AlertKind.CLOCK_STEPPED),
    Fault(the_loop_is_stuck, AlertKind.LOOP_STUCK, is_kept=False),
    Fault(
        backups_fail,
        AlertKind.BACKUP_FAILED,
        {"events": ["backup.failed"]},
        HOURLY,
        closes_in=TEN_MINUTES,
    ),
    Fault(
        backups_do_not_come,
        AlertKind.BACKUP_LATE,
        {"events": ["backup.late"]},
        HOURLY,
        closes_in=TEN_MINUTES,
    ),
    Fault(a_revoked_key_is_used, AlertKind.KEY_REVOKED),
)
