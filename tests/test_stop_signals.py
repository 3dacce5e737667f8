"""A stop waits for no stream: neither that of `booper serve`, nor of a program around booper."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from booper.stop_signals import called_on_stop
from tests.conftest import KEY
from tests.support.processes import allow_local_targets, bearer, serving
from tests.whole.test_library import uvicorn

pytestmark = pytest.mark.anyio

PROGRAM = f"""
from starlette.applications import Starlette
from starlette.routing import Mount

from booper.app import Booper

booper = Booper(api_key="{KEY}")
app = Starlette(routes=[Mount("/booper", booper.asgi)], lifespan=booper.lifespan)
"""


def opened(client: httpx.Client, path: str) -> tuple[httpx.Response, list[str]]:
    """Open a stream; return it with the lines of its first event."""
    request = client.build_request("GET", path, headers=bearer(KEY))
    response = client.send(request, stream=True)
    assert response.status_code == 200
    lines = response.iter_lines()
    return response, [next(lines) for _ in range(3)]


def test_a_program_around_booper_ends_while_a_stream_is_open(tmp_path: Path) -> None:
    """uvicorn waits for all responses before it tells the program that it stops."""
    with httpx.Client(trust_env=False) as watching:
        with uvicorn(tmp_path, PROGRAM) as (client, log):
            url = str(client.base_url)
            response, first = opened(watching, f"{url}/booper/api/events")
            assert first == [": connected", "", "event: change"]
        assert "Finished server process" in log.read_text()
        response.close()


def test_a_daemon_ends_while_a_stream_is_open(tmp_path: Path) -> None:
    """It gives a quarter of an hour to requests, and nothing to streams."""
    allow_local_targets(tmp_path, "[delivery]\ngrace_seconds = 900\n")
    with (
        httpx.Client(trust_env=False) as watching,
        serving(tmp_path, environment={"BOOPER_API_KEY": KEY}, key=KEY) as daemon,
    ):
        response, _ = opened(watching, f"{daemon.url}/api/events")
        assert daemon.stop() == 0
        response.close()


async def test_a_stop_is_heard_beside_its_handler() -> None:
    """Both are called, and what was there before is there again."""
    ended, handled = asyncio.Event(), list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, frame: handled.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        with called_on_stop(ended.set):
            assert signal.getsignal(signal.SIGTERM) is not mine
            signal.raise_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                await ended.wait()
        assert handled == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_a_handler_that_came_later_stays() -> None:
    """Whoever set it does not expect it to go."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        with called_on_stop(lambda: None):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
