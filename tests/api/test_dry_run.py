"""Dry runs: what a create would do, and that it does nothing (contract §10)."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from booper import __version__
from booper.api.application import create_application
from booper.api.services import Services
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Targets
from booper.engine.changes import Changes
from booper.engine.channels import Channels
from booper.engine.commands import Commands
from booper.engine.delivery import Delivery
from booper.engine.executor import Defaults, Executor
from booper.engine.feeds import Feeds
from booper.engine.reports import Reports
from booper.engine.scheduler import Scheduler
from booper.guard.policy import Guard
from booper.http.adapter import HttpxClient
from booper.model.key import NewKey, digest_of
from booper.model.retry import Backoff
from booper.store.sqlite import open_store
from booper.wire.redaction import Redaction
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

URL = "https://127.0.0.1/hook"  # an address: no name is looked up
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


async def dry_run(api: Api, **fields: object) -> Any:
    """Post a dry run and return what would happen."""
    response = await api.post("/api/jobs?dry_run=true", json={"url": URL, **fields})
    assert response.status_code == 200, response.text
    assert "location" not in response.headers
    assert set(response.json()) == {"data"}
    data = response.json()["data"]
    assert set(data) == {"request", "next_runs", "retries", "conflict", "guard", "held_by"}
    return data


def after(*seconds: float) -> list[str]:
    """Write times that lie so many seconds after noon, as in `job.*`."""
    times = [NOON + timedelta(seconds=each) for each in seconds]
    return [time.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for time in times]


def pointers(response: httpx.Response) -> list[str]:
    """Return where the errors of a 422 point."""
    assert response.status_code == 422, response.text
    return [error["pointer"] for error in response.json()["errors"]]


@pytest.mark.parametrize(
    "fields", [{}, {"repeat_every": 60}, {"idempotency_key": "k"}, {"webhook_url": URL}]
)
async def test_nothing_is_stored_and_nothing_sent(
    api: Api,
    booper: Booper,
    clock: VirtualClock,
    target: FakeTarget,
    fields: dict[str, object],
) -> None:
    """A dry run leaves neither job, schedule, log entry nor key behind."""
    for _ in range(2):
        assert (await dry_run(api, **fields))["conflict"] is None
    clock.advance(timedelta(hours=1))
    await booper.wait_idle()
    assert target.received == []
    for path in ("/api/jobs", "/api/jobs?kind=webhook", "/api/schedules", "/api/logs"):
        assert (await api.get(path)).json() == {"data": []}
    assert (await api.post("/api/jobs", json={"url": URL, **fields})).status_code == 201


@pytest.mark.parametrize("query", ["dry_run=false", ""])
async def test_a_run_is_not_dry_unless_asked(api: Api, query: str) -> None:
    """`dry_run=false` creates."""
    assert (await api.post(f"/api/jobs?{query}", json={"url": URL})).status_code == 201


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("dry_run=", "/dry_run"),
        ("dry_run=yes", "/dry_run"),
        ("dry_run=1", "/dry_run"),
        ("dryrun=true", "/dryrun"),
        ("dry_run=true&x=1", "/x"),
    ],
)
async def test_a_misspelt_dry_run_creates_nothing(api: Api, query: str, pointer: str) -> None:
    """Who meant to try must not have done it."""
    assert pointers(await api.post(f"/api/jobs?{query}", json={"url": URL})) == [pointer]
    assert (await api.get("/api/jobs")).json() == {"data": []}


async def test_a_wrong_create_is_refused_as_it_would_be(api: Api) -> None:
    """A dry run checks all that a create checks, and as strictly."""
    for body, status in [
        ({"url": URL, "schedule_in": [1, "moment"], "method": "fetch"}, 422),
        ({"url": URL, "cron": "0 0 31 2 *"}, 422),
        ({}, 422),
        ([], 422),
    ]:
        wet = await api.post("/api/jobs", json=body)
        dry = await api.post("/api/jobs?dry_run=true", json=body)
        assert dry.status_code == status
        assert dry.json() == wet.json()
    response = await api.post(
        "/api/jobs?dry_run=true", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400


async def test_a_form_is_tried_as_well(api: Api) -> None:
    """The daily standup's form of §11."""
    form = f"method=post&url={URL}&body[content]=Time for standup!&cron=0 9 * * 1-5"
    response = await api.post(
        "/api/jobs?dry_run=true",
        content=form,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 200
    # The clock stands at noon of Tuesday 2030-01-01; the 5th and 6th are a weekend.
    assert [at[:16] for at in response.json()["data"]["next_runs"]] == [
        "2030-01-02T09:00",
        "2030-01-03T09:00",
        "2030-01-04T09:00",
        "2030-01-07T09:00",
        "2030-01-08T09:00",
    ]


# The request.


async def test_the_request_is_the_one_that_would_be_sent(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """What a dry run shows is what the same create then sends, but for the job's own ids (§8)."""
    fields: dict[str, object] = {
        "method": "put",
        "query": {"q": ["a b", 1], "n": None},
        "headers": {"X-A": 5, "X-B": True, "user-agent": "mine"},
        "body": {"content": "Hello world!", "é": [1.5, None]},
    }
    shown = (await dry_run(api, **fields))["request"]
    assert set(shown) == {"method", "url", "headers", "body"}
    await api.post("/api/jobs", json={"url": URL, **fields})
    await booper.wait_idle()
    [sent] = target.received
    assert (shown["method"], shown["url"]) == (sent.method, str(sent.url))
    assert shown["url"] == URL + "?q=a+b&q=1"
    assert json.loads(shown["body"]) == json.loads(sent.read()) == fields["body"]
    seen = {name.lower(): value for name, value in shown["headers"].items()}
    own = {"booper-job-id", "idempotency-key"}
    for name in set(seen) - own:
        assert seen[name] == sent.headers[name], name
    assert (seen["x-a"], seen["x-b"], seen["user-agent"]) == ("5", "true", "mine")
    assert seen["content-type"] == "application/json"
    assert (seen["booper-attempt"], seen["booper-scheduled-at"]) == ("1", after(0)[0])
    assert own <= set(seen)


async def test_a_bare_request_has_no_body(api: Api) -> None:
    """GET without a body is shown with null, and with booper's own headers alone."""
    shown = (await dry_run(api, schedule_in=30))["request"]
    assert (shown["method"], shown["url"], shown["body"]) == ("GET", URL, None)
    assert "Content-Type" not in shown["headers"]
    assert shown["headers"]["User-Agent"] == f"booper/{__version__}"
    assert shown["headers"]["Booper-Scheduled-At"] == after(30)[0]


async def test_the_request_hides_secrets(api: Api) -> None:
    """`Authorization` and `Cookie` are hidden as in any log (§4)."""
    headers = {"Authorization": "Bearer hidden", "cookie": "hidden=1", "X-A": "b"}
    response = await api.post("/api/jobs?dry_run=true", json={"url": URL, "headers": headers})
    assert "hidden" not in response.text
    shown = response.json()["data"]["request"]["headers"]
    assert (shown["Authorization"], shown["cookie"]) == ("[redacted]", "[redacted]")
    assert shown["X-A"] == "b"


async def test_a_schedules_request_is_its_first_runs(api: Api) -> None:
    """References are replaced by what the first run finds: nothing yet (§6)."""
    fields: dict[str, object] = {
        "method": "post",
        "body": {"seen": "$state.seen", "price": "$$5"},
        "query": {"last": "$previous.id"},
        "repeat_every": 60,
    }
    shown = (await dry_run(api, **fields))["request"]
    body = json.loads(shown["body"])
    assert (body["seen"], body["price"]) == (None, "$5")
    assert (body["$previous"], body["$state"]) == ({}, {})
    assert "id" in body["$job"]
    assert shown["url"] in (URL, URL + "?last=null", URL + "?last=")
    shown = (await dry_run(api, **fields, metadata=False))["request"]
    assert json.loads(shown["body"]) == {"seen": None, "price": "$5"}


# The times.


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [0]),
        ({"schedule_in": [2, "hours"]}, [7_200]),
        ({"scheduled_at": "2029-01-01"}, [0]),
        ({"repeat_every": 90}, [0, 90, 180, 270, 360]),
        ({"repeat_every": 90, "schedule_in": 30}, [30, 120, 210, 300, 390]),
        ({"repeat_every": 90, "max_runs": 2}, [0, 90]),
        ({"repeat_every": 90, "ends_at": "2030-01-01T12:03:00Z"}, [0, 90, 180]),
        ({"repeat_every": 90, "starts_at": "2030-01-01T12:01:00Z", "max_runs": 1}, [60]),
        ({"repeat_every": 90, "jitter": 60, "max_runs": 2}, [0, 90]),
        # On the hour from 13:00, with a start at 13:30 from 14:00.
        ({"cron": "30 * * * *"}, [1_800, 5_400, 9_000, 12_600, 16_200]),
        ({"cron": "0 * * * *", "schedule_in": 5_400, "max_runs": 2}, [7_200, 10_800]),
        # 9:00 in Tokyo is midnight in UTC, 12 hours on.
        (
            {"cron": "0 9 * * *", "timezone": "Asia/Tokyo", "max_runs": 2},
            [43_200, 43_200 + 86_400],
        ),
    ],
)
async def test_the_next_five_times_are_told(
    api: Api, fields: dict[str, object], expected: list[float]
) -> None:
    """Of a schedule up to five planned times, of a one-off its one."""
    assert (await dry_run(api, **fields))["next_runs"] == after(*expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # 15 + 2^attempt seconds after each failure: 17, then 19, then 23.
        ({"max_attempts": 4}, [17, 17 + 19, 17 + 19 + 23]),
        ({"max_attempts": 4, "schedule_in": 60}, [77, 96, 119]),
        ({"max_attempts": 2}, [17]),
        ({"max_attempts": 1}, []),
        # The last of a list repeats.
        ({"max_attempts": 5, "backoff": [10, [1, "minute"]]}, [10, 70, 130, 190]),
        ({"max_attempts": 3, "backoff": [0]}, [1, 2]),
        # A retry at or after the next planned time is not made (§8): 17 and 36, but 59 is.
        ({"repeat_every": 60}, [17, 36, 59]),
        ({"repeat_every": 59}, [17, 36]),
        ({"repeat_every": 60, "backoff": [30]}, [30]),
        ({"repeat_every": 60, "max_attempts": 2}, [17]),
        # Nothing comes after the only run.
        ({"repeat_every": 60, "backoff": [30], "max_runs": 1, "max_attempts": 4}, [30, 60, 90]),
    ],
)
async def test_the_retries_are_told_until_it_is_given_up(
    api: Api, fields: dict[str, object], expected: list[float]
) -> None:
    """When each further attempt would begin if all failed at once, without jitter (§8)."""
    assert (await dry_run(api, **fields))["retries"] == after(*expected)


