"""The first ten minutes of three people, from the README alone: what they type, what they read."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.support.documents import DOCS, README
from tests.support.transcript import Player, Step, steps_of

TRANSCRIPTS = Path(__file__).parent / "transcripts"
# Below those that systems give away (from 32768 on), so that no other test is given one of them.
PORTS = {
    "on_a_vps": 21_000,
    "in_a_program": 22_000,
    "in_place_of_the_hosted_one": 23_000,
}
# What one knows without booper's documents, and the paths of the program that stands there.
KNOWN = {
    "export BOOPER_API_KEY=sk_public_20230921",
    "python hello.py",
    "pytest -q",
    "uvicorn main:app",
    'curl http://127.0.0.1:2667/sign-up -d \'{"email": "ada@example.com"}\'',
    "curl http://127.0.0.1:2667/tasks/welcome -d '{\"to\": \"a stranger\"}' -w '%{http_code}\\n'",
    "curl http://127.0.0.1:2667/booper/api/ping",
}


def transcript(name: str) -> list[Step]:
    """Return the steps of a person."""
    return list(steps_of((TRANSCRIPTS / f"{name}.txt").read_text()))


def reserve(port: int) -> socket.socket:
    """Return what keeps a port of this machine, the first free one from this one on.

    It has the UDP port of the same number, which other test runs ask for as well, so that the port
    stays taken between two starts of a booper.
    """
    for number in range(port, port + 1_000):
        kept = socket.socket(type=socket.SOCK_DGRAM)
        try:
            kept.bind(("127.0.0.1", number))
            socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            kept.close()
        else:
            return kept
    raise OSError(f"no free port from {port} on")


@pytest.mark.parametrize("name", PORTS)
def test_what_is_typed_prints_what_is_written_down(name: str, tmp_path: Path) -> None:
    """In an empty folder, in order, with the exit codes that the README tells."""
    steps = transcript(name)
    if any("node " in step.typed for step in steps) and not shutil.which("node"):
        assert "CI" not in os.environ
        pytest.skip("needs Node 18 or newer; the checks on a new machine install it")
    folder = tmp_path / "home"
    folder.mkdir()
    with reserve(PORTS[name]) as kept, Player(folder, kept.getsockname()[1]) as player:
        for step in steps:
            player.play(step)


@pytest.mark.parametrize("name", PORTS)
def test_everything_typed_is_in_the_readme_or_the_reference(name: str) -> None:
    """A person has only these; what a program of theirs is called is known to them."""
    typed = [step.typed for step in transcript(name) if step.terminal in ("1", "2")]
    read = "".join([README, *DOCS.values()])
    assert [each for each in typed if each not in read and each not in KNOWN] == []


def test_every_transcript_is_played() -> None:
    """A new one cannot be forgotten."""
    assert {path.stem for path in TRANSCRIPTS.iterdir()} == set(PORTS)
