"""Time travel: everything due on the way happens, at its time, in order, through the engine."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import Conflict
from booper.model.job import Kind, State
from booper.travel import Travel
from tests.conftest import START
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def travel(booper: Booper, clock: VirtualClock) -> Travel:
    """Return the means to move the running booper's clock."""
    return Travel(booper, clock)


async def create(api: httpx.AsyncClient, path: str = "/", **fields: object) -> dict[str, Any]:
    """Create a job and return it."""
    body = {"method": "post", "url": f"http://target.test{path}", **fields}
    response = await api.post("/api/jobs", json=body)
    assert response.status_code == 201, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


async def test_a_week_of_quarter_hours_has_672_runs(
    api: httpx.AsyncClient, travel: Travel, target: FakeTarget
) -> None:
    """7 days x 24 hours x 4: each is made once, none late, and the target has seen each."""
    schedule = await create(api, cron="*/15 * * * *")

    journey = await travel.by(7 * DAY)

    assert journey.count == len(journey.ran) == len(target.received) == 672
    assert journey.states == {State.COMPLETED: 672}
    assert [ran.scheduled_at for ran in journey.ran] == [
        START + n * 15 * MINUTE for n in range(1, 673)
    ]
    assert {ran.late for ran in journey.ran} == {timedelta(0)}
    assert {str(ran.schedule_id) for ran in journey.ran} == {schedule["schedule_id"]}
    assert (journey.began_at, journey.ended_at) == (START, START + 7 * DAY)


async def test_what_is_due_on_the_way_happens_in_order_and_at_its_time(
    api: httpx.AsyncClient, travel: Travel, target: FakeTarget, clock: VirtualClock
) -> None:
    """Whatever the order of their creation, requests leave in that of their times."""
    seen: list[tuple[str, timedelta]] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, clock.now() - START))
        return httpx.Response(200)

    target.respond(*[note] * 3)
    for path, wait in (("/third", 2 * HOUR), ("/first", MINUTE), ("/second", HOUR)):
        await create(api, path, schedule_in=wait.total_seconds())

    journey = await travel.to(START + DAY)

    assert seen == [("/first", MINUTE), ("/second", HOUR), ("/third", 2 * HOUR)]
    assert [ran.url for ran in journey.ran] == [f"http://target.test{path}" for path, _ in seen]


async def test_a_retry_comes_after_its_backoff(
    api: httpx.AsyncClient, travel: Travel, target: FakeTarget
) -> None:
    """Two 500s and a 200, with waits of one hour and two: attempts at 0, 1 and 3 hours."""
    target.respond(httpx.Response(500), httpx.Response(500))
    await create(api, backoff=[3_600, 7_200])

    journey = await travel.by(DAY)

    assert [(ran.attempt, ran.status, ran.state) for ran in journey.ran] == [
        (1, 500, State.RETRYABLE),
        (2, 500, State.RETRYABLE),
        (3, 200, State.COMPLETED),
    ]
    assert [ran.scheduled_at - START for ran in journey.ran] == [0 * HOUR, HOUR, 3 * HOUR]
    assert journey.states == {State.RETRYABLE: 2, State.COMPLETED: 1}


async def test_reports_are_sent_on_the_way(
    api: httpx.AsyncClient, travel: Travel, target: FakeTarget
) -> None:
    """A callback and the events of a webhook are jobs of booper's own, and leave with the rest."""
    await create(
        api,
        schedule_in=60,
        callback_url="http://target.test/callback",
        webhook_url="http://target.test/webhook",
    )

    journey = await travel.by(HOUR)

    kinds = Counter(ran.kind for ran in journey.ran)
    assert kinds[Kind.REQUEST] == kinds[Kind.CALLBACK] == 1
    assert kinds[Kind.WEBHOOK] >= 1
    assert len(target.received) == journey.count


