"""Callbacks and webhook events: what they say, when they come, who may trust them (contract §7)."""

import errno
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from standardwebhooks import Webhook, WebhookVerificationError

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Targets, Webhooks
from tests.conftest import KEY, START
from tests.support.api import URL, Api
from tests.support.described import check_report, report_schema
from tests.support.described import described as described_by_document
from tests.support.processes import allow_local_targets, listening_target, serving, until
from tests.support.programs import Hosts, content_of, json_of
from tests.support.running import running

HOOK = "https://hooks.test/events"
CALLBACK = "https://callback.test/done"

# Standard Webhooks: whsec_ and 24 to 64 bytes as base64; these are 24 times "a" and "b".
OLD_SECRET = "whsec_" + "YWFh" * 8
NEW_SECRET = "whsec_" + "YmJi" * 8

HEADERS = {"Authorization": "Bearer secret", "X-Kind": "test"}
SHOWN_HEADERS = {"Authorization": "[redacted]", "X-Kind": "test"}


class Receiver:
    """Take in reports, each once; refuse the first of those kinds it is told to.

    `events` are the bodies it took in, `requests` all that arrived.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.requests: list[httpx.Request] = []
        self.refused: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer 500 to what is to be refused, 204 to the others."""
        self.requests.append(request)
        event = json_of(request)
        if event.get("type") in self.refused:
            self.refused.remove(event["type"])
            return httpx.Response(500)
        self.events.append(event)
        return httpx.Response(204)

    def sequences(self) -> list[int]:
        """Return the place of each event it took in."""
        return [event["data"]["sequence"] for event in self.events]


@pytest.fixture
def hooks() -> Receiver:
    """Return the receiver of webhook events."""
    return Receiver()


@pytest.fixture
def callbacks() -> Receiver:
    """Return the receiver of callbacks."""
    return Receiver()


@pytest.fixture(autouse=True)
def described(hooks: Receiver, callbacks: Receiver) -> Iterator[None]:
    """Check at the end that whatever a test was sent is as the API document describes it."""
    yield
    for sent in (*hooks.events, *callbacks.events):
        check_report(sent)


@pytest.fixture
def target(hooks: Receiver, callbacks: Receiver) -> Hosts:
    """Return a target at which both receivers live; work is answered by its script."""
    return Hosts({"hooks.test": hooks, "callback.test": callbacks})


async def pass_through(booper: Booper, clock: VirtualClock, times: Iterable[datetime]) -> None:
    """Advance to these times one after the other; everything due at each is done."""
    for at in times:
        clock.set(at)
        await booper.wait_idle()


def minutes(count: int) -> list[datetime]:
    """Return so many times a minute apart, the first a minute after `START`."""
    return [START + n * timedelta(minutes=1) for n in range(1, count + 1)]


