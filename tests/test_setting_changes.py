"""Settings that change while booper runs: which do, what they do then, and which wait."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

import anyio
import httpx
import msgspec
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Delivery, Origin, Server
from booper.errors import ConfigError
from booper.setting_changes import LIVE, changes
from tests.conftest import KEY
from tests.support.alerts import all_told, looked, until
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + "A" * 32
ALERTS = "https://alerts.test/hook"
NO_DISK = MappingProxyType({"disk_free_bytes": 0})
DISCORD = "https://discord.test/hook"


# --- which ----------------------------------------------------------------------------------------


def test_what_can_change_is_a_setting() -> None:
    """Each of its table."""
    for table, names in LIVE.items():
        assert set(names) <= set(getattr(Config(), table).__struct_fields__)


def test_what_cannot_change_stays_until_a_restart() -> None:
    """While the rest changes at once."""
    old = Config(server=Server(port=1), delivery=Delivery(concurrency=8, timeout_seconds=5))
    new = Config(server=Server(port=2, rate_limit=3.0), database=Database(path="other.db"))
    found = changes(old, new)
    assert found.config == Config(
        server=Server(port=1, rate_limit=3.0), delivery=Delivery(concurrency=8)
    )
    assert found.made == ["[server] rate_limit", "[delivery] timeout_seconds"]
    assert found.waiting == ["[server] port", "[database] path", "[delivery] concurrency"]


# before -> after: what is used, what has changed, what waits; all of the origin "a.example"
ORIGINS: list[tuple[Origin, Origin, Origin, bool, bool]] = [
    (Origin(), Origin(), Origin(), False, False),
    (Origin(verify=False), Origin(), Origin(), True, False),
    (Origin(), Origin(verify=False), Origin(verify=False), True, False),
    (Origin(slots=2), Origin(slots=3), Origin(slots=2), False, True),
    (Origin(slots=2, verify=False), Origin(proxy=""), Origin(slots=2, proxy=""), True, True),
    (Origin(), Origin(slots=2, proxy=""), Origin(proxy=""), True, True),
    (Origin(slots=2), Origin(), Origin(slots=2), False, True),
]


@pytest.mark.parametrize(("before", "after", "used", "is_made", "waits"), ORIGINS)
def test_slots_of_origins_wait_and_the_rest_changes(
    before: Origin, after: Origin, used: Origin, is_made: bool, waits: bool
) -> None:
    """Also where a table comes or goes."""
    found = changes(*(Config(origins={"a.example": table}) for table in (before, after)))
    assert found.config.origins.get("a.example", Origin()) == used
    assert found.made == ['[origins."a.example"]'] * is_made
    assert found.waiting == ['[origins."a.example"] slots'] * waits


# --- what they do ---------------------------------------------------------------------------------


class Given(NamedTuple):
    """What a probe works with."""

    api: Api
    booper: Booper
    clock: VirtualClock
    target: FakeTarget
    log: pytest.LogCaptureFixture | None = None

    async def posted(self, **fields: Any) -> httpx.Response:
        """Return the response to a create."""
        return await self.api.post("/api/jobs", json={"url": "http://target.test/", **fields})

    async def sent(self, **fields: Any) -> httpx.Request:
        """Return the last request that a job has brought."""
        await self.posted(**fields)
        await self.booper.wait_idle()
        return self.target.received[-1]


Probe = Callable[[Given], Awaitable[object]]


async def large(given: Given) -> object:
    """Return the status of a large create."""
    return (await given.posted(body="x" * 2_000)).status_code


async def often(given: Given) -> object:
    """Return the statuses of two reads at once."""
    return [(await given.api.get("/api/jobs")).status_code for _ in range(2)][-1]


async def location(given: Given) -> object:
    """Return where a job is."""
    return (await given.posted()).headers["location"].partition("/api/")[0]


async def cors(given: Given) -> object:
    """Return which pages may read a response."""
    response = await given.api.get("/api/ping", headers={"Origin": "https://app.example"})
    return response.headers.get("access-control-allow-origin")


async def again(given: Given) -> object:
    """Return the status of a create whose key a finished job has had."""
    await given.sent(idempotency_key="one")
    return (await given.posted(idempotency_key="one")).status_code


async def plain(given: Given) -> object:
    """Return the status of a create with a plain URL."""
    return (await given.posted()).status_code


async def private(given: Given) -> object:
    """Return the status of a create that means a private address."""
    return (await given.posted(url="https://10.0.0.1/")).status_code


async def attempts(given: Given) -> object:
    """Return how many attempts a job has."""
    return (await given.posted(schedule_in=60)).json()["data"]["job"]["max_attempts"]


async def retried(given: Given) -> object:
    """Return whether a failed attempt is made again within 20 s; the default is 17 to 18.7 s."""
    given.target.respond(httpx.Response(500))
    number = (await given.posted()).json()["data"]["job_id"]
    await given.booper.wait_idle()
    job = await given.api.job(number)
    failed, next_at = (
        datetime.fromisoformat(job[name]) for name in ("attempted_at", "scheduled_at")
    )
    return next_at - failed < timedelta(seconds=20)


async def hidden(given: Given) -> object:
    """Return how a header of a job is shown."""
    number = (await given.posted(headers={"X-Key": "k"}, schedule_in=60)).json()["data"]["job_id"]
    shown = (await given.api.get(f"/api/jobs/{number}")).json()["data"]
    return shown["args"]["headers"]["X-Key"]


async def kept(given: Given) -> object:
    """Return how much of a response is kept."""
    given.target.respond(httpx.Response(200, text="abcdef"))
    await given.sent()
    logs = (await given.api.get("/api/logs?event=worker.http.response")).json()["data"]
    return logs[0]["payload"]["body"]


async def signed(given: Given) -> object:
    """Return whether a callback is signed."""
    request = await given.sent(callback_url="http://target.test/callback")
    assert request.url.path == "/callback"
    return "webhook-signature" in request.headers


async def forwarded(given: Given) -> object:
    """Return where a message to the channel `discord` goes."""
    message = {"content": "x", "author": "a", "channel": "discord"}
    await given.api.post("/api/broadcast", json=message)
    await given.booper.wait_idle()
    return [request.url.host for request in given.target.received]


async def timed_out(given: Given) -> object:
    """Return whether a target that never responds is given up after a moment of real time."""
    given.target.hold()
    number = (await given.posted()).json()["data"]["job_id"]
    with anyio.move_on_after(0.5):
        await given.booper.wait_idle()
    given.target.release()
    return (await given.api.job(number))["last_error"] is not None


async def sender(given: Given) -> object:
    """Return whose address is logged for a request with a wrong key."""
    headers = {"Authorization": "Bearer sk_wrong", "X-Forwarded-For": "203.0.113.9"}
    await given.api.get("/api/jobs", headers=headers)
    assert given.log is not None
    return given.log.messages[-1].split()[3]


async def looked_at(given: Given, seconds: float = 10) -> list[str]:
    """Return the kinds of alerts that are open after a look, once each has been sent."""
    admin = Api(given.booper.administration)
    shown = await looked(admin, given.clock, timedelta(seconds=seconds))
    await all_told(admin)
    return [each["kind"] for each in shown["open"]]


async def discarded(given: Given) -> list[str]:
    """Return the kinds of alerts that are open after a job was discarded."""
    given.target.respond(httpx.Response(500))
    await given.sent(max_attempts=1)
    return await looked_at(given)


async def alerted(given: Given) -> object:
    """Return where the alert of a discarded job was sent."""
    await discarded(given)
    return [each.url.host for each in given.target.received][1:]


async def alert_keys(given: Given) -> object:
    """Return the keys of an alert as it was sent."""
    await discarded(given)
    return set(msgspec.json.decode(given.target.received[-1].content))


async def failed(given: Given) -> object:
    """Return the kinds of alerts after a run has failed."""
    given.target.respond(httpx.Response(500))
    await given.sent(repeat_every=[1, "day"], max_attempts=1)
    return await looked_at(given)


async def late(given: Given) -> object:
    """Return the kinds of alerts while a run is two minutes late."""
    await Api(given.booper.administration).act("/api/pause")
    await given.posted(repeat_every=[1, "day"])
    await looked_at(given, 120)
    return await looked_at(given)


async def low(given: Given) -> object:
    """Return the kinds of alerts about this machine's disk."""
    return await looked_at(given)


