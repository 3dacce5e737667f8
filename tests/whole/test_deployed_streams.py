"""The stream of changes through nginx and Caddy, as the page about deploying has them.

`python -m tests.torture --only proxied` is silent for three minutes in the middle of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.deployed import PREFIX, Way, caddy, deployed, nginx
from tests.support.processes import monotonic
from tests.whole.test_deploying import client_of

WAYS = (nginx, caddy)
PREFIXES = ("", PREFIX)
PATIENCE_SECONDS = 60.0  # longer than the time between two comments of a stream


@dataclass(frozen=True, slots=True)
class Streamed:
    """After how many seconds the first event came, and one after a silence."""

    first_seconds: float
    later_seconds: float


def streamed(folder: Path, way: Way, prefix: str, silence: Callable[[], object]) -> Streamed:
    """Watch what changes behind a proxy: at once, and after a silence on the same stream."""
    with deployed(folder, way, prefix) as booper, client_of(booper) as client:
        client.timeout = httpx.Timeout(PATIENCE_SECONDS)
        assert client.get("/api/ping").status_code == 200  # all three have begun
        began = monotonic()
        with client.stream("GET", "/api/events") as events:
            assert events.status_code == 200
            lines = events.iter_lines()
            _read_until("are_more", lines)
            first_seconds = monotonic() - began
            silence()
            job = {"url": "https://target.example/", "schedule_in": [1, "hour"]}
            number = client.post("/api/jobs", json=job).json()["data"]["job_id"]
            began = monotonic()
            _read_until(f'"jobs":[{number}]', lines)
            return Streamed(first_seconds, monotonic() - began)


def _read_until(words: str, lines: Iterator[str]) -> None:
    assert any(words in line for line in lines), f"the stream ended without {words}"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("way", WAYS)
def test_changes_come_through_a_proxy(tmp_path: Path, way: Way, prefix: str) -> None:
    """Each as it happens: nothing in between holds it back until there is more."""
    streamed(tmp_path, way, prefix, lambda: None)
