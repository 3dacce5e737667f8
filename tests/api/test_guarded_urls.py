"""Every URL that a user can hand in passes the guard, by whichever way it comes (contract §12)."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Targets
from booper.model.args import Args
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

GOOD = "https://8.8.8.8/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# One of each kind; what the guard says to all others is its own tests' part.
BAD = [
    "http://8.8.8.8/",
    "https://127.0.0.1/",
    "https://localhost/",
    "https://0x7f.1/",
    "https://[::ffff:127.0.0.1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://user:secret@8.8.8.8/",
    "https://8.8.8.8\\@127.0.0.1/",
    "ftp://8.8.8.8/",
    "http://127.0.0.1:2667/api/keys",
    "app:/tasks",
]
FIELDS = ["url", "callback_url", "webhook_url"]


@pytest.fixture
async def api(config: Config, clock: VirtualClock, target: FakeTarget) -> AsyncIterator[Api]:
    """Serve the API under the default policy: https, and public addresses only."""
    default = msgspec.structs.replace(config, targets=Targets())
    address = ("127.0.0.1", 2667)
    async with (
        Booper(
            default, api_key=KEY, address=address, clock=clock, random=Random(1), transport=target
        ) as booper,
        Api(booper.asgi, KEY) as client,
    ):
        yield client


def refused(response: httpx.Response, pointer: str) -> None:
    """Check that a response is 422 and points at nothing but this field."""
    assert response.status_code == 422, response.text
    problem = response.json()
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert "secret" not in response.text


def test_every_field_that_holds_a_url_is_tried() -> None:
    """A new field whose name says that it holds a URL belongs into `FIELDS`."""
    fields = [field.name for field in msgspec.structs.fields(Args)]
    assert sorted(name for name in fields if name.endswith("url")) == sorted(FIELDS)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("field", FIELDS)
async def test_no_way_in_takes_a_url_that_the_guard_refuses(
    api: Api, target: FakeTarget, field: str, bad: str
) -> None:
    """Create, form, dry run, batch and change of a schedule: 422, and nothing is stored or sent."""
    fields: dict[str, Any] = {"url": GOOD, field: bad}
    refused(await api.post("/api/jobs", json=fields), f"/{field}")
    refused(await api.post("/api/jobs", content=urlencode(fields), headers=FORM), f"/{field}")
    refused(await api.post("/api/jobs?dry_run=true", json=fields), f"/{field}")
    [response] = (await api.post("/api/jobs/batch", json={"jobs": [fields]})).json()["data"]
    assert (response["status"], response["error"]["errors"][0]["pointer"]) == (422, f"/{field}")
    made = await api.post(
        "/api/jobs", json={"url": GOOD, "schedule_in": 3600, "repeat_every": 3600}
    )
    schedule = f"/api/schedules/{made.json()['data']['schedule_id']}"
    before = (await api.get(schedule)).json()
    refused(await api.patch(schedule, json={field: bad}), f"/{field}")
    assert (await api.get(schedule)).json() == before
    assert len((await api.get("/api/jobs")).json()["data"]) == 1
    assert target.received == []


async def test_a_good_url_comes_in_everywhere(api: Api) -> None:
    """The refusals above are about the URL."""
    fields: dict[str, Any] = {"schedule_in": 3600, **dict.fromkeys(FIELDS, GOOD)}
    assert (await api.post("/api/jobs", json=fields)).status_code == 201
    form = urlencode({**fields, "schedule_in": "3600"})
    assert (await api.post("/api/jobs", content=form, headers=FORM)).status_code == 201
    made = await api.post("/api/jobs", json={**fields, "repeat_every": 3600})
    schedule = f"/api/schedules/{made.json()['data']['schedule_id']}"
    change = dict.fromkeys(FIELDS, "https://8.8.4.4/")
    assert (await api.patch(schedule, json=change)).status_code == 200
