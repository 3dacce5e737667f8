"""The pytest plugin: the fixture `booper`. Installed with booper, it costs a run nothing unasked.

`-p no:booper` in pytest's options switches it off; a fixture of the same name in a `conftest.py`
takes its place.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from booper.testing import VirtualBooper


@pytest.fixture
def booper() -> Iterator["VirtualBooper"]:
    """A running booper of this test's own: its clock stands still, nothing leaves the machine."""
    from booper.testing import VirtualBooper  # only where it is wanted: it takes a while

    with VirtualBooper() as running:
        yield running