def without_duration(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload without the one value that is measured."""
    assert payload["duration_ms"] >= 0
    return {name: value for name, value in payload.items() if name != "duration_ms"}


def verified(request: httpx.Request, secret: str) -> Any:
    """Return what a receiver that knows a secret takes a report to say."""
    return Webhook(secret).verify(content_of(request), dict(request.headers))


def verifies(request: httpx.Request, secret: str) -> bool:
    """Return whether a receiver that knows a secret would trust a report."""
    try:
        verified(request, secret)
    except WebhookVerificationError:
        return False
    return True


# Webhook events


@pytest.mark.anyio
async def test_each_step_of_a_job_is_an_event(
    booper: Booper, api: Api, target: Hosts, hooks: Receiver
) -> None:
    """A job that completes at once has four events, in order, with what was sent and received."""
    target.respond(httpx.Response(201, json={"made": 1}, headers={"Set-Cookie": "a=b"}))
    job = await api.create(
        method="post", body={"a": 1}, query={"q": "x"}, headers=HEADERS, webhook_url=HOOK
    )
    await booper.wait_idle()
    assert [event.keys() for event in hooks.events] == [{"type", "timestamp", "data"}] * 4
    assert {event["timestamp"] for event in hooks.events} == {"2030-01-01T12:00:00.000000Z"}
    started, request, response, finished = hooks.events
    about = {"job_id": job["job_id"], "attempt": 1}
    assert started["type"] == "job.started"
    assert started["data"] == {**about, "sequence": 1}
    assert request["type"] == "job.request"
    assert request["data"] == {
        **about,
        "sequence": 2,
        "method": "POST",
        "url": URL,
        "query": {"q": "x"},
        "headers": SHOWN_HEADERS,
        "body": {"a": 1},
    }
    assert response["type"] == "job.response"
    assert without_duration(response["data"]) == {
        **about,
        "sequence": 3,
        "status": 201,
        "headers": {
            "content-length": "10",
            "content-type": "application/json",
            "set-cookie": "[redacted]",
        },
        "body": {"made": 1},
    }
    assert finished["type"] == "job.finished"
    assert finished["data"] == {**about, "sequence": 4, "state": "completed", "last_error": None}


@pytest.mark.anyio
async def test_each_attempt_has_its_events_and_the_job_one_end(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
    hooks: Receiver,
) -> None:
    """Attempts that get a 500, no response and a 200 are told apart by number and place."""
    target.respond(httpx.Response(500), httpx.ConnectError("refused"))
    brought = [("job.response", 500), ("job.error", None), ("job.response", 200)]
    await api.create(webhook_url=HOOK, backoff=[60])
    await pass_through(booper, clock, [START, *minutes(2)])
    shown = [(event["type"], event["data"]["attempt"]) for event in hooks.events]
    assert shown == [
        (kind, attempt)
        for attempt, (last, _) in enumerate(brought, start=1)
        for kind in ("job.started", "job.request", last)
    ] + [("job.finished", 3)]
    assert hooks.sequences() == sorted(set(hooks.sequences()))
    statuses = [
        event["data"].get("status")
        for event in hooks.events
        if event["type"] in ("job.response", "job.error")
    ]
    assert statuses == [status for _, status in brought]
    (error,) = [event["data"] for event in hooks.events if event["type"] == "job.error"]
    assert error.keys() == {"job_id", "attempt", "sequence", "error", "message", "duration_ms"}
    assert (error["error"], error["message"]) == ("connect", "refused")


@pytest.mark.anyio
async def test_an_event_that_fails_holds_back_no_other(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    hooks: Receiver,
) -> None:
    """The others come at once; the refused one comes again, unchanged, after its backoff.

    That is 15 + 2^1 = 17 s and at most 10 % more.
    """
    hooks.refused = ["job.started"]
    await api.create(webhook_url=HOOK)
    await booper.wait_idle()
    assert hooks.sequences() == [2, 3, 4]
    await pass_through(booper, clock, [START + timedelta(seconds=16.9)])
    assert hooks.sequences() == [2, 3, 4]
    await pass_through(booper, clock, [START + timedelta(seconds=18.7)])
    assert hooks.sequences() == [2, 3, 4, 1]
    first, *_, again = hooks.requests
    assert content_of(first) == content_of(again)
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert (first.headers["booper-attempt"], again.headers["booper-attempt"]) == ("1", "2")


@pytest.mark.anyio
async def test_the_next_event_waits_until_the_one_before_was_answered(
    booper: Booper, api: Api, clock: VirtualClock, target: Hosts
) -> None:
    """While `job.started` is on its way, `job.request` is not sent, however long that takes."""
    target.hold()
    await api.create(webhook_url=HOOK)
    for n in (0, 1):
        # Claimed together with what is due: when it arrives, the loop has looked at the events.
        marker = f"https://marker.test/{n}"
        await api.create(url=marker)
        while marker not in map(str, (request.url for request in target.received)):
            target.arrived.clear()
            await target.arrived.wait()
    events = [json_of(request) for request in target.received if request.url.host == "hooks.test"]
    assert [event["type"] for event in events] == ["job.started"]
    target.release()
    await booper.wait_idle()
    types = [json_of(sent)["type"] for sent in target.received if sent.url.host == "hooks.test"]
    assert types == ["job.started", "job.request", "job.response", "job.finished"]


@pytest.mark.anyio
@pytest.mark.parametrize("is_stopped", [False, True])
async def test_an_attempt_that_was_given_back_has_its_events_again(
    config: Config, clock: VirtualClock, target: Hosts, hooks: Receiver, *, is_stopped: bool
) -> None:
    """With the same numbers: a stop and a shortage of ours cost no attempt, and no number."""
    config = replace(config, delivery=replace(config.delivery, grace_seconds=0))
    if not is_stopped:
        target.respond(OSError(errno.EMFILE, "Too many open files"))
    async with running(config, clock, target) as (booper, api):
        if is_stopped:
            target.hold()
        await api.create(webhook_url=HOOK)
        if not is_stopped:
            await booper.wait_idle()
        while URL not in map(str, (request.url for request in target.received)):
            target.arrived.clear()
            await target.arrived.wait()
    target.release()
    clock.advance(timedelta(minutes=1))
    async with running(config, clock, target) as (booper, _):
        await booper.wait_idle()
    numbers = [(each["type"], each["data"]["attempt"]) for each in hooks.events]
    begun = [("job.started", 1), ("job.request", 1)]
    assert numbers == [*begun, *begun, ("job.response", 1), ("job.finished", 1)]
    assert hooks.sequences() == [1, 2, 1, 2, 3, 4]


@pytest.mark.anyio
async def test_a_job_cancelled_before_it_ran_has_one_event(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    hooks: Receiver,
    callbacks: Receiver,
) -> None:
    """It ends as cancelled, without an attempt; there is no result for a callback to tell."""
    job = await api.create(schedule_in=60, webhook_url=HOOK, callback_url=CALLBACK)
    await api.post(f"/api/jobs/{job['job_id']}/cancel")
    await api.post(f"/api/jobs/{job['job_id']}/cancel")
    await pass_through(booper, clock, [START, *minutes(2)])
    (event,) = hooks.events
    assert event["type"] == "job.finished"
    assert event["data"] == {
        "job_id": job["job_id"],
        "attempt": 0,
        "sequence": 0,
        "state": "cancelled",
        "last_error": None,
    }
    assert callbacks.events == []


@pytest.mark.anyio
async def test_a_job_cancelled_while_it_ran_has_ended_then(
    booper: Booper,
    api: Api,
    target: Hosts,
    hooks: Receiver,
    callbacks: Receiver,
) -> None:
    """What its request still brings is no event, and no callback."""
    target.hold()
    job = await api.create(webhook_url=HOOK, callback_url=CALLBACK)
    while not target.received:
        await target.arrived.wait()
    await api.post(f"/api/jobs/{job['job_id']}/cancel")
    target.release()
    await booper.wait_idle()
    types = [event["type"] for event in hooks.events]
    assert types == ["job.started", "job.request", "job.finished"]
    assert hooks.events[-1]["data"]["state"] == "cancelled"
    assert callbacks.events == []


@pytest.mark.anyio
@pytest.mark.parametrize("action", ["disable", "delete", "cancel"])
async def test_a_waiting_run_that_is_cancelled_with_its_schedule_has_its_event(
    booper: Booper, api: Api, hooks: Receiver, action: str
) -> None:
    """However a run comes to be cancelled, `job.finished` says so."""
    job = await api.create(repeat_every=60, schedule_in=60, webhook_url=HOOK)
    schedule = f"/api/schedules/{job['schedule_id']}"
    match action:
        case "disable":
            await api.post(f"{schedule}/disable")
        case "delete":
            await api.delete(schedule)
        case _:
            await api.post(f"/api/jobs/{job['job_id']}/cancel")
    await booper.wait_idle()
    ends = [(event["type"], event["data"]["state"]) for event in hooks.events]
    assert ends == [("job.finished", "cancelled")]


# The callback


@pytest.mark.anyio
async def test_the_callback_tells_the_final_result(
    booper: Booper, api: Api, target: Hosts, callbacks: Receiver
) -> None:
    """One POST with the job as the API shows it, what was sent, and what was answered."""
    target.respond(httpx.Response(200, text="done"))
    job = await api.create(
        method="put", body={"a": 1}, headers=HEADERS, callback_url=CALLBACK, name="work"
    )
    await booper.wait_idle()
    (callback,) = callbacks.events
    (request,) = callbacks.requests
    assert (request.method, str(request.url)) == ("POST", CALLBACK)
    assert request.headers["content-type"] == "application/json"
    assert callback.keys() == {"job", "request", "response", "attempt", "final"}
    assert callback["job"] == await api.read(f"/api/jobs/{job['job_id']}")
    assert callback["job"]["job"]["state"] == "completed"
    assert callback["request"] == {
        "method": "PUT",
        "url": URL,
        "query": {},
        "headers": SHOWN_HEADERS,
        "body": {"a": 1},
    }
    assert without_duration(callback["response"]) == {
        "status": 200,
        "headers": {"content-length": "4", "content-type": "text/plain; charset=utf-8"},
        "body": "done",
    }
    assert (callback["attempt"], callback["final"]) == (1, True)


@pytest.mark.anyio
async def test_the_callback_comes_once_after_the_last_attempt(
    booper: Booper, api: Api, clock: VirtualClock, target: Hosts, callbacks: Receiver
) -> None:
    """Two failures are told to nobody; the success of the third attempt is."""
    target.respond(httpx.Response(500), httpx.Response(503))
    await api.create(callback_url=CALLBACK, backoff=[60])
    await pass_through(booper, clock, [START, *minutes(1)])
    assert callbacks.events == []
    await pass_through(booper, clock, minutes(60)[1:])
    (callback,) = callbacks.events
    assert (callback["attempt"], callback["final"]) == (3, True)
    assert callback["response"]["status"] == 200


@pytest.mark.anyio
async def test_the_callback_of_a_discarded_job_says_why(
    booper: Booper, api: Api, clock: VirtualClock, target: Hosts, callbacks: Receiver
) -> None:
    """Without a response in the last attempt there is an error in its place."""
    target.respond(httpx.Response(500), httpx.ReadError("reset"))
    await api.create(callback_url=CALLBACK, backoff=[60], max_attempts=2)
    await pass_through(booper, clock, [START, *minutes(60)])
    (callback,) = callbacks.events
    assert callback.keys() == {"job", "request", "error", "attempt", "final"}
    assert callback["job"]["job"]["state"] == "discarded"
    assert without_duration(callback["error"]) == {"error": "read", "message": "reset"}
    assert (callback["attempt"], callback["final"]) == (2, True)


@pytest.mark.anyio
async def test_a_callback_that_fails_is_retried(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
) -> None:
    """It is a job like any other: the same body again, with the same key, until it is taken."""
    # The work's answer, and that of a callback at a host where no program lives.
    target.respond(httpx.Response(200), httpx.Response(502))
    await api.create(callback_url="https://elsewhere.test/")
    await pass_through(booper, clock, [START, *minutes(10)])
    first, second = (sent for sent in target.received if sent.url.host == "elsewhere.test")
    assert content_of(first) == content_of(second)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


@pytest.mark.anyio
async def test_each_run_of_a_schedule_has_its_callback_and_events(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
    hooks: Receiver,
    callbacks: Receiver,
) -> None:
    """Three runs, three callbacks and three rows of events, and none for the run that waits."""
    await api.create(repeat_every=60, callback_url=CALLBACK, webhook_url=HOOK)
    await pass_through(booper, clock, [START, *minutes(2)])
    runs = [
        int(sent.headers["booper-job-id"])
        for sent in target.received
        if sent.url.host == "target.test"
    ]
    assert len(runs) == 3
    assert [callback["job"]["job_id"] for callback in callbacks.events] == runs
    told = {(event["data"]["job_id"], event["data"]["sequence"]) for event in hooks.events}
    assert told == {(run, place) for run in runs for place in (1, 2, 3, 4)}
    assert len(hooks.events) == 12


@pytest.mark.anyio
async def test_a_run_whose_request_cannot_be_built_is_reported(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
    hooks: Receiver,
    callbacks: Receiver,
) -> None:
    """There is no request to tell of: `request` is null and no `job.request` comes."""
    target.respond(httpx.Response(200, json={"token": "a\nb"}))
    await api.create(
        repeat_every=60,
        headers={"X-Token": "$previous.token"},
        callback_url=CALLBACK,
        webhook_url=HOOK,
    )
    await pass_through(booper, clock, [START, *minutes(1)])
    _, callback = callbacks.events
    assert (callback["request"], callback["error"]["error"]) == (None, "refused")
    assert callback["job"]["job"]["state"] == "discarded"
    types = [event["type"] for event in hooks.events[4:]]
    assert types == ["job.started", "job.error", "job.finished"]


# Who sees reports


@pytest.mark.anyio
async def test_reports_are_listed_only_when_asked_for(booper: Booper, api: Api) -> None:
    """Neither the jobs nor the log show them; `kind` and their own number do."""
    job = await api.create(callback_url=CALLBACK, webhook_url=HOOK)
    await booper.wait_idle()
    assert [each["job_id"] for each in await api.read("/api/jobs")] == [job["job_id"]]
    entries = await api.read("/api/logs")
    assert [entry["job_id"] for entry in entries] == [job["job_id"]] * 2
    (callback,) = await api.read("/api/jobs?kind=callback")
    assert callback["args"]["url"] == CALLBACK
    events = await api.read("/api/jobs?kind=webhook")
    assert [event["args"]["url"] for event in events] == [HOOK] * 4
    entries = await api.read(f"/api/logs?job_id={callback['job_id']}")
    assert {entry["job_id"] for entry in entries} == {callback["job_id"]}
    assert len(entries) == 2


@pytest.mark.anyio
async def test_cancelling_every_job_spares_reports(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    hooks: Receiver,
) -> None:
    """A report that waits for its retry is none of the user's jobs, so `all` leaves it alone."""
    hooks.refused = ["job.finished"]
    await api.create(webhook_url=HOOK)
    await booper.wait_idle()
    response = await api.post("/api/jobs/cancel", json={"filter": {"all": True}})
    assert response.json()["data"] == {"matched": 0, "changed": 0}
    await pass_through(booper, clock, minutes(1))
    assert hooks.sequences() == [1, 2, 3, 4]


# Signatures


def test_every_published_report_is_as_it_is_described() -> None:
    """The examples of the document, one of each kind."""
    reports = described_by_document()["webhooks"]
    assert set(reports) == {
        *("job.started", "job.request", "job.response", "job.error", "job.finished", "callback"),
        *("alert.opened", "alert.closed"),
    }
    for each in reports.values():
        check_report(each["post"]["requestBody"]["content"]["application/json"]["example"])


@pytest.mark.anyio
async def test_numbers_of_events_rise_also_over_a_job_that_is_sent_again(
    config: Config, clock: VirtualClock, hooks: Receiver, target: Hosts
) -> None:
    """They order the events of one job; a number that is left out means nothing."""
    async with running(config, clock, target) as (booper, api):
        target.respond(*(httpx.Response(status) for status in (500, 500, 200)))
        job = await api.create(webhook_url=HOOK, max_attempts=2, backoff=[60])
        await pass_through(booper, clock, minutes(3))
        await api.post(f"/api/jobs/{job['job_id']}/retry")
        await pass_through(booper, clock, minutes(6))
        numbers = hooks.sequences()
        assert len(numbers) >= 11
        assert numbers == sorted(set(numbers))
        data = report_schema("job.started")["properties"]["data"]["properties"]
        assert "not always by one" in data["sequence"]["description"]


def with_secrets(config: Config, *secrets: str) -> Config:
    """Return settings with these `[webhooks] secret`."""
    return Config(
        database=config.database, targets=config.targets, webhooks=Webhooks(secret=secrets)
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("secrets", "trusting"),
    [
        ((OLD_SECRET,), {OLD_SECRET}),
        ((OLD_SECRET, NEW_SECRET), {OLD_SECRET, NEW_SECRET}),
        ((NEW_SECRET,), {NEW_SECRET}),
        ((), set()),
    ],
    ids=["before the rotation", "during it", "after it", "unsigned"],
)
async def test_reports_are_signed_for_those_who_know_a_secret(
    config: Config,
    clock: VirtualClock,
    target: Hosts,
    hooks: Receiver,
    callbacks: Receiver,
    secrets: tuple[str, ...],
    trusting: set[str],
) -> None:
    """A receiver verifies by the specification's own library; without a secret none can."""
    async with running(with_secrets(config, *secrets), clock, target) as (booper, api):
        await api.create(callback_url=CALLBACK, webhook_url=HOOK)
        await booper.wait_idle()
    reports = [*hooks.requests, *callbacks.requests]
    assert len(reports) == 5
    for report in reports:
        known = {secret for secret in (OLD_SECRET, NEW_SECRET) if verifies(report, secret)}
        assert known == trusting
        for secret in trusting:
            assert verified(report, secret) == json_of(report)
        assert ("webhook-signature" in report.headers) == bool(secrets)
    identities = [report.headers.get("webhook-id") for report in reports]
    assert len(set(identities)) == (5 if secrets else 1)


@pytest.mark.anyio
async def test_a_retry_after_a_rotation_is_signed_by_the_new_secret(
    config: Config, clock: VirtualClock, target: Hosts, hooks: Receiver
) -> None:
    """The event keeps its `webhook-id`, by which a receiver knows it again."""
    hooks.refused = ["job.finished"]
    async with running(with_secrets(config, OLD_SECRET), clock, target) as (booper, api):
        await api.create(webhook_url=HOOK)
        await booper.wait_idle()
    clock.advance(timedelta(minutes=1))
    async with running(with_secrets(config, NEW_SECRET), clock, target) as (booper, api):
        await booper.wait_idle()
    *_, first, again = hooks.requests
    assert (verifies(first, OLD_SECRET), verifies(first, NEW_SECRET)) == (True, False)
    assert (verifies(again, OLD_SECRET), verifies(again, NEW_SECRET)) == (False, True)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]


