"""Timers exact to microseconds: when they call, when not, and what they leave behind."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import anyio
import pytest
import uvloop

from booper import exact_timer
from booper.clock import monotonic
from booper.exact_timer import EXACT_SECONDS, call_not_after

pytestmark = pytest.mark.anyio

DESCRIPTORS = Path("/proc/self/fd")
on_linux = pytest.mark.skipif(not DESCRIPTORS.exists(), reason="Linux alone has these timers")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Run each test on both kinds of loop."""
    return "asyncio", {"loop_factory": request.param}


def open_files() -> int:
    """Return how many files this process has open."""
    return len(list(DESCRIPTORS.iterdir()))


async def waited(seconds: float) -> float:
    """Return how many seconds a timer of so many seconds took to call."""
    called = asyncio.Event()
    begun = monotonic()
    timer = call_not_after(seconds, lambda event: event.set(), called)
    try:
        with anyio.fail_after(5):
            await called.wait()
        return monotonic() - begun
    finally:
        timer.cancel()


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 0.0005, EXACT_SECONDS])
async def test_a_short_timer_calls_and_not_before(seconds: float) -> None:
    """An exact timer never calls early; what lies in the past is called at once."""
    assert await waited(seconds) >= seconds - 1e-6


async def test_a_long_timer_ends_early_for_an_exact_one() -> None:
    """A timer of 20 s set 2 ms short of its end would call after 19.998 s: the loop is asked so."""
    loop = asyncio.get_running_loop()
    timer = call_not_after(20, print, "never")
    assert cast("asyncio.TimerHandle", timer).when() == pytest.approx(
        loop.time() + 20 - EXACT_SECONDS, abs=1
    )
    timer.cancel()


async def test_a_cancelled_timer_does_not_call() -> None:
    """Its moment passes while another timer, set later and for longer, calls."""
    called: list[str] = []
    timer = call_not_after(0.0001, called.append, "cancelled")
    timer.cancel()
    await waited(0.001)
    assert called == []


async def test_a_timer_that_is_used_again_forgets_that_it_was_over() -> None:
    """The next wait on the same descriptor lasts its own time, though the one before had ended."""
    for _ in range(3):
        await waited(0.0001)
        assert await waited(0.001) >= 0.001 - 1e-6


async def test_waits_side_by_side_have_timers_of_their_own() -> None:
    """Ten at once: each lasts its own time, whatever the others do."""
    lengths = [number / 10_000 for number in range(1, 11)]
    took = await asyncio.gather(*map(waited, lengths))
    assert all(seconds >= length - 1e-6 for seconds, length in zip(took, lengths, strict=True))


@on_linux
async def test_a_thousand_waits_leave_one_descriptor() -> None:
    """A descriptor of a wait that has ended serves the next."""
    await waited(0.0001)
    before = open_files()
    for _ in range(1000):
        await waited(0)
    assert open_files() == before


@on_linux
async def test_without_a_free_descriptor_the_loop_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process may open no more files, a wait still ends: by the loop's own timer."""

    class Full:
        """A system that refuses."""

        def timerfd_create(self, _clock: int, _flags: int) -> int:
            """Fail as the system does."""
            return -1

    monkeypatch.setattr(exact_timer, "_spare", [])
    monkeypatch.setattr(exact_timer, "_system", Full)
    timer = call_not_after(0.001, print, "never")
    assert not isinstance(timer, exact_timer._SystemTimer)
    timer.cancel()
    # uvloop counts whole milliseconds and may be early by less than one; the clock is read after.
    assert await waited(0.001) >= 0


@on_linux
async def test_another_system_has_the_loops_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows and macOS do not know the call."""
    monkeypatch.setattr(exact_timer, "_spare", [])
    monkeypatch.setattr(sys, "platform", "darwin")
    exact_timer._system.cache_clear()
    try:
        timer = call_not_after(0.001, print, "never")
    finally:
        exact_timer._system.cache_clear()
    assert not isinstance(timer, exact_timer._SystemTimer)
    timer.cancel()


FORKING = """
import asyncio, os
from booper import exact_timer

async def wait():
    over = asyncio.Event()
    timer = exact_timer.call_not_after(0, lambda event: event.set(), over)
    await over.wait()
    timer.cancel()

asyncio.run(wait())
assert len(exact_timer._spare) == 1
child = os.fork()
if child == 0:
    os._exit(len(exact_timer._spare))
assert os.waitpid(child, 0)[1] == 0, "the child shares its parent's timers"
asyncio.run(wait())
assert len(exact_timer._spare) == 1
"""


@on_linux
def test_a_forked_process_has_timers_of_its_own() -> None:
    """A timer is shared by a fork: set by one process, it would be late in the other."""
    result = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stderr) == (os.EX_OK, "")
