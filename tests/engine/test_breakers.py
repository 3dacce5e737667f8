"""Origins that fail again and again are probed, not hammered, and nothing that waits is lost."""

from datetime import timedelta

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.engine.breakers import (
    MAX_FAILURES,
    MAX_ORIGINS,
    MAX_PATHS,
    Breakers,
)
from booper.model.breaker import FIRST_REST, MAX_REST, Breaker, rests
from booper.model.job import Failed, Outcome, Refused, Responded, Response
from tests.conftest import START
from tests.support.target import FakeTarget

SECOND = timedelta(seconds=1)
ORIGIN = "https://target.test"
PATH = 1
DOWN = Failed("connect", "refused", timedelta(0))


def answered(status: int) -> Responded:
    """Return a response of this status."""
    return Responded(Response(status, {}, b"", False), timedelta(0))


def opened() -> Breakers:
    """Return what is known after a host has failed twenty times at `START`."""
    breakers = Breakers()
    for _ in range(MAX_FAILURES):
        breakers.record(ORIGIN, PATH, DOWN, START)
    return breakers


@pytest.mark.parametrize(
    "failure",
    [DOWN, Failed("timeout", "", SECOND), *(answered(status) for status in (429, 502, 503, 504))],
)
def test_twenty_failures_in_a_row_make_a_host_be_spared(failure: Outcome) -> None:
    """After the nineteenth all slots are its own; after the twentieth it rests."""
    breakers = Breakers()
    for _ in range(19):
        breakers.record(ORIGIN, PATH, failure, START)
    assert not breakers.is_open(ORIGIN)
    assert breakers.open() == []
    breakers.record(ORIGIN, PATH, failure, START)
    assert breakers.is_open(ORIGIN)
    assert [breaker.origin for breaker in breakers.open()] == [ORIGIN]
    assert not breakers.is_open("https://target.test:8443")


@pytest.mark.parametrize("status", [200, 301, 404, 410, 500, 501])
def test_any_other_answer_shows_that_the_host_lives(status: int) -> None:
    """It begins to count anew: nineteen failures, a response, nineteen failures spare nobody."""
    breakers = Breakers()
    for _ in range(19):
        breakers.record(ORIGIN, PATH, DOWN, START)
    breakers.record(ORIGIN, PATH, answered(status), START)
    for _ in range(19):
        breakers.record(ORIGIN, PATH, DOWN, START)
    assert not breakers.is_open(ORIGIN)


@pytest.mark.parametrize("outcome", [Refused("no"), Failed("internal", "", SECOND)])
def test_what_was_never_sent_tells_nothing(outcome: Outcome) -> None:
    """A refusal of the guard and an error of ours neither count nor show that the host lives."""
    breakers = Breakers()
    for _ in range(30):
        breakers.record(ORIGIN, PATH, outcome, START)
    assert breakers.open() == []
    breakers = opened()
    breakers.record(ORIGIN, PATH, outcome, START)
    assert breakers.is_open(ORIGIN)


def test_pauses_double_up_to_a_minute() -> None:
    """One probe after 1 s, then 2, 4, 8, 16, 32, and 60 s from then on."""
    breakers, now = opened(), START
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        probe_at = breakers.probe_at(ORIGIN, has_new_path=False)
        assert probe_at == now + timedelta(seconds=seconds)
        assert breakers.probe_at(ORIGIN, has_new_path=True) == now + SECOND
        now += timedelta(seconds=seconds)
        assert rests(probe_at, now - SECOND / 10)
        assert not rests(probe_at, now)
        breakers.record(ORIGIN, PATH, DOWN, now)


def test_what_was_under_way_when_the_host_was_spared_is_no_probe() -> None:
    """Fifteen more failures of requests sent before do not make the pause longer."""
    breakers = opened()
    for _ in range(15):
        breakers.record(ORIGIN, PATH, DOWN, START)
    assert breakers.probe_at(ORIGIN, has_new_path=False) == START + FIRST_REST
    (breaker,) = breakers.open()
    assert breaker.failures == 35


def test_a_response_to_a_probe_gives_all_slots_back() -> None:
    """The host has recovered: nothing of its failures is left."""
    breakers = opened()
    breakers.record(ORIGIN, PATH, answered(200), START + FIRST_REST)
    assert breakers.probe_at(ORIGIN, has_new_path=False) is None
    assert breakers.open() == []