@pytest.mark.anyio
async def test_a_changed_report_does_not_verify(
    config: Config, clock: VirtualClock, target: Hosts, hooks: Receiver
) -> None:
    """The signature covers the body, so a receiver notices a single changed byte."""
    async with running(with_secrets(config, OLD_SECRET), clock, target) as (booper, api):
        await api.create(webhook_url=HOOK)
        await booper.wait_idle()
    report = hooks.requests[-1]
    body = content_of(report).replace(b"completed", b"discarded")
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(OLD_SECRET).verify(body, dict(report.headers))


@pytest.mark.anyio
async def test_a_job_of_a_user_is_not_signed(
    config: Config, clock: VirtualClock, target: Hosts
) -> None:
    """A signature says that booper speaks; what users have sent is their own word."""
    async with running(with_secrets(config, OLD_SECRET), clock, target) as (booper, api):
        await api.create(method="post", body={"type": "job.finished"})
        await booper.wait_idle()
    (request,) = target.received
    assert not [name for name in request.headers if name.startswith("webhook-")]


# Where reports may go


@pytest.mark.anyio
@pytest.mark.parametrize("field", ["callback_url", "webhook_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.test/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://169.254.169.254/latest/meta-data/",
        "https://user:password@hooks.test/",
        "hooks.test",
        "",
    ],
)
async def test_a_report_to_where_no_job_may_go_is_refused_at_the_create(
    config: Config, clock: VirtualClock, target: Hosts, field: str, url: str
) -> None:
    """The URL of a report passes the guard like any target's: 422, and nothing is stored."""
    async with running(strict(config), clock, target) as (_, api):
        response = await api.post("/api/jobs", json={"url": URL, field: url})
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]
        assert await api.read("/api/jobs") == []