async def test_the_default_retries_last_nine_hours(api: Api) -> None:
    """14 retries follow the first of 15 attempts; the last after 32,976 s.

    14 * 15 s = 210 s, and 2^1 + … + 2^14 = 2^15 - 2 = 32,766 s.
    """
    retries = (await dry_run(api))["retries"]
    assert len(retries) == 14
    assert retries[-1] == after(32_976)[0]


# Conflicts.


@pytest.mark.parametrize("on_conflict", ["ignore", "replace", "reject"])
async def test_a_conflict_shows_the_job_that_holds_the_key(api: Api, on_conflict: str) -> None:
    """The holder's resource with `has_confict` true, null if the key is free; no 409 (§10)."""
    made = (
        await api.post(
            "/api/jobs", json={"url": URL, "idempotency_key": "k", "schedule_in": 60, "name": "n"}
        )
    ).json()["data"]
    shown = await dry_run(api, idempotency_key="k", on_conflict=on_conflict)
    assert shown["conflict"] == {**made, "job": {**made["job"], "has_confict": True}}
    assert (await dry_run(api, idempotency_key="other"))["conflict"] is None
    assert (await dry_run(api))["conflict"] is None
    found = (await api.get(f"/api/jobs/{made['job_id']}")).json()["data"]
    assert found == made
    await api.delete(f"/api/jobs/{made['job_id']}")
    assert (await dry_run(api, idempotency_key="k"))["conflict"] is None