def test_a_clock_that_was_stepped_back_keeps_no_host_waiting() -> None:
    """The pause began a year later by the clock than it is now: the probe may go."""
    probe_at = opened().probe_at(ORIGIN, has_new_path=False)
    assert probe_at is not None
    assert not rests(probe_at, START - MAX_REST - SECOND)


def test_paths_are_remembered_in_the_order_in_which_they_failed() -> None:
    """The one that failed longest ago first; no more than there is room for."""
    breakers = Breakers()
    for path in (1, 2, 1):
        breakers.record(ORIGIN, path, DOWN, START)
    assert breakers.paths(ORIGIN) == (2, 1)
    for path in range(10, 10 + MAX_PATHS):
        breakers.record(ORIGIN, path, DOWN, START)
    assert breakers.paths(ORIGIN) == tuple(range(10, 10 + MAX_PATHS))


def test_the_hosts_that_are_remembered_are_bounded() -> None:
    """One host more than there is room for: the first is forgotten."""
    breakers = Breakers()
    for _ in range(MAX_FAILURES):
        breakers.record("https://first.test", PATH, DOWN, START)
    for number in range(MAX_ORIGINS):
        breakers.record(f"https://{number}.test", PATH, DOWN, START)
    assert breakers.open() == []


def test_a_host_that_was_forgotten_does_not_come_back_from_other_nodes() -> None:
    """It is told to them, so that they forget it as well."""
    breakers = Breakers(are_shared=True)
    for _ in range(MAX_FAILURES):
        breakers.record("https://first.test", PATH, DOWN, START)
    (first,), _ = breakers.take_changed()
    for number in range(MAX_ORIGINS):
        breakers.record(f"https://{number}.test", PATH, DOWN, START)
    assert breakers.adopt([first]) == []
    assert breakers.open() == []
    assert breakers.take_changed() == ([], ["https://first.test"])


def test_no_more_hosts_are_remembered_where_other_nodes_know_them() -> None:
    """Of one more than there is room for, one is forgotten, by all."""
    known = [Breaker(f"https://{number}.test", 20, START, START) for number in range(MAX_ORIGINS)]
    breakers = Breakers(are_shared=True)
    for _ in range(MAX_FAILURES):
        breakers.record("https://first.test", PATH, DOWN, START)
    (first,), _ = breakers.take_changed()
    assert "https://first.test" in breakers.adopt([first, *known])
    assert len(breakers.open()) == MAX_ORIGINS
    assert breakers.take_changed() == ([], ["https://first.test"])


@pytest.mark.anyio
async def test_a_host_that_is_down_is_probed_and_loses_nothing(
    booper: Booper, api: httpx.AsyncClient, clock: VirtualClock, target: FakeTarget
) -> None:
    """Of 50 jobs those in flight fail, at most 20 + 15; then one a pause, until one is answered.

    The jobs that were not sent have no attempt to their account.
    """
    target.respond(*[httpx.ConnectError("refused")] * 100)
    for _ in range(50):
        await api.post("/api/jobs", json={"url": "https://target.test/", "backoff": [3600]})
    await booper.wait_idle()
    sent = len(target.received)
    assert 20 <= sent <= 35
    clock.advance(FIRST_REST)
    await booper.wait_idle()
    assert len(target.received) == sent + 1
    untouched = (await api.get("/api/jobs?state=available&limit=100")).json()["data"]
    assert len(untouched) == 50 - sent - 1
    assert {job["job"]["attempt"] for job in untouched} == {0}
    target.clear()
    clock.advance(2 * FIRST_REST)
    await booper.wait_idle()
    assert len(target.received) == 50


@pytest.mark.anyio
async def test_hosts_that_are_spared_are_shown_and_can_be_resumed(
    booper: Booper, api: httpx.AsyncClient, admin: httpx.AsyncClient, target: FakeTarget
) -> None:
    """`GET /api/breakers` tells since when and until when; `POST /api/resume` ends it."""
    target.respond(*[httpx.Response(503)] * 100)
    for _ in range(40):
        await api.post("/api/jobs", json={"url": "https://target.test/", "backoff": [3600]})
    await booper.wait_idle()
    (shown,) = (await admin.get("/api/breakers")).json()["data"]
    assert shown["origin"] == ORIGIN
    assert shown["failures"] == len(target.received)
    target.clear()
    await admin.post("/api/resume", json={"origin": ORIGIN})
    await booper.wait_idle()
    assert (await admin.get("/api/breakers")).json() == {"data": []}
    assert len(target.received) == 40
