"""Jobs that may be what kills the process: sent alone, and given up only if it dies again."""

import shutil
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Targets
from booper.engine.suspects import FIRST_PATIENCE, MAX_REST, Suspects
from booper.store.values import Due, DueJob, Suspect
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.programs import json_of
from tests.support.target import FakeTarget

SECOND = timedelta(seconds=1)


ORIGIN = "https://target.test"


def suspect(number: int, crashes: int = 3) -> Suspect:
    """Return a due job of this number, in flight at so many crashes."""
    return Suspect(DueJob(Due(START, number, ORIGIN), START), crashes)


def waiting(*suspects: Suspect, closed: Collection[str] = ()) -> Suspects:
    """Return suspects that wait, with targets of which some are paused."""
    found = Suspects(lambda origin, now: origin not in closed)
    for one in suspects:
        found.add(one)
    return found


def test_a_suspect_stops_others_until_it_has_ended() -> None:
    """From its turn until its end nothing else may begin."""
    suspects = waiting()
    assert not suspects.stops_others(START)
    suspects.add(suspect(1))
    assert suspects.next(START) == suspect(1)
    assert suspects.stops_others(START)
    suspects.begin(suspect(1), START, is_alone=True)
    assert suspects.stops_others(START)
    assert not suspects.is_over(START)
    suspects.end(START)
    assert not suspects.stops_others(START)


def test_a_slow_suspect_stops_others_for_a_short_time_only() -> None:
    """It is alone for 0.4 s; each crash more doubles that, for it may need longer to kill."""
    for crashes, seconds in ((3, 0.4), (4, 0.8), (6, 3.2)):
        suspects, patience = waiting(suspect(1, crashes)), timedelta(seconds=seconds)
        suspects.next(START)
        suspects.begin(suspect(1, crashes), START, is_alone=True)
        assert suspects.next_at(START) == START + patience
        assert not suspects.is_over(START + 0.9 * patience)
        assert suspects.is_over(START + patience)
        suspects.end(START + patience)
        assert not suspects.stops_others(START + patience)


def test_slow_others_keep_no_suspect_waiting_for_their_full_time() -> None:
    """It waits for their end for as long as its patience lasts; then it begins beside them."""
    suspects = waiting(suspect(1))
    assert suspects.next(START) == suspect(1)
    assert suspects.is_patient(suspect(1), START)
    at = START + FIRST_PATIENCE
    assert suspects.next_at(START) == at
    assert not suspects.is_patient(suspect(1), at)
    suspects.begin(suspect(1), at, is_alone=False)
    assert not suspects.stops_others(at)


def test_between_two_suspects_others_have_as_much_time_as_the_first_took() -> None:
    """One took 0.3 s from START on: for 0.3 s more others go on, then it is the next one's turn."""
    suspects, took = waiting(suspect(1), suspect(2)), timedelta(seconds=0.3)
    suspects.next(START)
    suspects.begin(suspect(1), START, is_alone=True)
    suspects.end(START + took)
    assert suspects.next(START + took) is None
    assert suspects.next_at(START + took) == START + 2 * took
    assert suspects.next(START + 2 * took) == suspect(2)


def test_a_suspect_of_a_paused_target_stops_nobody() -> None:
    """The next one has its turn; if there is none, the others go on."""
    elsewhere = Suspect(DueJob(Due(START, 2, "https://other.test"), START), 3)
    assert waiting(suspect(1), elsewhere, closed=[ORIGIN]).next(START) == elsewhere
    assert not waiting(suspect(1), closed=[ORIGIN]).stops_others(START)


@pytest.mark.parametrize("step", [timedelta(days=365), timedelta(days=-1)])
def test_a_stepped_clock_keeps_no_suspect_waiting(step: timedelta) -> None:
    """The clock is stepped while one is on its way: the next waits for a minute at most."""
    suspects = waiting(suspect(1), suspect(2))
    suspects.next(START)
    suspects.begin(suspect(1), START, is_alone=True)
    suspects.end(START + step)
    assert suspects.stops_others(START + step + MAX_REST)