@pytest.mark.anyio
async def test_a_report_to_where_no_job_may_go_any_more_is_discarded(
    config: Config, clock: VirtualClock, target: Hosts
) -> None:
    """Allowed at the create and refused by now, it is not sent; the job itself is not touched."""
    inside = "http://10.1.2.3/"
    async with running(config, clock, target) as (booper, api):
        job = await api.create(schedule_in=60, callback_url=inside, webhook_url=inside)
    clock.advance(timedelta(minutes=1))
    async with running(strict(config), clock, target) as (booper, api):
        await booper.wait_idle()
        assert [str(request.url) for request in target.received] == [URL]
        assert (await api.read(f"/api/jobs/{job['job_id']}"))["job"]["state"] == "completed"
        for kind, count in (("callback", 1), ("webhook", 4)):
            reports = await api.read(f"/api/jobs?kind={kind}")
            assert [report["job"]["state"] for report in reports] == ["discarded"] * count
            assert all("10.1.2.3" in report["job"]["last_error"] for report in reports)


def strict(config: Config) -> Config:
    """Return settings with the guard as it is by default."""
    return Config(database=config.database, targets=Targets())


@pytest.mark.anyio
async def test_what_opens_the_own_helpers_goes_to_no_other_host(
    config: Config, clock: VirtualClock, target: Hosts
) -> None:
    """The secret header is for helper paths at booper's own address, also after a redirect."""
    own = "http://127.0.0.1:2667/api/broadcast"
    others = [
        "https://other.test/api/broadcast",
        "http://127.0.0.1:2668/api/broadcast",
        "http://localhost:2667/api/broadcast",
        "http://127.0.0.1:2667/api/jobs",
        "http://127.0.0.1:2667/api/broadcast/../jobs",
        "http://127.0.0.1.test:2667/api/broadcast",
    ]
    async with (
        Booper(
            config,
            api_key=KEY,
            address=("127.0.0.1", 2667),
            clock=clock,
            random=Random(1),
            transport=target,
        ) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        target.respond(httpx.Response(302, headers={"Location": "https://other.test/"}))
        await api.create(url=own, follow_redirects=True, callback_url=CALLBACK, webhook_url=HOOK)
        await booper.wait_idle()
        for url in others:
            await api.create(url=url, method="post", body={"content": "hello"})
        await booper.wait_idle()
        secret = target.received[0].headers["booper-own"]
        logged = (await api.get("/api/logs?limit=100")).text
    with_header = [str(sent.url) for sent in target.received if "booper-own" in sent.headers]
    assert with_header == [own]
    # The own path and what it redirected to, four events, the callback, the others.
    assert len(target.received) == 2 + 4 + 1 + len(others)
    assert secret not in logged


# Crashes


def config_of_copy(folder: Path, database: Path) -> Config:
    """Copy a database aside as a crash would leave it; return settings that use the copy."""
    folder.mkdir()
    for name in (database.name, f"{database.name}-wal"):
        shutil.copy(database.with_name(name), folder / name)
    return Config(
        database=Database(path=str(folder / database.name)),
        targets=Targets(require_https=False, allow_private_networks=True),
    )


@pytest.mark.anyio
@pytest.mark.parametrize("moment", ["target.test", "callback.test"])
async def test_a_callback_survives_a_crash(
    config: Config, clock: VirtualClock, tmp_path: Path, moment: str
) -> None:
    """Booper dies as the target answers, or with the callback on its way: it comes after all.

    What was on its way is sent again, the rest is not.
    """
    crashed: list[Config] = []

    def crash(request: httpx.Request) -> httpx.Response:
        crashed.append(config_of_copy(tmp_path / "crashed", Path(config.database.path)))
        return httpx.Response(200)

    async with running(config, clock, Hosts({moment: crash})) as (booper, api):
        job = await api.create(callback_url=CALLBACK)
        await booper.wait_idle()
    again, callbacks = list[httpx.Request](), Receiver()

    def work(request: httpx.Request) -> httpx.Response:
        again.append(request)
        return httpx.Response(200)

    after = Hosts({"target.test": work, "callback.test": callbacks})
    async with running(crashed[0], clock, after) as (booper, api):
        await booper.wait_idle()
        assert (await api.read(f"/api/jobs/{job['job_id']}"))["job"]["state"] == "completed"
    (callback,) = callbacks.events
    assert (callback["job"]["job_id"], callback["final"]) == (job["job_id"], True)
    attempts = [request.headers["booper-attempt"] for request in again]
    assert attempts == (["2"] if moment == "target.test" else [])
    assert callback["attempt"] == (2 if moment == "target.test" else 1)


@pytest.mark.anyio
async def test_the_events_of_an_attempt_that_a_crash_cut_off(
    config: Config, clock: VirtualClock, tmp_path: Path
) -> None:
    """Its error says that it was interrupted; with the second attempt no event is missing."""
    crashed: list[Config] = []

    def crash(request: httpx.Request) -> httpx.Response:
        crashed.append(config_of_copy(tmp_path / "crashed", Path(config.database.path)))
        return httpx.Response(200)

    async with running(config, clock, Hosts({"target.test": crash})) as (booper, api):
        await api.create(webhook_url=HOOK)
        await booper.wait_idle()
    hooks = Receiver()
    async with running(crashed[0], clock, Hosts({"hooks.test": hooks})) as (booper, api):
        await booper.wait_idle()
    assert sorted(hooks.sequences()) == [1, 2, 3, 5, 6, 7, 8]
    first_sends = [
        json_of(request)["data"]["sequence"]
        for request in hooks.requests
        if request.headers["booper-attempt"] == "1"
    ]
    assert first_sends == sorted(first_sends)
    (error,) = [event for event in hooks.events if event["type"] == "job.error"]
    assert (error["data"]["error"], error["data"]["attempt"]) == ("interrupted", 1)


def test_a_callback_survives_a_kill(tmp_path: Path) -> None:
    """Killed between a target's response and the callback's, booper sends it at the next start."""
    allow_local_targets(tmp_path, f'[webhooks]\nsecret = "{OLD_SECRET}"\n')
    with listening_target() as target:
        target.hold()
        with serving(tmp_path) as daemon:
            number = daemon.post(f"{target.url}/work", callback_url=f"{target.url}/done")
            until(lambda: "/work" in target.paths(), "the work was sent")
            target.release("/work")
            until(lambda: "/done" in target.paths(), "the callback was sent")
            key = daemon.key
            daemon.kill()
        target.release()
        with serving(tmp_path, key=key) as daemon:
            until(lambda: target.paths().count("/done") == 2, "the callback came again")
            assert daemon.job(number)["state"] == "completed"
        assert target.paths() == ["/work", "/done", "/done"]
        _, first, again = target.received
        assert first.body == again.body
        assert Webhook(OLD_SECRET).verify(again.body, dict(again.headers))["final"] is True
        assert first.headers["webhook-id"] == again.headers["webhook-id"]
        assert (first.headers["booper-attempt"], again.headers["booper-attempt"]) == ("1", "2")
