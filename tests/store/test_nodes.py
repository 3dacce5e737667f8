"""The nodes of a database: who serves it."""

import socket
from datetime import timedelta

import pytest

from booper.clock import SystemClock
from booper.store.base import Store
from tests.support import stores
from tests.support.stores import SECOND, Restart

pytestmark = pytest.mark.anyio

opening, process, store, restart = stores.opening, stores.process, stores.store, stores.restart


async def test_a_process_is_a_node(store: Store) -> None:
    """It has the name of its machine, and a number under which it claims."""
    [node] = await store.nodes.list()
    assert (node.name, node.is_this) == (socket.gethostname(), True)
    assert node.number > 0
    assert abs(SystemClock().now() - node.started_at) < 60 * SECOND
    assert node.lease_age is None or timedelta(0) <= node.lease_age < 60 * SECOND


async def test_another_process_is_another_node(store: Store, restart: Restart) -> None:
    """It has another number; the one before is gone."""
    [before] = await store.nodes.list()
    [after] = await (await restart()).nodes.list()
    assert after.number > before.number
