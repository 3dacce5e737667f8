"""Limits: how many jobs may be on their way at a time, as the store is asked."""

from pathlib import Path
from random import Random

import pytest

from booper.store.limits import Limits
from booper.store.sqlite import open_store

pytestmark = pytest.mark.anyio

LIMITS = Limits(
    64,
    16,
    {"a.example": 8, "b.example:8443": 4, "https://c.example": 2, "https://b.example:8443": 1},
)

OF_ORIGINS = [
    ("https://other.example", 16),  # none of its own
    ("https://a.example", 8),  # its host
    ("http://a.example:8080", 8),  # its host, on whichever port
    ("http://b.example:8443", 4),  # host and port
    ("https://b.example", 16),  # another port
    ("https://b.example:8443", 1),  # the origin before its host and port
    ("https://c.example", 2),  # the origin
    ("http://c.example", 16),  # another scheme
    ("app:", 16),  # the program around booper
]


@pytest.mark.parametrize(("origin", "limit"), OF_ORIGINS)
def test_an_origin_has_the_limit_of_its_narrowest_name(origin: str, limit: int) -> None:
    """The origin itself, then its host with the port, then its host; else that of all origins."""
    assert LIMITS.of("origin", origin) == limit


def test_the_limit_in_all_is_no_origins() -> None:
    """What single origins may take changes nothing of what they may take together."""
    assert LIMITS.of("all", "") == 64


async def test_a_store_knows_the_limits_it_was_opened_with(tmp_path: Path) -> None:
    """Whoever sends asks the store, not the configuration."""
    async with open_store(tmp_path / "booper.db", "normal", Random(1), LIMITS) as store:
        asked = [store.limits("all", ""), store.limits("origin", "https://a.example")]
    assert asked == [64, 8]