async def repeated(given: Given) -> object:
    """Return how often an alert was sent within two minutes."""
    for _ in range(3):
        await looked_at(given, 60)
    await until(lambda: bool(given.target.received))
    return len(given.target.received)


async def requested(given: Given) -> object:
    """Return whether the URL of the heartbeat is requested within a minute."""
    for _ in range(20):
        await looked_at(given, 60)
        if given.target.received:
            break
    return {each.url.host for each in given.target.received}


class Effect(NamedTuple):
    """A setting before and after, a probe, and what that returns before and after.

    `beside` are more settings of its table.
    """

    before: object
    after: object
    probe: Probe
    was: object
    becomes: object
    beside: Mapping[str, object] = MappingProxyType({})


FEW = MappingProxyType({"rate_limit": 0.1})
HTTPS = "https://app.example"

EFFECTS = {
    "[server] public_url": Effect("", "https://b.example", location, "", "https://b.example"),
    "[server] trusted_proxies": Effect((), ("127.0.0.1",), sender, "127.0.0.1", "203.0.113.9"),
    "[server] max_body_bytes": Effect(1 << 20, 1_024, large, 201, 413),
    "[server] rate_limit": Effect(0.0, 0.1, often, 200, 429, {"rate_burst": 1}),
    "[server] rate_burst": Effect(1, 5, often, 429, 200, FEW),
    "[server] idempotency_ttl": Effect(0, 3_600, again, 201, 200),
    "[server] cors_origins": Effect((), (HTTPS,), cors, None, HTTPS),
    "[targets] require_https": Effect(False, True, plain, 201, 422),
    "[targets] allow_private_networks": Effect(True, False, private, 201, 422),
    "[targets] allow": Effect(
        (), ("10.0.0.1",), private, 422, 201, {"allow_private_networks": False}
    ),
    "[delivery] max_response_bytes": Effect(9, 3, kept, "abcdef", "abc"),
    "[delivery] redact_headers": Effect((), ("X-Key",), hidden, "k", "[redacted]"),
    "[delivery] timeout_seconds": Effect(30, 0.01, timed_out, False, True),
    "[retry] max_attempts": Effect(15, 3, attempts, 15, 3),
    "[retry] backoff": Effect("exponential", [100], retried, True, False),
    "[webhooks] secret": Effect((), (SECRET,), signed, False, True),
    "[alerts] url": Effect("", ALERTS, alerted, [], ["alerts.test"]),
    "[alerts] form": Effect(
        "booper", "slack", alert_keys, {"type", "timestamp", "data"}, {"text"}, {"url": ALERTS}
    ),
    "[alerts] events": Effect((), ("disk.low",), discarded, ["job.discarded"], [], NO_DISK),
    "[alerts] failures": Effect(3, 1, failed, [], ["schedule.failed"], NO_DISK),
    "[alerts] late": Effect(300, 60, late, [], ["schedule.late"], NO_DISK),
    "[alerts] disk_free_bytes": Effect(0, 1 << 50, low, [], ["disk.low"]),
    "[alerts] repeat": Effect(
        3_600, 60, repeated, 1, 3, {"url": ALERTS, "disk_free_bytes": 1 << 50}
    ),
    "[alerts] heartbeat_url": Effect("", ALERTS, requested, set(), {"alerts.test"}),
    "[channels] discord": Effect("", DISCORD, forwarded, [], ["discord.test"]),
}

