"""`/api/origins`: where jobs go, what holds them back, and what came of them."""

import sqlite3
import ssl
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import httpx
import pytest
import trustme
from msgspec.structs import replace

from booper.api.origins import MAX_ORIGINS
from booper.app import Booper
from booper.clock import EPOCH, VirtualClock
from booper.config import Config, Origin, Retention
from booper.engine.breakers import MAX_FAILURES
from booper.model.bucket import HOUR
from booper.store.sqlite.bucket_rows import MAX_HOURS, NUMBERS
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.configs import over_a_file
from tests.support.http_server import answering, serve
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_nothing_was_sent_yet(admin: Api) -> None:
    """A new booper knows no origin."""
    assert await admin.read("/api/origins") == []


async def test_attempts_are_counted_by_origin_and_errors_by_kind(
    booper: Booper, api: Api, admin: Api, target: FakeTarget
) -> None:
    """Two completed at one origin; at another, one attempt got a 500 and one a connection error."""
    target.respond(
        httpx.Response(200),
        httpx.Response(200),
        httpx.Response(500),
        httpx.ConnectError("refused"),
    )
    for url in ("https://a.test/1", "https://a.test/2", "https://b.test/", "https://b.test/"):
        await api.create(url=url, max_attempts=1)
        await booper.wait_idle()
    first, second = await admin.read("/api/origins")
    assert (first["origin"], first["errors"]) == ("https://a.test", {})
    assert (first["last_day"]["completed"], first["last_day"]["failed"]) == (2, 0)
    assert second["origin"] == "https://b.test"
    assert (second["last_day"]["completed"], second["last_day"]["failed"]) == (0, 2)
    assert second["last_day"]["discarded"] == 2
    assert sum(second["errors"].values()) == 2
    assert second["errors"]["5xx"] == 1


async def test_lateness_is_that_of_half_and_of_nearly_all(
    booper: Booper, api: Api, admin: Api, clock: VirtualClock
) -> None:
    """Of three, two are at once and one is a minute late: the median is in the first part."""
    await api.create(schedule_in=1)
    clock.set(START + timedelta(seconds=61))
    await booper.wait_idle()
    for _ in range(2):
        await api.create()
        await booper.wait_idle()
    [found] = await admin.read("/api/origins")
    assert found["last_day"]["late_p50_seconds"] == 0.005
    assert found["last_day"]["late_p99_seconds"] == 60


async def test_an_origin_that_was_not_used_for_a_day_is_left_out(
    booper: Booper, api: Api, admin: Api, clock: VirtualClock
) -> None:
    """The hour of 24 hours ago is the last that counts."""
    await api.create()
    await booper.wait_idle()
    clock.set(START + timedelta(hours=24, minutes=59))
    assert len(await admin.read("/api/origins")) == 1
    clock.set(START + timedelta(hours=25))
    assert await admin.read("/api/origins") == []


async def test_what_holds_an_origin_back_is_shown(
    booper: Booper, api: Api, admin: Api, target: FakeTarget
) -> None:
    """An open breaker with its probe, and a pause of the host."""
    target.respond(*[httpx.Response(503)] * MAX_FAILURES)
    for _ in range(MAX_FAILURES):
        await api.create(url="https://down.test/", max_attempts=1)
        await booper.wait_idle()
    [found] = await admin.read("/api/origins")
    assert found["pause"] is None
    assert found["breaker"] == (await admin.read("/api/breakers"))[0]
    await admin.act("/api/pause", {"host": "down.test"})
    [found] = await admin.read("/api/origins")
    assert found["pause"] == (await admin.read("/api/pauses"))[0]


async def test_slots_are_those_taken_now(
    booper: Booper, api: Api, admin: Api, target: FakeTarget
) -> None:
    """One attempt is on its way, of the 16 that an origin may have (contract §12)."""
    target.hold()
    await api.create(url="https://held.test/")
    await target.arrived.wait()
    [found] = await admin.read("/api/origins")
    assert (found["slots"], found["taken"]) == (16, 1)
    target.release()


