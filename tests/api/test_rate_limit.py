"""The rate limit of API keys: off by default, a token bucket for each key (contract §1, §12)."""

from collections.abc import AsyncIterator
from random import Random
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booper.api.limits import RateLimit
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import TooManyRequests
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

ANN, BOB = UUID(int=1), UUID(int=2)


class Seconds:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def taken(limit: RateLimit, key: UUID = ANN) -> bool:
    """Return whether a request passes."""
    try:
        limit.take(key)
    except TooManyRequests:
        return False
    return True


def test_a_burst_passes_and_the_next_request_waits() -> None:
    """Three at once; at two a second the fourth has to wait half a second, and no longer."""
    now = Seconds()
    limit = RateLimit(2.0, 3, now)
    assert [taken(limit) for _ in range(3)] == [True, True, True]
    with pytest.raises(TooManyRequests) as refused:
        limit.take(ANN)
    assert refused.value.retry_seconds == 0.5
    now.now += 0.5
    assert [taken(limit), taken(limit)] == [True, False]


def test_a_refusal_costs_nothing() -> None:
    """Who keeps knocking is let in when the time has come, not later."""
    now = Seconds()
    limit = RateLimit(1.0, 1, now)
    assert taken(limit)
    assert not any(taken(limit) for _ in range(100))
    now.now += 1
    assert taken(limit)


def test_each_key_has_its_own() -> None:
    """One key's haste is not another's."""
    limit = RateLimit(1.0, 1, Seconds())
    assert taken(limit, ANN)
    assert not taken(limit, ANN)
    assert taken(limit, BOB)


def test_rest_does_not_save_up_more_than_a_burst() -> None:
    """After a year of silence it is `burst` at once, as on the first day."""
    now = Seconds()
    limit = RateLimit(10.0, 2, now)
    taken(limit)
    now.now += 365 * 86_400
    assert [taken(limit) for _ in range(3)] == [True, True, False]


@given(
    rate=st.sampled_from([0.5, 1.0, 7.0]),
    burst=st.integers(1, 10),
    gaps=st.lists(st.sampled_from([0.0, 0.125, 0.5, 3.0]), max_size=60),
)
def test_no_rhythm_gets_more_than_the_rate(rate: float, burst: int, gaps: list[float]) -> None:
    """From the start on, at most `burst` and `rate` times the seconds that passed get through."""
    now = Seconds()
    limit = RateLimit(rate, burst, now)
    passed = 0
    for gap in gaps:
        now.now += gap
        passed += taken(limit)
        assert passed <= burst + rate * (now.now - 1_000.0) + 1e-6


@pytest.fixture
async def limited(config: Config, clock: VirtualClock, target: FakeTarget) -> AsyncIterator[Booper]:
    """Run a booper that lets each key in twice, and then once in 1,000 seconds."""
    server = msgspec.structs.replace(config.server, rate_limit=0.001, rate_burst=2)
    limited = msgspec.structs.replace(config, server=server)
    async with Booper(
        limited, api_key=KEY, clock=clock, random=Random(1), transport=target
    ) as booper:
        yield booper


@pytest.fixture
async def strict(limited: Booper) -> AsyncIterator[Api]:
    """Serve its API."""
    async with Api(limited.asgi) as client:
        yield client


async def test_a_key_that_asks_too_often_is_429(strict: Api) -> None:
    """Every operation counts; the response says when to come again (RFC 6585 §4)."""
    headers = {"Authorization": f"Bearer {KEY}"}
    assert (await strict.get("/api/jobs", headers=headers)).status_code == 200
    assert (await strict.get("/api/keys", headers=headers)).status_code == 200
    body = {"url": "https://target.test/"}
    response = await strict.post("/api/jobs", headers=headers, json=body)
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/problem+json"
    assert 999 <= int(response.headers["retry-after"]) <= 1_000


async def test_pages_count_for_the_key_of_their_session(limited: Booper, strict: Api) -> None:
    """What can be done by the API alone within the rate cannot be done by pages beyond it."""
    async with Browser(limited.asgi) as browser:
        await browser.sign_in(KEY)
        assert (await browser.submit("/new", {"url": "https://target.test/"})).status_code == 303
        response = await browser.submit("/new", {"url": "https://target.test/"})
        assert response.status_code == 429
        assert 999 <= int(response.headers["retry-after"]) <= 1_000
        assert "this key may make 0.001 requests a second" in response.text
        assert (await browser.get("/schedules")).status_code == 429
        assert (await browser.submit("/sign-in", {"key": KEY})).status_code == 429
        headers = {"Authorization": f"Bearer {KEY}"}
        assert (await strict.get("/api/jobs", headers=headers)).status_code == 429
        assert (await browser.get("/docs")).status_code == 200
        assert (await browser.submit("/sign-out")).status_code == 303


async def test_what_needs_no_key_and_wrong_keys_are_not_counted(
    strict: Api,
) -> None:
    """A probe goes on answering, and a stranger cannot use up what is somebody else's."""
    for _ in range(10):
        assert (await strict.get("/api/ping")).status_code == 200
        wrong = {"Authorization": "Bearer sk_unknown_0123456789"}
        assert (await strict.get("/api/jobs", headers=wrong)).status_code == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    assert (await strict.get("/api/jobs", headers=headers)).status_code == 200


async def test_there_is_no_limit_unless_one_is_set(api: Api) -> None:
    """Off by default (§12)."""
    for _ in range(200):
        assert (await api.get("/api/schedules")).status_code == 200
