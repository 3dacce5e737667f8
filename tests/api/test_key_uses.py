"""When a key was last used, as `/api/keys` shows it."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.travel import Travel
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.configs import over_a_file
from tests.support.dashboard import Browser
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)

# The clock begins at 2030-01-01T12:00:00Z; what is done is done 90 s later.
LATER = timedelta(seconds=90)
USED = "2030-01-01T12:01:00.000000Z"


async def by_list(booper: Booper, key: str) -> int:
    """List jobs with a key."""
    async with Api(booper.asgi, key) as client:
        return (await client.get("/api/jobs")).status_code


async def by_create(booper: Booper, key: str) -> int:
    """Create a job with a key."""
    async with Api(booper.asgi, key) as client:
        body = {"url": "https://target.test/", "schedule_in": 60}
        return (await client.post("/api/jobs", json=body)).status_code


async def by_forbidden(booper: Booper, key: str) -> int:
    """Do what only a key of scope `admin` may."""
    async with Api(booper.asgi, key) as client:
        return (await client.get("/api/keys")).status_code


async def by_open_path(booper: Booper, key: str) -> int:
    """Send a key where none is needed, so that nobody looks at it."""
    async with Api(booper.asgi, key) as client:
        return (await client.get("/api/ping")).status_code


async def by_sign_in(booper: Booper, key: str) -> int:
    """Open a session of the dashboard with a key."""
    async with Browser(booper.asgi) as browser:
        return (await browser.submit("/sign-in", {"key": key})).status_code


async def by_wrong_key(booper: Booper, key: str) -> int:
    """Send a key that nobody has."""
    return await by_list(booper, f"{key}x")


USES: list[tuple[Callable[[Booper, str], Awaitable[int]], int, str | None]] = [
    (by_list, 200, USED),
    (by_create, 201, USED),
    (by_forbidden, 403, USED),
    (by_sign_in, 303, USED),
    (by_open_path, 200, None),
    (by_wrong_key, 401, None),
]


async def last_use(admin: Api, name: str) -> str | None:
    """Return when the key of this name was last used."""
    [found] = [key for key in await admin.read("/api/keys") if key["name"] == name]
    used_at: str | None = found["last_used_at"]
    return used_at


async def made(admin: Api) -> str:
    """Make a key called "spare" and return it."""
    return str((await admin.act("/api/keys", {"name": "spare"}))["key"])


@pytest.mark.parametrize(("use", "status", "expected"), USES)
async def test_a_key_is_used_by_what_it_opens(
    booper: Booper,
    admin: Api,
    clock: VirtualClock,
    use: Callable[[Booper, str], Awaitable[int]],
    status: int,
    expected: str | None,
) -> None:
    """Its list shows that at once and to the minute; null is never. Others are not used by it."""
    key = await made(admin)
    assert await last_use(admin, "spare") is None
    clock.advance(LATER)
    assert await use(booper, key) == status
    assert await last_use(admin, "spare") == expected
    assert await last_use(admin, "BOOPER_API_KEY") is None


async def test_a_page_of_a_session_is_a_use_of_its_key(
    booper: Booper, admin: Api, clock: VirtualClock
) -> None:
    """Each page, and not only each that notes the session's own use."""
    key = await made(admin)
    async with Browser(booper.asgi) as browser:
        await browser.sign_in(key)
        assert await last_use(admin, "spare") == "2030-01-01T12:00:00.000000Z"
        clock.advance(LATER)
        await browser.see("/jobs")
        assert await last_use(admin, "spare") == USED


async def test_what_a_revoked_key_sends_is_no_use(
    booper: Booper, admin: Api, clock: VirtualClock
) -> None:
    """Neither by itself nor by a session that it has opened; its last use stays known."""
    key = await made(admin)
    async with Browser(booper.asgi) as browser:
        await browser.sign_in(key)
        [spare] = [each for each in await admin.read("/api/keys") if each["name"] == "spare"]
        revoked = (await admin.delete(f"/api/keys/{spare['id']}")).json()["data"]
        assert revoked["last_used_at"] == "2030-01-01T12:00:00.000000Z"
        clock.advance(LATER)
        assert await by_list(booper, key) == 401
        assert (await browser.get("/jobs")).status_code == 303
    assert await last_use(admin, "spare") == "2030-01-01T12:00:00.000000Z"


async def test_the_configured_key_is_a_key_as_others(
    booper: Booper, admin: Api, clock: VirtualClock
) -> None:
    """That of BOOPER_API_KEY has a row of its own, and is used by what it opens."""
    clock.advance(LATER)
    assert await by_list(booper, KEY) == 200
    assert await last_use(admin, "BOOPER_API_KEY") == USED


async def test_a_stop_keeps_what_was_used_last(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """Another start shows it."""
    for expected in (None, USED):
        booper = Booper(config, api_key=KEY, clock=clock, random=Random(1), transport=target)
        async with booper, Api(booper.administration) as admin:
            assert await last_use(admin, "BOOPER_API_KEY") == expected
            if expected is None:
                clock.advance(LATER)
                await by_list(booper, KEY)


def stored(config: Config) -> list[int | None]:
    """Return what the file has of the last uses of keys."""
    with closing(sqlite3.connect(Path(config.database.path))) as opened:
        return [used_at for (used_at,) in opened.execute("SELECT last_used_at FROM keys")]


@over_a_file
async def test_travelling_in_time_writes_no_uses(
    booper: Booper, clock: VirtualClock, config: Config, api: httpx.AsyncClient
) -> None:
    """The minutes in which they are written are those of the machine."""
    assert (await api.get("/api/jobs")).status_code == 200
    await Travel(booper, clock).by(DAY)
    assert await by_create(booper, KEY) == 201  # committed after what was begun before
    assert stored(config) == [None]
