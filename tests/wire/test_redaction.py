"""Headers that carry secrets: hidden in what is stored and in what is shown (contract §4)."""

import json
from collections.abc import AsyncIterator
from random import Random

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.wire.redaction import REDACTED, Redaction
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

CANARY = "canary-5f1c"
HEADERS = {"x-API-key": CANARY, "Authorization": CANARY, "X-Plain": "shown"}
HIDDEN = {"x-API-key": "[redacted]", "Authorization": "[redacted]", "X-Plain": "shown"}


@pytest.fixture
async def careful(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> AsyncIterator[tuple[Booper, Api]]:
    """Run a booper whose operator hides `X-Api-Key` and `X-Signature` as well."""
    delivery = msgspec.structs.replace(config.delivery, redact_headers=("X-Api-Key", "x-signature"))
    hiding = msgspec.structs.replace(config, delivery=delivery)
    async with (
        Booper(hiding, api_key=KEY, clock=clock, random=Random(1), transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        yield booper, api


@pytest.mark.parametrize("timing", [{}, {"repeat_every": [1, "hour"]}])
async def test_the_operators_headers_are_hidden_after_the_create(
    careful: tuple[Booper, Api], target: FakeTarget, timing: dict[str, object]
) -> None:
    """Only the create's response and the target see the values; no list, log, dry run."""
    booper, api = careful
    target.respond(httpx.Response(200, headers={"X-Signature": CANARY}))
    fields = {"url": "https://target.test/", "headers": HEADERS, "idempotency_key": "k", **timing}
    made = await api.post("/api/jobs", json=fields)
    assert made.json()["data"]["args"]["headers"] == HEADERS
    await booper.wait_idle()
    paths = ("/api/jobs", "/api/jobs/1", "/api/logs", "/api/schedules")
    shown = [await api.get(path) for path in paths]
    shown.append(await api.post("/api/jobs?dry_run=true", json=fields))
    assert CANARY not in "".join(answer.text for answer in shown)
    response, request = shown[2].json()["data"]
    assert request["payload"]["headers"] == HIDDEN
    assert response["payload"]["headers"]["x-signature"] == "[redacted]"
    assert target.received[0].headers["x-api-key"] == CANARY


async def test_reports_hide_the_operators_headers_too(
    careful: tuple[Booper, Api], target: FakeTarget
) -> None:
    """Webhook events and the callback show what the log shows (§7)."""
    booper, api = careful
    report = "https://reports.test/"
    fields = {"url": "https://target.test/", "headers": HEADERS}
    await api.post("/api/jobs", json={**fields, "callback_url": report, "webhook_url": report})
    await booper.wait_idle()
    reports = [sent.read() for sent in target.received if "reports" in str(sent.url)]
    assert len(reports) == 5  # job.started, job.request, job.response, job.finished, the callback
    assert not any(CANARY.encode() in body for body in reports)
    assert sum(b"[redacted]" in body for body in reports) == 2


@given(name=st.sampled_from(["Authorization", "COOKIE", "x-mine", "X-MINE", "other"]))
def test_names_are_matched_in_any_letter_case(name: str) -> None:
    """Neither the operator's spelling nor the user's matters (RFC 9110 §5.1)."""
    redaction = Redaction.of(["X-Mine"])
    shown = "v" if name == "other" else "[redacted]"
    assert redaction.headers({name: "v"}) == {name: shown}
    args = json.dumps({"url": "https://a.test/", "headers": {name: "v"}})
    assert json.loads(redaction.args(args))["headers"] == {name: shown}


def test_redacting_makes_a_copy() -> None:
    """The headers that are about to be sent are not the ones that are hidden."""
    headers = {"Cookie": "session=1"}
    assert Redaction().headers(headers) == {"Cookie": REDACTED}
    assert headers == {"Cookie": "session=1"}
