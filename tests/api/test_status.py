"""`/api/status`: how booper is doing, as an operator asks."""

from datetime import timedelta

import httpx
import pytest

from booper import __version__
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.conftest import START
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


async def test_a_new_booper_has_nothing_to_tell(admin: Api, config: Config) -> None:
    """But its version, its slots and its database."""
    status = await admin.read("/api/status")
    assert status["version"] == __version__
    assert status["is_sending"] is True
    assert set(status["jobs"].values()) == {0}
    assert status["due"] == {"count": 0, "are_more": False, "oldest_at": None}
    assert status["last_hour"]["late_seconds"] is None
    assert status["slots"] == {"total": 64, "taken": 0, "origins": {}}
    assert (status["pauses"], status["breakers"], status["backups"]) == ([], [], None)
    assert set(status["database_bytes"]) == {"file", "log", "free"}
    free = status["disk_free_bytes"]
    assert free is None if config.database.url else free > 0


async def test_what_runs_waits_and_happened_is_shown(
    booper: Booper, api: Api, admin: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """One job completes a minute late, one is discarded, one is in flight, one is paused."""
    await api.create(schedule_in=1)
    clock.set(START + timedelta(seconds=61))
    await booper.wait_idle()
    target.respond(httpx.Response(500))
    await api.create(max_attempts=1)
    await booper.wait_idle()
    await admin.act("/api/pause", {"host": "paused.test"})
    await api.create(url="https://paused.test/", callback_url="https://paused.test/")
    target.hold()
    target.arrived.clear()
    await api.create(url="https://held.test/")
    await target.arrived.wait()
    status = await admin.read("/api/status")
    assert status["jobs"] == {
        "scheduled": 1,
        "executing": 1,
        "retryable": 0,
        "completed": 1,
        "discarded": 1,
        "cancelled": 0,
    }
    assert status["due"] == {
        "count": 1,
        "are_more": False,
        "oldest_at": "2030-01-01T12:01:01.000000Z",
    }
    # One of two was 60 seconds late: the part of the histogram that ends there.
    assert status["last_hour"] | {"duration_seconds": 0} == {
        "completed": 1,
        "failed": 1,
        "discarded": 1,
        "skipped": 0,
        "late_seconds": 60,
        "duration_seconds": 0,
    }
    assert status["slots"] == {"total": 64, "taken": 1, "origins": {"https://held.test": 1}}
    assert [pause["target"] for pause in status["pauses"]] == ["paused.test"]
    target.release()
