"""`$state` and `$previous` of a schedule as the API shows them, and `PUT …/state` (§6)."""

from datetime import timedelta
from hashlib import sha256

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import START
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


async def test_what_a_run_leaves_is_shown(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Its response is `$previous`, what it sets is in `$state`; numbers keep their text."""
    content = b'{"ok":1.10,"$set":{"seen":[1e2]}}'
    target.respond(httpx.Response(200, content=content))
    first = START + timedelta(hours=1)
    path = await api.create_schedule(repeat_every=[1, "hour"], starts_at=first.isoformat())
    shown = (await api.get(path)).text
    assert '"state":{},"previous":{}' in shown
    clock.set(first)
    await booper.wait_idle()
    shown = (await api.get(path)).text
    assert '"state":{"seen":[1e2]},"previous":{"ok":1.10' in shown


async def test_a_state_is_replaced_and_the_next_run_has_it(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Keys that are not in the body are gone; what runs set later is merged into it."""
    target.respond(
        httpx.Response(200, json={"$set": {"old": 1}}), httpx.Response(200, json={"$set": {"b": 2}})
    )
    path = await api.create_schedule(
        repeat_every=[1, "hour"], method="post", body={"state": "$state"}, metadata=False
    )
    await booper.wait_idle()
    response = await api.put(f"{path}/state", content=b'{"a":1.10}')
    assert response.status_code == 200, response.text
    assert '"state":{"a":1.10}' in response.text
    clock.set(START + timedelta(hours=1))
    await booper.wait_idle()
    assert target.received[-1].content == b'{"state":{"a":1.10}}'
    assert (await api.read(path))["state"] == {"a": 1.1, "b": 2}


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"[1]", 422, "object"),
        (b'"text"', 422, "object"),
        (b"", 400, "JSON"),
        (b"{", 400, "JSON"),
        (b'{"a":"' + b"x" * 65_536 + b'"}', 422, "at most 65536 bytes"),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", 422, "levels deep"),
    ],
)
async def test_what_can_be_no_state_is_refused(
    api: Api, content: bytes, status: int, detail: str
) -> None:
    """By the rules for what a run sets (§6, §12), and nothing is changed."""
    path = await api.create_schedule()
    assert (await api.put(f"{path}/state", json={"kept": 1})).status_code == 200
    response = await api.put(f"{path}/state", content=content)
    assert response.status_code == status, response.text
    assert detail in response.text
    assert (await api.read(path))["state"] == {"kept": 1}


async def test_the_same_state_again_changes_nothing(api: Api, admin: Api) -> None:
    """So the audit has one entry."""
    path = await api.create_schedule()
    for _ in range(2):
        assert (await api.put(f"{path}/state", json={"n": 1})).status_code == 200
    actions = [entry["action"] for entry in await admin.read("/api/audit")]
    assert actions.count("schedule.state") == 1


async def test_its_timeline_tells_of_it(api: Api) -> None:
    """And by whom."""
    path = await api.create_schedule()
    await api.put(f"{path}/state", json={"n": 1})
    texts = [event["text"] for event in await api.read(f"{path}/timeline")]
    assert any(text.startswith("the schedule's $state was replaced by ") for text in texts)


async def test_a_state_is_replaced_only_if_it_is_the_one_seen(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """What a run has set meanwhile is not lost: 409, and nothing is changed."""
    target.respond(httpx.Response(200, json={"$set": {"n": 1}}))
    path = await api.create_schedule(repeat_every=[1, "hour"], schedule_in=60)
    seen = (await api.read(path))["state_version"]
    clock.set(START + timedelta(minutes=1))
    await booper.wait_idle()
    response = await api.put(f"{path}/state?if_version={seen}", json={"mine": 1})
    assert response.status_code == 409
    found = await api.read(path)
    assert found["state"] == {"n": 1}
    assert found["state_version"] != seen
    query = f"if_version={found['state_version']}"
    done = (await api.put(f"{path}/state?{query}", json={"mine": 1})).json()["data"]
    assert done["state"] == {"mine": 1}
    assert (await api.put(f"{path}/state?{query}", json={"mine": 2})).status_code == 409
    assert (await api.read(path))["state"] == {"mine": 1}
    response = await api.put(f"{path}/state?if_version=newest", json={})
    assert response.json()["errors"][0]["pointer"] == "/if_version"


async def test_equal_states_have_one_version(api: Api) -> None:
    """Of whatever schedule: it is a mark of the JSON text alone."""
    paths = [await api.create_schedule(schedule_in=60) for _ in range(2)]
    one, other = [(await api.read(path))["state_version"] for path in paths]
    assert one == other == sha256(b"{}").hexdigest()[:16]