def test_a_suspect_that_is_named_twice_waits_once() -> None:
    """The timers may name a job again; its place stays."""
    suspects = waiting(suspect(1), suspect(2), suspect(1))
    assert (suspects.ids(), len(suspects)) == ([1, 2], 2)


class Counting(FakeTarget):
    """A target that notes, of each request, its body's name and how many were there with it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []
        self._here = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the fake target does."""
        self._here += 1
        self.seen.append((json_of(request).get("name", "callback"), self._here))
        try:
            return await super().handle_async_request(request)
        finally:
            self._here -= 1


@asynccontextmanager
async def running(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> AsyncIterator[tuple[Booper, Api]]:
    """Run a booper with a client of its API until the end of the block."""
    async with (
        Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        yield booper, api


def crashed(config: Config, folder: Path) -> Config:
    """Copy a database aside as a crash would leave it now; return settings that use the copy."""
    folder.mkdir()
    database = Path(config.database.path)
    for name in (database.name, f"{database.name}-wal"):
        shutil.copy(database.with_name(name), folder / name)
    return Config(
        database=Database(path=str(folder / database.name)),
        targets=Targets(require_https=False, allow_private_networks=True),
    )


async def arrival(target: Counting, count: int) -> None:
    """Wait until so many requests have arrived."""
    while len(target.seen) < count:
        target.arrived.clear()
        await target.arrived.wait()


async def create(api: Api, name: str, **fields: Any) -> int:
    """Create a job due now whose body tells its name."""
    return await api.create_id(method="post", body={"name": name}, **fields)


async def after_three_crashes(config: Config, clock: VirtualClock, folder: Path) -> Config:
    """Create two jobs, and die three times with both on their way."""
    for crash in (1, 2, 3):
        target = Counting()
        target.hold()
        async with running(config, clock, target) as (_, api):
            if crash == 1:
                await create(api, "bystander")
                await create(api, "poison", callback_url="https://target.test/callback")
            await arrival(target, 2)
            following = crashed(config, folder / f"crash{crash}")
            target.release()
        config = following
    return config


@pytest.mark.anyio
async def test_after_three_crashes_each_suspect_goes_alone(
    config: Config, clock: VirtualClock, tmp_path: Path
) -> None:
    """Both were there at each crash; they are sent one after the other, and others after them."""
    config = await after_three_crashes(config, clock, tmp_path)
    target = Counting()
    async with running(config, clock, target) as (booper, api):
        third = await create(api, "healthy")
        await booper.wait_idle()
        assert [item for item in target.seen if item[0] in ("bystander", "poison")] == [
            ("bystander", 1),
            ("poison", 1),
        ]
        for number in (1, 2, third):
            assert (await api.job(number))["state"] == "completed"


@pytest.mark.anyio
async def test_only_the_suspect_that_was_alone_at_the_next_crash_is_discarded(
    config: Config, clock: VirtualClock, tmp_path: Path
) -> None:
    """The bystander is answered; the process dies with the other alone: it is given up, and told.

    The callback reports it, since that is the job's end (contract §7).
    """
    config = await after_three_crashes(config, clock, tmp_path)
    target = Counting()

    def answer_one_and_hold(_: httpx.Request) -> httpx.Response:
        target.hold()
        return httpx.Response(200)

    target.respond(answer_one_and_hold)
    async with running(config, clock, target) as (_, api):
        await arrival(target, 2)
        config = crashed(config, tmp_path / "crash4")
        target.release()
    target = Counting()
    async with running(config, clock, target) as (booper, api):
        await booper.wait_idle()
        assert (await api.job(1))["state"] == "completed"
        poison = await api.job(2)
        assert poison["state"] == "discarded"
        assert "died in 4 attempts in a row" in poison["last_error"]
        assert [name for name, _ in target.seen] == ["callback"]
