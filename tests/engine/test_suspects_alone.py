"""A suspect's turn that comes while others are on their way."""

import asyncio
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from booper.clock import Signal, VirtualClock
from booper.config import Config
from tests.conftest import START
from tests.engine.test_suspects import (
    SECOND,
    Counting,
    after_three_crashes,
    arrival,
    create,
    running,
)


class Watched(VirtualClock):
    """A clock that notes the moments somebody waited for that had come already."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.passed: list[datetime] = []

    async def wait(self, signal: Signal, until: datetime | None) -> None:
        """Wait, giving way to others in any case, so that a loop that never waits can be seen."""
        if until is not None and until <= self.now():
            self.passed.append(until)
            turn = asyncio.Event()
            asyncio.get_running_loop().call_soon(turn.set)
            await turn.wait()
        await super().wait(signal, until)


@pytest.mark.anyio
async def test_a_suspect_whose_turn_comes_waits_for_those_on_their_way(
    config: Config, tmp_path: Path
) -> None:
    """It is sent when the last of them has ended; until then the loop stands still.

    The first suspect takes 10 s, so others have the next 10 s (contract §8: sent alone).
    """
    clock, target = Watched(START), Counting()
    config = await after_three_crashes(config, clock, tmp_path)

    def answer_one_and_hold(_: httpx.Request) -> httpx.Response:
        target.hold()
        return httpx.Response(200)

    target.respond(answer_one_and_hold)
    target.hold()
    async with running(config, clock, target) as (booper, api):
        await arrival(target, 1)
        await create(api, "healthy")
        clock.advance(10 * SECOND)
        target.release()
        await arrival(target, 2)
        clock.advance(10 * SECOND)
        await create(api, "later")
        target.release()
        await booper.wait_idle()
    assert target.seen[:3] == [("bystander", 1), ("healthy", 1), ("poison", 1)]
    assert ("later", 1) in target.seen
    assert clock.passed == []


@pytest.mark.anyio
async def test_a_suspect_whose_turn_has_not_come_holds_up_nobody_who_waits_for_rest(
    config: Config, tmp_path: Path
) -> None:
    """Between two suspects nothing is on its way: a traveller goes on to the next one's turn."""
    clock, target = VirtualClock(START), Counting()
    config = await after_three_crashes(config, clock, tmp_path)
    target.hold()
    async with running(config, clock, target) as (booper, _):
        await arrival(target, 1)
        began_at = clock.now()
        clock.advance(10 * SECOND)
        target.release()

        await booper.wait_idle()

        assert [name for name, _ in target.seen] == ["bystander"]
        assert booper.next_at() == began_at + 20 * SECOND
        clock.advance(10 * SECOND)
        await booper.wait_idle()
        assert ("poison", 1) in target.seen
