"""Sending alerts: once by each way, again what did not arrive, and not too many at once."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from booper.clock import VirtualClock
from booper.engine.alert_channels import NotSent
from booper.engine.alert_clock import ClockWatch
from booper.engine.alert_findings import Watched
from booper.engine.alert_observer import AlertObserver
from booper.engine.alert_sender import MAX_TOLD, MAX_TRIES, WINDOW, AlertSender
from booper.engine.alerts import AlertRules, Alerts
from booper.errors import StoreUnavailable
from booper.model.alert import Alert, AlertKind, Finding, Telling
from booper.model.breaker import Breaker
from booper.store.alerting import Facts

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


class Channel:
    """A way that takes alerts, or fails with a problem."""

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.problem = ""
        self.tries = 0
        self.taken: list[tuple[Telling, str]] = []

    async def send(self, alert: Alert, telling: Telling, now: datetime) -> None:
        """Take an alert. Raises: NotSent."""
        self.tries += 1
        if self.problem:
            raise NotSent(self.problem)
        self.taken.append((telling, alert.subject))


class Table:
    """A table of alerts in memory; it cannot be written while it has a problem."""

    def __init__(self) -> None:
        self.rows: dict[tuple[AlertKind, str], Alert] = {}
        self.problem = ""
        self.hangs = False

    async def leads(self) -> bool:
        """Return True: nobody else looks."""
        return True

    async def hand_over(self, findings: Sequence[Finding]) -> None:
        """Raise: whoever leads looks itself."""
        raise AssertionError(findings)

    async def take_over(self) -> Sequence[Finding]:
        """Return nothing."""
        return ()

    async def alerts(self) -> Sequence[Alert]:
        """Return all alerts."""
        return list(self.rows.values())

    async def facts(self, *arguments: Any) -> Facts:
        """Return nothing."""
        return Facts([], [], {})

    async def save(
        self, alerts: Sequence[Alert], gone: Sequence[tuple[AlertKind, str]], until: int
    ) -> None:
        """Write alerts. Raises: StoreUnavailable."""
        if self.hangs:
            await asyncio.Event().wait()
        if self.problem:
            raise StoreUnavailable(self.problem)
        self.rows |= {(each.kind, each.key): each for each in alerts}
        for key in gone:
            del self.rows[key]


class World:
    """Alerts over a table, of origins that fail."""

    def __init__(self, clock: VirtualClock, table: Table | None = None) -> None:
        self.clock = clock
        self.failing: list[str] = []
        self.table = table or Table()
        self.alerts = Alerts(
            self.table,
            Watched(
                breakers=lambda: [Breaker(origin, 20, clock.now()) for origin in self.failing],
                backups=None,
                is_over_size=lambda: False,
                loop_age_seconds=None,
                disk_free=self._free,
                check_writable=self._check,
                store_seconds=0.01,
            ),
            AlertRules(),
            clock,
            Random(1),
            ClockWatch(clock.now(), None),
            AlertObserver(lambda origin: False),
        )

    async def turn(self, sender: AlertSender, by: timedelta = timedelta(0)) -> None:
        """Look once, and send what is due."""
        self.clock.advance(by)
        await self.alerts.look()
        await sender.send_due()

    async def _free(self) -> int:
        return 1 << 40

    async def _check(self, now: datetime) -> None:
        if self.table.hangs:
            await asyncio.Event().wait()
        if self.table.problem:
            raise StoreUnavailable(self.table.problem)


@pytest.fixture
def world(clock: VirtualClock) -> World:
    """Return a world of which nothing is wrong."""
    return World(clock)


async def test_what_does_not_arrive_is_sent_again_later_and_later(world: World) -> None:
    """After 10 seconds, then 20, and never later than each five minutes."""
    channel = Channel()
    sender = AlertSender(world.alerts, [channel], world.clock)
    channel.problem, world.failing = "the receiver responded 500", ["https://a.test"]
    tried = []
    for second in range(0, 1_300, 10):
        before = channel.tries
        await world.turn(sender, timedelta(seconds=10))
        tried += [second] * (channel.tries - before)
    assert tried[:6] == [0, 10, 30, 70, 150, 310]
    assert tried[6:] == [610, 910, 1_210]
    channel.problem = ""
    await world.turn(sender, 5 * MINUTE)
    assert channel.taken == [(Telling.OPENED, "https://a.test")]
    assert world.alerts.unsent(world.clock.now()) == 0


async def test_what_ends_before_it_could_be_sent_is_not_sent(world: World) -> None:
    """Nobody has to hear of it any more."""
    channel = Channel()
    sender = AlertSender(world.alerts, [channel], world.clock)
    channel.problem, world.failing = "refused", ["https://a.test"]
    await world.turn(sender)
    world.failing, channel.problem = [], ""
    await world.turn(sender, 10 * MINUTE)
    assert channel.taken == []
    assert world.table.rows == {}


async def test_of_two_ways_one_that_fails_gets_nothing_twice_and_holds_up_nothing(
    world: World,
) -> None:
    """What the other has taken counts as sent after five tries."""
    good, bad = Channel("good"), Channel("bad")
    sender = AlertSender(world.alerts, [good, bad], world.clock)
    bad.problem, world.failing = "refused", ["https://a.test"]
    for _ in range(MAX_TRIES - 1):
        await world.turn(sender, 5 * MINUTE)
        assert world.alerts.unsent(world.clock.now()) == 1
    await world.turn(sender, 5 * MINUTE)
    assert world.alerts.unsent(world.clock.now()) == 0
    assert good.taken == [(Telling.OPENED, "https://a.test")]
    bad.problem, world.failing = "", []
    await world.turn(sender, 5 * MINUTE)
    closed = (Telling.CLOSED, "https://a.test")
    assert (good.taken[1:], bad.taken) == ([closed], [closed])


async def test_a_flood_is_sent_twenty_a_minute(world: World) -> None:
    """What is over by then is not sent at all."""
    channel = Channel()
    sender = AlertSender(world.alerts, [channel], world.clock)
    world.failing = [f"https://{number}.test" for number in range(50)]
    await world.turn(sender)
    assert len(channel.taken) == MAX_TOLD
    await world.turn(sender, WINDOW / 2)
    assert len(channel.taken) == MAX_TOLD
    world.failing = world.failing[:30]
    await world.turn(sender, WINDOW / 2)
    assert len(channel.taken) == 30
    assert {telling for telling, _ in channel.taken} == {Telling.OPENED}


async def test_a_table_that_cannot_be_written_is_told_from_memory_and_written_later(
    world: World, clock: VirtualClock
) -> None:
    """Once: the next process knows what was sent."""
    channel = Channel()
    sender = AlertSender(world.alerts, [channel], world.clock)
    world.table.problem = "the disk is full"
    for _ in range(3):
        await world.turn(sender, MINUTE)
    assert channel.taken == [(Telling.OPENED, "database")]
    assert world.table.rows == {}
    world.table.problem = ""
    await world.turn(sender, MINUTE)
    assert channel.taken[1:] == [(Telling.CLOSED, "database")]
    after = World(clock, world.table)
    after.table.problem = "the disk is full"
    sender = AlertSender(after.alerts, [channel], world.clock)
    await after.turn(sender, MINUTE)
    assert len(channel.taken) == 2  # within an hour of the first
    await after.turn(sender, 60 * MINUTE)
    assert channel.taken[2:] == [(Telling.OPENED, "database")]


async def test_a_table_that_hangs_is_told_of_too(world: World) -> None:
    """A disk that does not respond raises no error."""
    channel = Channel()
    sender = AlertSender(world.alerts, [channel], world.clock)
    world.table.hangs = True
    await world.turn(sender)
    [alert] = world.alerts.open
    assert alert.detail == "the database has written nothing for 0.01 s"
    world.table.hangs = False
    await world.turn(sender, MINUTE)
    assert [telling for telling, _ in channel.taken] == [Telling.OPENED, Telling.CLOSED]
    assert list(world.table.rows) == [(AlertKind.STORE_UNWRITABLE, "")]


async def test_without_a_way_the_log_has_them(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, as if it were one."""
    sender = AlertSender(world.alerts, [], world.clock)
    world.failing = ["https://a.test"]
    for _ in range(2):
        await world.turn(sender, MINUTE)
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("alert.opened: breaker.open 'https://a.test': 20 attempts failed")


async def test_there_are_a_thousand_alerts_at_most(world: World) -> None:
    """A machine that is gone from the net must not fill the memory."""
    world.failing = [f"https://{number}.test" for number in range(1_500)]
    await world.alerts.look()
    assert len(world.alerts.open) == 1_000


async def test_revoked_keys_are_counted(world: World) -> None:
    """However often they are sent between two looks."""
    for _ in range(3):
        world.alerts.note_revoked_key(UUID(int=1), "old laptop")
    await world.alerts.look()
    [alert] = world.alerts.open
    assert (alert.kind, alert.subject, alert.count) == (AlertKind.KEY_REVOKED, "old laptop", 3)
