"""The rate limit of API keys: off by default, a token bucket for each key (contract §1, §12)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from uuid import UUID

import msgspec
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from booper.api.limits import RateLimit, SharedRateLimit
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import StoreUnavailable, TooManyRequests
from booper.store.sharing import Granted, Rate
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser
from tests.support.postgres import url_in
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


# --- over all nodes ---


class Counts:
    """What counts over all nodes: it grants `left` requests, each time when it is let `go`."""

    def __init__(self, left: int = 100) -> None:
        self.left = left
        self.wanted: list[Mapping[UUID, int]] = []
        self.go = asyncio.Event()
        self.began = asyncio.Event()
        self.error: StoreUnavailable | None = None

    async def __call__(self, wanted: Mapping[UUID, int], rate: Rate) -> Mapping[UUID, Granted]:
        """Count requests."""
        self.wanted.append(wanted)
        self.began.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        granted = {key: min(self.left, count) for key, count in wanted.items()}
        self.left -= sum(granted.values())
        return {key: Granted(count, 0.0 if self.left else 7.5) for key, count in granted.items()}


def shared(counts: Counts, now: Seconds | None = None) -> SharedRateLimit:
    """Return a limit over all nodes."""
    return SharedRateLimit(Rate(2.0, 3), counts, now or Seconds())


async def test_what_comes_during_a_count_is_counted_together() -> None:
    """The first alone, and then the four that came meanwhile, of two keys, by one statement."""
    counts = Counts()
    limit = shared(counts)
    first = asyncio.create_task(limit.take(ANN))
    await counts.began.wait()
    others = [asyncio.create_task(limit.take(key)) for key in (ANN, ANN, ANN, BOB)]
    await checkpoint()
    counts.go.set()
    await asyncio.gather(first, *others)
    assert counts.wanted == [{ANN: 1}, {ANN: 3, BOB: 1}]


async def test_of_those_counted_together_the_first_ones_pass() -> None:
    """Two of four; the others are told when to come again."""
    counts = Counts(left=2)
    counts.go.set()
    limit = shared(counts)
    found = await asyncio.gather(*(limit.take(ANN) for _ in range(4)), return_exceptions=True)
    assert found[:2] == [None, None]
    for each in found[2:]:
        assert isinstance(each, TooManyRequests)
        assert each.retry_seconds == 7.5
        assert str(each) == (
            "this key may make 2 requests a second, and 3 at once; try again in 8 s"
        )


async def test_a_key_that_must_wait_is_not_counted_meanwhile() -> None:
    """Nobody can give it a request before that time; from then on it is counted again."""
    counts, now = Counts(left=0), Seconds()
    counts.go.set()
    limit = shared(counts, now)
    for passed, wait in ((0.0, 7.5), (5.0, 2.5), (2.0, 0.5)):
        now.now += passed
        with pytest.raises(TooManyRequests) as refused:
            await limit.take(ANN)
        assert refused.value.retry_seconds == wait
    assert counts.wanted == [{ANN: 1}]
    now.now += 0.5
    counts.left = 1
    await limit.take(ANN)
    assert counts.wanted == [{ANN: 1}, {ANN: 1}]


async def test_what_cannot_be_counted_is_refused_alone() -> None:
    """With the error of the store; the next request is counted again."""
    counts = Counts()
    counts.error = StoreUnavailable("the database: gone")
    counts.go.set()
    limit = shared(counts)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="gone"):
            await limit.take(ANN)
    counts.error = None
    await limit.take(ANN)


async def test_what_waits_for_a_count_that_fails_is_refused_with_it() -> None:
    """A database that does not respond would have it wait once more."""
    counts = Counts()
    counts.error = StoreUnavailable("the database: gone")
    limit = shared(counts)
    first = asyncio.create_task(limit.take(ANN))
    await counts.began.wait()
    other = asyncio.create_task(limit.take(BOB))
    await checkpoint()
    counts.go.set()
    found = await asyncio.gather(first, other, return_exceptions=True)
    assert list(found) == [counts.error, counts.error]
    assert counts.wanted == [{ANN: 1}]
    counts.error = None
    await limit.take(BOB)


async def test_who_goes_away_holds_up_nobody() -> None:
    """The one whose request began the count is gone before its end."""
    counts = Counts()
    limit = shared(counts)
    gone = asyncio.create_task(limit.take(ANN))
    await counts.began.wait()
    other = asyncio.create_task(limit.take(ANN))
    await checkpoint()
    gone.cancel()
    await checkpoint()
    counts.go.set()
    await other
    assert gone.cancelled()


async def test_two_nodes_keep_one_rate(config: Config, target: FakeTarget, tmp_path: Path) -> None:
    """Of 20 requests to each of two, 5 pass: a burst, and none for 1,000 seconds."""
    server = msgspec.structs.replace(config.server, rate_limit=0.001, rate_burst=5)
    database = msgspec.structs.replace(config.database, url=url_in(tmp_path, "shared.db"))
    both = msgspec.structs.replace(config, server=server, database=database)
    async with AsyncExitStack() as stack:
        apis = list[Api]()
        node: Booper | None = None
        for number in range(2):
            node = await stack.enter_async_context(
                Booper(both, api_key=KEY, random=Random(number), transport=target)
            )
            apis.append(await stack.enter_async_context(Api(node.asgi, KEY)))
        asked = (api.get("/api/jobs") for _ in range(20) for api in apis)
        responses = await asyncio.gather(*asked)
        assert sorted(each.status_code for each in responses) == [200] * 5 + [429] * 35
        waits = {int(each.headers["retry-after"]) for each in responses if each.is_client_error}
        assert waits <= set(range(900, 1_001))
        assert node is not None
        async with Browser(node.asgi) as browser:
            assert (await browser.submit("/sign-in", {"key": KEY})).status_code == 429