async def test_a_conflict_with_a_schedule_shows_its_run(api: Api) -> None:
    """Of a schedule the waiting run is shown, secrets hidden."""
    made = await api.post(
        "/api/jobs",
        json={
            "url": URL,
            "idempotency_key": "k",
            "repeat_every": 60,
            "schedule_in": 60,
            "headers": {"Authorization": "hidden"},
        },
    )
    shown = (await dry_run(api, idempotency_key="k"))["conflict"]
    assert shown["schedule_id"] == made.json()["data"]["schedule_id"]
    assert shown["args"]["headers"] == {"Authorization": "[redacted]"}


async def test_a_conflict_shows_no_other_users_job(api: Api, admin: Api) -> None:
    """Keys are each user's own."""
    await api.post("/api/jobs", json={"url": URL, "idempotency_key": "k", "schedule_in": 60})
    made = await admin.post("/api/keys", json={"name": "second", "user": "somebody else"})
    theirs = {"Authorization": f"Bearer {made.json()['data']['key']}"}
    body = {"url": URL, "idempotency_key": "k"}
    response = await api.post("/api/jobs?dry_run=true", json=body, headers=theirs)
    assert response.json()["data"]["conflict"] is None


# The guard.


@pytest.mark.parametrize("url", [URL, "http://10.0.0.1:8080/", "https://[2606:4700::1]/"])
async def test_the_guard_lets_an_address_out(api: Api, url: str) -> None:
    """An address that may be reached needs no look-up."""
    shown = await dry_run(api, url=url)
    assert shown["guard"] == {"allowed": True, "reason": None}


