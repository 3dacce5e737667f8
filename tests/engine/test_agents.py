"""What runs beside the loop: it goes on after a failure, and ends with the loop."""

import asyncio

import pytest
from anyio.lowlevel import checkpoint

from booper.clock import VirtualClock
from booper.engine.agents import PAUSE_AFTER_FAILURE, run_beside

pytestmark = pytest.mark.anyio


async def forever() -> None:
    """Run until cancelled."""
    await asyncio.Event().wait()


async def test_an_agent_that_fails_is_logged_and_begins_anew(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its failure ends neither the loop nor another agent; it waits a second in between."""
    begun = 0
    again = asyncio.Event()

    async def agent() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise ZeroDivisionError("a fault")
        again.set()
        await forever()

    async def main() -> None:
        while not begun:
            await checkpoint()
        for _ in range(10):
            await checkpoint()
        assert begun == 1
        clock.advance(PAUSE_AFTER_FAILURE)
        await again.wait()

    async with asyncio.timeout(5):
        await run_beside(main, {"pruner": agent, "other": forever}, clock)
    assert begun == 2
    assert "the pruner failed and is started again" in caplog.text


async def test_agents_end_with_the_loop(clock: VirtualClock) -> None:
    """When the loop has ended none of them runs any more, whatever it was doing."""
    ended: list[str] = []

    async def agent() -> None:
        try:
            await forever()
        finally:
            ended.append("agent")

    async with asyncio.timeout(5):
        await run_beside(lambda: _turns(10), {"agent": agent}, clock)
    assert ended == ["agent"]


async def test_a_failure_of_the_loop_is_raised_as_it_is(clock: VirtualClock) -> None:
    """Not in a group: whoever waits for the loop tells what it was."""

    async def main() -> None:
        raise ZeroDivisionError("a fault")

    with pytest.raises(ZeroDivisionError, match="a fault"):
        await run_beside(main, {"agent": forever}, clock)


async def _turns(count: int) -> None:
    for _ in range(count):
        await checkpoint()
