"""Alerts over several nodes: one looks and sends, and another goes on where that one has ended."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
import pytest

from booper.clock import VirtualClock
from booper.engine.alert_clock import ClockWatch
from booper.engine.alert_findings import Watched
from booper.engine.alert_observer import AlertObserver
from booper.engine.alert_sender import AlertSender
from booper.engine.alerts import LOOK_EVERY, AlertRules, Alerts
from booper.errors import StoreUnavailable
from booper.model.alert import Alert, Telling
from booper.model.job import State
from booper.store.base import Store
from tests.support import stores
from tests.support.postgres import postgres, url_in
from tests.support.stores import in_state

pytestmark = pytest.mark.anyio

alice = stores.alice

OPENED, CLOSED = Telling.OPENED, Telling.CLOSED
KEY_ID = UUID(int=1)


class Node:
    """The alerts of one node over its store; `sent` is what all nodes send."""

    def __init__(self, store: Store, clock: VirtualClock, sent: list[tuple[str, str]]) -> None:
        self.name = "a channel"
        self.store = store
        self._sent = sent
        self.alerts = Alerts(
            store.alerting,
            Watched(
                breakers=lambda: [],
                backups=None,
                is_over_size=lambda: False,
                loop_age_seconds=None,
                disk_free=self._free,
                check_writable=store.check_writable,
            ),
            AlertRules(),
            clock,
            Random(1),
            ClockWatch(clock.now(), None),
            AlertObserver(lambda origin: False),
        )
        self._sender = AlertSender(self.alerts, [self], clock)

    async def turn(self) -> None:
        """Look once, and send what is due if that is said."""
        await self.alerts.look()
        if self.alerts.is_due.is_set():
            self.alerts.is_due.clear()
            await self._sender.send_due()

    async def send(self, alert: Alert, telling: Telling, now: datetime) -> None:
        """Take an alert, as a channel."""
        self._sent.append((telling, alert.kind))

    async def _free(self) -> int:
        return 1 << 40


class Nodes(AsyncExitStack):
    """Nodes over one database, and what they send."""

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []
        self._folder = folder
        self._clock = clock

    async def begin(self) -> tuple[Node, AsyncExitStack]:
        """Return another node, and what ends it."""
        ending = await self.enter_async_context(AsyncExitStack())
        store = await ending.enter_async_context(postgres(self._folder))
        return Node(store, self._clock, self.sent), ending


@pytest.fixture
async def nodes(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Nodes]:
    """Return nodes over an empty database; none has begun."""
    async with Nodes(tmp_path, clock) as made:
        yield made


@pytest.fixture
async def store(nodes: Nodes) -> Store:
    """Return the store of a node that has no alerts."""
    return (await nodes.begin())[0].store


async def test_what_has_happened_is_sent_by_one_node(
    nodes: Nodes, store: Store, alice: UUID, clock: VirtualClock
) -> None:
    """Whoever looks first sends, once for each thing; the other shows the same alerts."""
    (one, _), (other, _) = await nodes.begin(), await nodes.begin()
    for _ in range(2):
        await in_state(store, alice, State.DISCARDED)
        for node in (one, other):
            await node.turn()
        clock.advance(LOOK_EVERY)
    assert nodes.sent == [(OPENED, "job.discarded")]
    await other.turn()
    assert [(each.kind, each.count) for each in other.alerts.open] == [("job.discarded", 2)]
    assert list(other.alerts.open) == list(one.alerts.open)
    assert other.alerts.looked_at == clock.now()


async def test_another_node_goes_on_where_one_has_ended(
    nodes: Nodes, store: Store, alice: UUID, clock: VirtualClock
) -> None:
    """What was sent is not sent again; what comes after it is, and so is its end."""
    (one, ending), (other, _) = await nodes.begin(), await nodes.begin()
    await in_state(store, alice, State.DISCARDED)
    for node in (one, other):
        await node.turn()
    await ending.aclose()
    await other.turn()
    assert nodes.sent == [(OPENED, "job.discarded")]
    await in_state(store, alice, State.DISCARDED)
    clock.advance(timedelta(minutes=61))
    await other.turn()
    clock.advance(timedelta(minutes=61))
    await other.turn()
    assert nodes.sent == [(OPENED, "job.discarded")] * 2 + [(CLOSED, "job.discarded")]


async def test_a_node_that_was_dead_for_a_while_sends_and_writes_nothing(
    nodes: Nodes, store: Store, alice: UUID, tmp_path: Path
) -> None:
    """It looked, then its lease ended, and another one leads before it comes to send."""
    (one, _), (other, _) = await nodes.begin(), await nodes.begin()
    await one.turn()
    await in_state(store, alice, State.DISCARDED)
    await one.alerts.look()
    with psycopg.connect(url_in(tmp_path), autocommit=True) as connection:
        connection.execute("UPDATE leaders SET node = (SELECT max(number) FROM nodes)")
    with pytest.raises(StoreUnavailable):
        await one.store.alerting.save([], [], 0)
    await one.turn()
    assert nodes.sent == []
    await other.turn()
    await one.turn()
    assert nodes.sent == [(OPENED, "job.discarded")]


async def test_what_another_node_has_seen_is_sent_by_the_one_that_leads(
    nodes: Nodes, clock: VirtualClock
) -> None:
    """Somebody has sent a revoked key to it."""
    (one, _), (other, _) = await nodes.begin(), await nodes.begin()
    await one.turn()
    other.alerts.note_revoked_key(KEY_ID, "a\0key")
    await other.turn()
    assert nodes.sent == []
    clock.advance(LOOK_EVERY)
    await one.turn()
    await other.turn()
    assert nodes.sent == [(OPENED, "key.revoked")]
    assert [each.subject for each in other.alerts.open] == ["a\0key"]


async def test_of_nodes_that_begin_at_once_one_leads(nodes: Nodes, tmp_path: Path) -> None:
    """However often they ask; once its lease has ended it is the other one."""
    (one, _), (other, _) = await nodes.begin(), await nodes.begin()
    leads = [await node.store.alerting.leads() for node in (one, other, one, other)]
    assert leads == [True, False, True, False]
    with psycopg.connect(url_in(tmp_path), autocommit=True) as connection:
        connection.execute(
            "UPDATE nodes SET expires_at = '-infinity' WHERE number IN (SELECT node FROM leaders)"
        )
    assert await other.store.alerting.leads()