async def test_numbers_of_all_users_add_up(booper: Booper, api: Api, admin: Api) -> None:
    """Only who administers sees them."""
    key = (await admin.act("/api/keys", {"name": "bob", "user": "bob"}))["key"]
    async with Api(booper.asgi, key) as other:
        await other.create()
        await api.create()
        await booper.wait_idle()
    [found] = await admin.read("/api/origins")
    assert found["last_day"]["completed"] == 2


async def test_of_very_many_the_busiest_are_listed(booper: Booper, api: Api, admin: Api) -> None:
    """In order of their names; the one that is used least is left out."""
    for n in range(MAX_ORIGINS):
        for _ in range(2):
            await api.create(url=f"https://busy{n}.test/")
    await api.create(url="https://a-quiet.test/")
    await booper.wait_idle()
    found = (await admin.get("/api/origins")).json()
    assert (found["are_more"], "counted_since" in found) == (True, False)
    names = [each["origin"] for each in found["data"]]
    assert len(names) == MAX_ORIGINS
    assert names == sorted(names)
    assert "https://a-quiet.test" not in names


@over_a_file
@pytest.mark.parametrize(
    ("hours", "since"),
    [
        (MAX_HOURS, None),  # of three hours: 3,334, 3,333 and 3,333 origins
        (MAX_HOURS + 1, "2030-01-01T11:00:00.000000Z"),  # one of the oldest hour is left out
    ],
)
async def test_it_says_from_when_on_it_has_counted(
    booper: Booper, admin: Api, config: Config, hours: int, since: str | None
) -> None:
    """The newest 10,000 hours of origins are added up: 10:00 is not whole, so it is 11:00."""
    fill(config.database.path, hours)
    found = (await admin.get("/api/origins")).json()
    assert found.get("counted_since") == since
    assert found["are_more"] is True


async def test_the_end_of_a_certificate_is_shown(
    config: Config, clock: VirtualClock, tmp_path: Path
) -> None:
    """To the second, where booper has connected by TLS, before settings change and after.

    The origin has an authority of its own, and wants a certificate of booper's.
    """
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def show(year: int) -> None:
        until = datetime(year, 1, 13, 12, 30, 1, tzinfo=UTC)
        authority.issue_cert("127.0.0.1", not_after=until).configure_cert(context)

    show(2036)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("booper.test").private_key_and_cert_chain_pem.write_to_path(own)
    settings = replace(config, origins={"127.0.0.1": Origin(ca=str(ca), cert=str(own))})
    async with (
        serve(answering(OK), ssl_context=context) as secure,
        serve(answering(OK)) as plain,
        Booper(settings, api_key=KEY, clock=clock, random=Random(1)) as booper,
        Api(booper.asgi, KEY) as api,
        Api(booper.administration) as admin,
    ):

        async def send(url: str) -> None:
            await api.create(url=url, max_attempts=1)
            await booper.wait_idle()

        async def ends() -> dict[str, str | None]:
            found = await admin.read("/api/origins")
            return {each["origin"]: each["certificate_until"] for each in found}

        await send(secure.url(scheme="https"))
        await send(plain.url())
        booper.use(replace(settings, retention=Retention(completed=(1, "days"))))
        https, http = f"https://127.0.0.1:{secure.port}", f"http://127.0.0.1:{plain.port}"
        assert await ends() == {https: "2036-01-13T12:30:01.000000Z", http: None}
        show(2037)
        await send(secure.url(scheme="https"))
        assert await ends() == {https: "2037-01-13T12:30:01.000000Z", http: None}


def fill(path: str, hours: int) -> None:
    """Write the buckets of many origins, a third in each of 10:00, 11:00 and 12:00."""
    columns = ("user_id", "origin", "begins_at", *NUMBERS)
    noon = (START - EPOCH) // timedelta(microseconds=1)
    with closing(sqlite3.connect(path)) as connection, connection:
        (user,) = connection.execute("SELECT id FROM users").fetchone()
        rows = [
            (user, f"https://o{n}.test", noon - n % 3 * HOUR // timedelta(microseconds=1), 1)
            for n in range(hours)
        ]
        connection.executemany(
            f"INSERT INTO buckets ({', '.join(columns)}) "
            f"VALUES (?, ?, ?, ?{', 0' * (len(NUMBERS) - 1)})",
            rows,
        )