async def test_what_the_url_shows_is_422_and_what_allow_names_is_let_out(
    tmp_path: Path, clock: VirtualClock, target: FakeTarget
) -> None:
    """Refusals that the URL itself shows are told at once (§12), in a dry run too."""
    config = Config(
        database=Database(path=str(tmp_path / "booper.db")),
        targets=Targets(allow=("10.1.0.0/16",)),
    )
    async with (
        Booper(config, api_key=KEY, clock=clock, random=Random(1), transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        for url in ("http://10.1.2.3/", "https://10.1.2.3/", "https://1.1.1.1/"):
            assert (await dry_run(api, url=url))["guard"] == {"allowed": True, "reason": None}
        for url in ("https://10.2.0.1/", "http://1.1.1.1/", "https://169.254.169.254/"):
            response = await api.post("/api/jobs?dry_run=true", json={"url": url})
            assert pointers(response) == ["/url"], url


# What a name server would answer to the names of the tests below.
ANSWERS = {
    "public.test": ["93.184.216.34"],
    "both.test": ["93.184.216.34", "10.0.0.1"],
    "private.test": ["192.168.1.1"],
    "metadata.test": ["169.254.169.254"],
    "six.test": ["::1"],
    "allowed.test": ["10.0.0.1"],
}


async def resolve(host: str, port: int) -> Sequence[str]:
    """Answer from the table; what is not in it does not resolve."""
    if host not in ANSWERS:
        raise OSError("Name or service not known")
    return ANSWERS[host]


@asynccontextmanager
async def resolving(path: Path, clock: VirtualClock, target: FakeTarget) -> AsyncIterator[Api]:
    """Serve the API over a guard that asks `resolve`, the edge to the name servers."""
    guard = Guard(
        require_https=True,
        allow_private_networks=False,
        allow=("allowed.test",),
        own=(),
        resolve=resolve,
    )
    random, backoff, agent = Random(1), Backoff(), "booper/test"
    defaults = Defaults(timedelta(seconds=30), backoff, agent, Redaction())
    reports = Reports(guard, 15, Redaction())
    async with open_store(path / "booper.db", "normal", random) as store:
        await store.keys.create(NewKey("test", None, digest_of(KEY)), clock.now())
        delivery = Delivery(HttpxClient(target), guard, 1 << 18)
        executor = Executor(store.queue, delivery, reports, clock, random, defaults)
        scheduler = Scheduler(store, executor, reports, clock)
        feeds = Feeds()
        services = Services(
            store=store,
            commands=Commands(store, scheduler, reports, feeds, 15),
            scheduler=scheduler,
            feeds=feeds,
            channels=Channels(clock, random, feeds),
            changes=Changes(store, feeds, clock),
            guard=guard,
            clock=clock,
            max_body_bytes=1 << 20,
            max_batch_bytes=1 << 24,
            max_attempts=15,
            backoff=backoff,
            redaction=Redaction(),
            key_ttl=timedelta(0),
            user_agent=agent,
            own_secret="",
        )
        async with Api(create_application(services), KEY) as client:
            yield client


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("public.test", None),
        ("allowed.test", None),
        ("both.test", "in a private network"),  # one bad address is enough
        ("private.test", "in a private network"),
        ("metadata.test", "a cloud metadata service"),
        ("six.test", "a loopback address"),
        ("missing.test", "missing.test"),
    ],
)
async def test_the_guard_judges_what_the_name_servers_answer(
    tmp_path: Path, clock: VirtualClock, target: FakeTarget, host: str, reason: str | None
) -> None:
    """What only the DNS answer shows is told with its reason; the dry run itself is fine (§10)."""
    async with resolving(tmp_path, clock, target) as api:
        shown = (await dry_run(api, url=f"https://{host}/"))["guard"]
    assert shown["allowed"] is (reason is None)
    if reason is None:
        assert shown["reason"] is None
    else:
        assert reason in shown["reason"]
        for address in ("10.0.0.1", "192.168.1.1", "169.254.169.254", "::1"):
            assert address not in shown["reason"], "only whoever wrote an address is told it"
    assert target.received == []
