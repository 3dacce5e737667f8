"""`[limits] max_waiting`: a user who has left enough to be done gets 429."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Limits
from tests.conftest import KEY
from tests.support.api import URL, Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

LATER = {"url": URL, "schedule_in": 3600}
LIMIT = 3


@pytest.fixture
async def booper(config: Config, clock: VirtualClock, target: FakeTarget) -> AsyncIterator[Booper]:
    """Run a booper in which three jobs of a user may wait."""
    limited = replace(config, limits=Limits(max_waiting=LIMIT))
    async with Booper(
        limited, api_key=KEY, clock=clock, random=Random(1), transport=target
    ) as running:
        yield running


async def status(api: Api, **fields: Any) -> int:
    """Return the status of a create."""
    return (await api.post("/api/jobs", json={**LATER, **fields})).status_code


async def test_the_fourth_of_three_is_refused_until_one_is_gone(api: Api) -> None:
    """The response names the limit and when to come again; a cancel makes room at once."""
    assert [await status(api) for _ in range(LIMIT)] == [201] * LIMIT
    refused = await api.post("/api/jobs", json=LATER)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.json()["detail"] == (
        "3 of your jobs wait, and at most 3 may ([limits] max_waiting); cancel some, "
        "or try again later"
    )
    await api.act("/api/jobs/2/cancel")
    assert [await status(api), await status(api)] == [201, 429]


async def test_what_was_sent_does_not_count(booper: Booper, api: Api) -> None:
    """Jobs that are completed make room for others."""
    for _ in range(4 * LIMIT):
        assert await status(api, schedule_in=0) == 201
        await booper.wait_idle()


@pytest.mark.parametrize("fields", [{}, {"tags": ["a"]}, {"repeat_every": 3600}])
async def test_simultaneous_creates_cannot_pass_it_together(
    api: Api, fields: dict[str, Any]
) -> None:
    """Of fifty at once exactly three are made: the count is read with the write."""
    found = await asyncio.gather(*(status(api, **fields) for _ in range(50)))
    assert sorted(found) == [201] * LIMIT + [429] * 47


async def test_a_batch_is_filled_up_to_the_limit(api: Api) -> None:
    """Each item has its own result; with `atomic` none is made."""
    body = {"jobs": [LATER, {**LATER, "tags": ["a"]}, LATER, LATER, LATER]}
    assert (await api.post("/api/jobs/batch?atomic=true", json=body)).status_code == 422
    found = (await api.post("/api/jobs/batch", json=body)).json()["data"]
    assert [each["status"] for each in found] == [201] * LIMIT + [429] * 2


async def test_what_makes_no_new_job_is_not_refused(api: Api) -> None:
    """A create whose key is taken, a dry run, and a replacement."""
    await api.create(**LATER, idempotency_key="k")
    for _ in range(LIMIT - 1):
        await api.create(**LATER)
    assert await status(api, idempotency_key="k") == 200
    assert await status(api, idempotency_key="k", on_conflict="replace") == 200
    assert (await api.post("/api/jobs?dry_run=true", json=LATER)).status_code == 200


async def test_a_schedule_goes_on_at_the_limit(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Its next run is planned whatever waits; one beside the plan is refused."""
    schedule = await api.create_schedule(cron="0 * * * *")
    for _ in range(LIMIT - 1):
        await api.create(url=URL, schedule_in=86_400)
    assert (await api.post(f"{schedule}/run")).status_code == 429
    for _ in range(3):
        clock.advance(timedelta(hours=1))
        await booper.wait_idle()
    assert len(target.received) == 3


async def test_each_user_has_a_limit_of_their_own(booper: Booper, api: Api, admin: Api) -> None:
    """What one user leaves to be done is not another's."""
    made = await admin.act("/api/keys", {"name": "other", "user": "other"})
    assert [await status(api) for _ in range(LIMIT + 1)] == [201] * LIMIT + [429]
    async with Api(booper.asgi, made["key"]) as other:
        assert [await status(other) for _ in range(LIMIT + 1)] == [201] * LIMIT + [429]
