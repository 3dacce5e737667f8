"""Clocks that a test tool has frozen or moved neither break nor stop booper."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine
from freezegun import freeze_time

from booper.app import Booper
from booper.clock import VirtualClock, plain
from booper.config import Config, Delivery
from booper.testing import VirtualBooper
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"
THEN = "2030-01-01T12:00:00+00:00"

TOOLS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "freezegun": lambda: freeze_time(THEN),
    "freezegun that ticks": lambda: freeze_time(THEN, tick=True),
    "time-machine": lambda: time_machine.travel(datetime.fromisoformat(THEN), tick=False),
}


@pytest.fixture(params=list(TOOLS))
def frozen(request: pytest.FixtureRequest) -> Iterator[None]:
    """Freeze the clocks of this process for a test."""
    with TOOLS[request.param]():
        yield


class OtherDatetime(datetime):
    """A datetime as libraries of dates have them: a subclass."""


def test_a_virtual_booper_begins_at_the_frozen_time(frozen: None) -> None:
    """Jobs, schedules, filters, callbacks and retries, and a real socket; then it ends."""
    with VirtualBooper() as booper:
        began = booper.now
        assert type(began) is type(plain(began))
        assert began - datetime.fromisoformat(THEN) < timedelta(minutes=1)
        now = datetime.now(UTC)  # noqa: TID251 - as a program would
        client = booper.client
        client.jobs.create(url=URL, schedule_in=timedelta(minutes=1), callback_url=URL)
        client.jobs.create(url=URL, scheduled_at=now + timedelta(hours=1), tags=["a"])
        made = client.jobs.create(url=URL, cron="*/30 * * * *", timezone="Asia/Kathmandu")
        assert len(client.jobs.list(after=now + timedelta(minutes=30)).data) == 1
        booper.respond(URL, 500, 200)
        booper.advance(hours=1, minutes=5)
        assert len(booper.sent) == 1 + 1 + 1 + 1 + 2  # a retry, a callback, two runs of the cron
        booper.advance_to(now + timedelta(hours=2))
        assert made.schedule_id is not None
        assert client.schedules.get(made.schedule_id).next_runs[0] > now
        headers = {"Authorization": f"Bearer {booper.key}"}
        assert httpx.get(f"{booper.url}/api/jobs", headers=headers).status_code == 200


def test_one_that_began_before_goes_on_and_ends_while_time_is_frozen() -> None:
    """Frozen in the middle of its `with`, and still frozen at the end."""
    with ExitStack() as frozen, VirtualBooper(start=datetime(2031, 1, 1, tzinfo=UTC)) as booper:
        frozen.enter_context(freeze_time(THEN))
        booper.client.jobs.create(url=URL, schedule_in=60)
        booper.advance(minutes=2)
        assert len(booper.sent) == 1


PROGRAM = """
from datetime import UTC, datetime, timedelta
import pytest
from freezegun import freeze_time

@pytest.fixture(autouse=True)
def frozen():
    with freeze_time("2030-01-01T12:00:00Z"):
        yield

def test_it(frozen, booper):
    job = booper.client.jobs.create(
        url="https://t.test/", scheduled_at=datetime.now(UTC) + timedelta(hours=1)
    )
    assert booper.now.year == 2030
    booper.advance(hours=2)
    assert booper.sent.one().at == job.scheduled_at
"""


def test_the_fixture_runs_under_a_frozen_time(tmp_path: Path) -> None:
    """What it needs is imported within the frozen time, too."""
    (tmp_path / "test_it.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    ended = subprocess.run(command, cwd=tmp_path, timeout=60, capture_output=True, text=True)
    assert "1 passed" in ended.stdout, ended.stdout


async def test_a_booper_in_a_frozen_program_sends_and_stops(config: Config) -> None:
    """It sends what is due by the clock it is given, and a hanging target does not hold it."""
    target = FakeTarget()
    with freeze_time(THEN) as clock:
        settings = Config(
            database=config.database, targets=config.targets, delivery=Delivery(grace_seconds=0)
        )
        async with Booper(settings, transport=target) as booper:
            await booper.jobs.create(url=URL)
            await booper.wait_idle()
            assert len(target.received) == 1
            await booper.jobs.create(url=URL, schedule_in=60)
            clock.tick(timedelta(seconds=61))
            target.hold()
            target.arrived.clear()
            await target.arrived.wait()
            assert len(target.received) == 2


@pytest.mark.parametrize("kind", [OtherDatetime, pytest.param(None, id="frozen")])
def test_a_subclass_of_datetime_is_taken_wherever_a_datetime_is(
    kind: type[datetime] | None,
) -> None:
    """As a start, in fields and filters, to travel to, and in a body."""
    with freeze_time(THEN):
        made: Any = kind or type(datetime.now(UTC))  # noqa: TID251 - the tool's own

        def at(hour: int) -> datetime:
            value: datetime = made(2030, 1, 1, hour, tzinfo=UTC)
            return value

        with VirtualBooper(start=at(12)) as booper:
            assert type(booper.now) is not made
            client = booper.client
            client.jobs.create(url=URL, scheduled_at=at(13))
            client.jobs.create(
                url=URL,
                method="post",
                repeat_every=3600,
                starts_at=at(14),
                ends_at=at(15),
                body={"at": at(12)},
            )
            assert len(client.jobs.list(before=at(14)).data) == 1
            assert client.jobs.cancel_many(after=at(20), dry_run=True).matched == 0
            booper.advance_to(at(16))
            assert [sent.at.hour for sent in booper.sent] == [13, 14, 15]
            assert booper.sent[1].json()["at"] == "2030-01-01T12:00:00Z"


async def test_a_virtual_clock_gives_plain_times() -> None:
    """Whatever it was started and set with."""
    clock = VirtualClock(OtherDatetime(2030, 1, 1, tzinfo=UTC))
    assert type(clock.now()) is datetime
    clock.set(OtherDatetime(2030, 1, 2, tzinfo=UTC))
    assert type(clock.now()) is datetime
    clock.advance(timedelta(days=1))
    assert clock.now() == datetime(2030, 1, 3, tzinfo=UTC)