# The way of requests is that of sockets, which these tests have none of; the next test has. What is
# for the client commands alone has no effect here. The log is the daemon's, and is in tests/cli.
ELSEWHERE = {
    "[delivery] proxy",
    "[delivery] proxy_resolves",
    "[client] url",
    "[client] key",
    "[logging] format",
    "[logging] level",
    "[logging] access",
}


def test_every_setting_that_can_change_has_its_effect_shown() -> None:
    """A new one needs a row."""
    assert {f"[{table}] {name}" for table, names in LIVE.items() for name in names} == {
        *EFFECTS,
        *ELSEWHERE,
    }


def with_setting(config: Config, setting: str, value: object, **beside: object) -> Config:
    """Return settings with another value of one, and of others in its table."""
    table, name = setting.removeprefix("[").split("] ")
    return replace(config, **{table: replace(getattr(config, table), **{**beside, name: value})})


@pytest.mark.parametrize("setting", EFFECTS)
@pytest.mark.parametrize("is_changed", [False, True])
async def test_a_setting_that_changes_takes_effect_at_once(
    config: Config,
    clock: VirtualClock,
    target: FakeTarget,
    caplog: pytest.LogCaptureFixture,
    setting: str,
    is_changed: bool,
) -> None:
    """On the API, on what is sent and on what is recorded."""
    caplog.set_level("INFO", "booper.access")
    effect = EFFECTS[setting]
    before = with_setting(config, setting, effect.before, **effect.beside)
    async with (
        Booper(before, api_key=KEY, clock=clock, transport=target, random=Random(1)) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        if is_changed:
            found = booper.use(with_setting(before, setting, effect.after))
            assert (found.made, found.waiting) == ([setting], [])
        shown = await effect.probe(Given(api, booper, clock, target, caplog))
    assert shown == (effect.becomes if is_changed else effect.was)


async def test_the_way_to_targets_changes_for_what_is_sent_next(config: Config) -> None:
    """A proxy that is set is used by the next attempt, and one that is unset is not."""
    asked = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        writer.write(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    job = {"url": "http://127.0.0.1:9/", "max_attempts": 1}
    async with server, Booper(config, api_key=KEY) as booper, Api(booper.asgi, KEY) as api:
        for proxy_url, count in (("", 0), (url, 1), ("", 1)):
            booper.use(with_setting(config, "[delivery] proxy", proxy_url))
            await api.create_id(**job)
            await booper.wait_idle()
            assert len(asked) == count
    assert asked == [b"127.0.0.1:9"]


async def test_settings_that_cannot_be_used_change_nothing(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """Here a file of an origin that is not there."""
    wrong = replace(
        with_setting(config, "[server] max_body_bytes", 1_024),
        origins={"a.example": Origin(ca="/nowhere.pem")},
    )
    async with (
        Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        with pytest.raises(ConfigError, match=r'\[origins."a.example"\] ca: cannot read'):
            booper.use(wrong)
        assert booper.config == config
        assert await large(Given(api, booper, clock, target)) == 201


async def test_an_attempt_that_has_begun_ends_as_it_began(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """A change does not cut it off, and its result is recorded."""
    target.hold()
    async with (
        Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
        Api(booper.asgi, KEY) as api,
    ):
        number = await api.create_id()
        await target.arrived.wait()
        booper.use(with_setting(config, "[retry] max_attempts", 1))
        target.release()
        await booper.wait_idle()
        assert (await api.job(number))["state"] == "completed"
