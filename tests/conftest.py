"""What tests share: a running booper on a virtual clock, a target, and clients of its API."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from shutil import disk_usage

import pytest
from hypothesis import HealthCheck, settings

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.support.api import Api
from tests.support.configs import fresh_config
from tests.support.target import FakeTarget

START = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
KEY = "sk_test_0123456789abcdef"

# How long an example takes says more about the machine, which may be busy, than about booper.
settings.register_profile("booper", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("booper")


MEMORY = Path("/dev/shm")
MEMORY_BYTES = 1 << 30
"""What must be free there; a container may have 64 MB of it."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests' folders in memory, where there is such a place, unless told otherwise.

    A disk is what the torture suite tries; elsewhere waiting for it is a tenth of the time.
    """
    is_there = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    if is_there and disk_usage(MEMORY).free >= MEMORY_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if sys.dont_write_bytecode and config.cache is not None:
        keep_bytecode(config.cache.mkdir("bytecode"))
    heed_signals()


def heed_signals() -> None:
    """Heed signals that a shell has processes in the background, or under nohup, ignore.

    Every process that a test interrupts would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def keep_bytecode(folder: Path) -> None:
    """Keep what the processes of this run compile in a folder of pytest's cache.

    `PYTHONDONTWRITEBYTECODE` asks for clean source folders; this process, each worker and each
    command would compile all of them again, which is a third of the time.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(folder)
    sys.dont_write_bytecode = False  # of this process: pytest compiles each test file it collects


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the whole suite among the cores; what is named on the command line runs right here.

    One more than there are cores: a tenth of the time tests wait for processes of theirs.
    """
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return (os.cpu_count() or 1) + 1 if is_whole else 0


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio alone: booper is an asyncio program."""
    return "asyncio"


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that stands at `START` until a test moves it."""
    return VirtualClock(START)


@pytest.fixture
def target() -> FakeTarget:
    """Return the target that every request of the `booper` fixture reaches."""
    return FakeTarget()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Return settings for a test: a fresh database, and every URL is an allowed target."""
    return fresh_config(tmp_path / "booper.db")


@pytest.fixture
async def booper(config: Config, clock: VirtualClock, target: FakeTarget) -> AsyncIterator[Booper]:
    """Run a booper on the virtual clock, with `KEY` as its key, sending to the target."""
    async with Booper(
        config, api_key=KEY, clock=clock, random=Random(1), transport=target
    ) as running:
        yield running


@pytest.fixture
async def api(booper: Booper) -> AsyncIterator[Api]:
    """Return a client of the running booper's API that sends its key."""
    async with Api(booper.asgi, KEY) as client:
        yield client


@pytest.fixture
async def admin(booper: Booper) -> AsyncIterator[Api]:
    """Return a client of the administration socket, which needs no key."""
    async with Api(booper.administration) as client:
        yield client
