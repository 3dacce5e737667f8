"""Tests in the browser are coroutines that run on its loop, in its thread."""

import inspect
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium, installed, running_chromium
from tests.support.configs import Configs, configs_in


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """Return the browser of this process."""
    if installed() is None and "CI" not in os.environ:
        pytest.skip("needs Chromium (Debian: chromium); the checks on a new machine install it")
    with running_chromium() as chromium:
        yield chromium


@pytest.fixture
def configs(tmp_path: Path) -> Configs:
    """Return what makes settings, each time with a fresh database."""
    return configs_in(tmp_path)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine of this folder on the loop of the browser that it is given."""
    function, given = pyfuncitem.obj, pyfuncitem.funcargs
    if not inspect.iscoroutinefunction(function):
        return None
    chromium = given["chromium"]
    assert isinstance(chromium, Chromium)
    chromium.run(function(**{name: given[name] for name in inspect.signature(function).parameters}))
    return True