async def test_what_is_not_due_yet_waits(api: httpx.AsyncClient, travel: Travel) -> None:
    """A moment before its time nothing leaves; at its time it does."""
    await create(api, schedule_in=3_600)

    assert (await travel.by(HOUR - timedelta(microseconds=1))).count == 0
    assert (await travel.by(timedelta(microseconds=1))).count == 1


async def test_a_journey_goes_by_what_the_database_has(
    api: httpx.AsyncClient, travel: Travel, config: Config
) -> None:
    """A job of which the loop was told a wrong time leaves at its right one, an hour from now."""
    await create(api, schedule_in=7_200)
    await travel.by(timedelta(0))  # the loop has then seen the job
    with closing(sqlite3.connect(config.database.path)) as opened, opened:
        opened.execute("UPDATE jobs SET scheduled_at = scheduled_at - 3600 * 1000000")

    journey = await travel.by(DAY)

    assert [ran.scheduled_at - START for ran in journey.ran] == [HOUR]
    assert [ran.late for ran in journey.ran] == [timedelta(0)]


async def test_the_next_one_can_be_asked_for(
    api: httpx.AsyncClient, travel: Travel, clock: VirtualClock
) -> None:
    """The clock goes where the next job is due, past one that was cancelled, and no further."""
    cancelled = await create(api, "/cancelled", schedule_in=60)
    await create(api, "/next", schedule_in=3_600)
    await create(api, "/later", schedule_in=7_200)
    await api.post(f"/api/jobs/{cancelled['job_id']}/cancel")

    journey = await travel.run_next()

    assert [ran.url for ran in journey.ran] == ["http://target.test/next"]
    assert clock.now() == START + HOUR


async def test_with_nothing_to_run_the_clock_stays(travel: Travel, clock: VirtualClock) -> None:
    """Asked for the next of nothing, it answers that nothing ran."""
    assert (await travel.run_next()).count == 0
    assert clock.now() == START


async def test_time_does_not_go_back(travel: Travel, clock: VirtualClock) -> None:
    """A moment that has passed is refused, with both times in the error."""
    with pytest.raises(Conflict, match=r"2030-01-01T12:00:00.*2030-01-01T11:00:00"):
        await travel.to(START - HOUR)
    with pytest.raises(Conflict):
        await travel.by(-MINUTE)
    assert clock.now() == START


async def test_a_request_on_its_way_is_waited_for(
    api: httpx.AsyncClient, travel: Travel, target: FakeTarget, clock: VirtualClock
) -> None:
    """The clock stands still until the target has answered."""
    await create(api, "/slow", schedule_in=60)
    target.hold()
    going = asyncio.create_task(travel.by(DAY))
    await target.arrived.wait()
    assert clock.now() == START + MINUTE

    target.release()

    assert (await going).count == 1
    assert clock.now() == START + DAY


async def test_a_target_that_hangs_is_given_up_after_the_jobs_own_timeout(
    api: httpx.AsyncClient, travel: Travel, target: FakeTarget
) -> None:
    """The timeout is real time: an exchange takes none of the clock's."""
    await create(api, timeout=0.05, max_attempts=1)
    target.hold()

    journey = await travel.by(DAY)

    (ran,) = journey.ran
    assert (ran.status, ran.error, ran.state) == (None, "timeout", State.DISCARDED)


async def test_a_paused_host_holds_nobody_up(
    api: httpx.AsyncClient, travel: Travel, clock: VirtualClock
) -> None:
    """What waits for a pause to end does so wherever the clock goes."""
    await create(api, schedule_in=60)
    await api.post("/api/pause", json={"host": "target.test"})

    assert (await travel.by(DAY)).count == 0
    assert clock.now() == START + DAY


async def test_of_many_runs_the_first_are_told_and_all_are_counted(
    api: httpx.AsyncClient, booper: Booper, clock: VirtualClock
) -> None:
    """The list is bounded, the count is not."""
    await create(api, repeat_every=60)

    journey = await Travel(booper, clock, max_kept=2).by(HOUR)

    assert journey.count >= 60
    assert len(journey.ran) == 2
