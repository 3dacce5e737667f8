"""Incidents that several nodes write at once: none is missed, none is seen twice."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from booper.store.base import Store
from booper.store.postgres.connections import Connector
from tests.conftest import START
from tests.support.postgres import postgres, url_in

pytestmark = pytest.mark.anyio

INSERT = """
INSERT INTO incidents (kind, job_id, name, origin, tags, reason, count)
VALUES ('discarded', %s, '', '', '[]', '', 1)
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store."""
    async with postgres(tmp_path) as opened:
        yield opened


async def look(store: Store, behind: int) -> tuple[list[int], int]:
    """Return the jobs of the incidents behind a number, and the number of the last."""
    incidents = (await store.alerting.facts(behind, START, [], 3)).incidents
    return [each.job_id for each in incidents], incidents[-1].id if incidents else behind


async def test_an_incident_that_is_committed_late_is_seen(store: Store, tmp_path: Path) -> None:
    """It has a lower number than one that was dealt with, and is not deleted with that."""
    connector = Connector(url_in(tmp_path))
    with closing(connector.open()) as slow, closing(connector.open()) as fast:
        slow.execute("BEGIN")
        slow.execute(INSERT, [1])
        fast.execute(INSERT, [2])
        found, until = await look(store, 0)
        assert found == [2]
        slow.execute("COMMIT")
        await store.alerting.save([], [], until)
    found, until = await look(store, until)
    assert found == [1]
    await store.alerting.save([], [], until)
    assert await look(store, 0) == ([], 0)


async def test_what_was_not_dealt_with_is_seen_again(store: Store, tmp_path: Path) -> None:
    """By a look from behind the last that was, under the numbers it had."""
    with closing(Connector(url_in(tmp_path)).open()) as connection:
        for number in (1, 2, 3):
            connection.execute(INSERT, [number])
    incidents = (await store.alerting.facts(0, START, [], 3)).incidents
    assert (await store.alerting.facts(0, START, [], 3)).incidents == incidents
    assert await look(store, incidents[0].id) == ([2, 3], incidents[2].id)
    await store.alerting.save([], [], incidents[1].id)
    assert await look(store, 0) == ([3], incidents[2].id)
