"""The terminal under `booper dev`, in this process: its modes are put back whatever happens."""

import asyncio
import os
import pty
import termios
from collections.abc import Iterator

import pytest

from booper.dev.terminal import pressed

pytestmark = pytest.mark.anyio


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Return a hand's end of a terminal and the process's."""
    hand, device = pty.openpty()
    yield hand, device
    os.close(device)


def takes_keys(device: int) -> bool:
    """Return whether keys come without Enter and without an echo."""
    return not termios.tcgetattr(device)[3] & (termios.ICANON | termios.ECHO)


class Crash(Exception):
    """What goes wrong in a block."""


def crash(device: int) -> None:
    """Raise while keys are taken."""
    with pressed(device, print):
        assert takes_keys(device)
        raise Crash


async def test_a_crash_leaves_the_modes_as_they_were(terminal: tuple[int, int]) -> None:
    """All of them, not only those that were set."""
    hand, device = terminal
    before = termios.tcgetattr(device)
    with pytest.raises(Crash):
        crash(device)
    assert termios.tcgetattr(device) == before
    os.close(hand)


async def test_keys_are_handed_on_one_by_one(terminal: tuple[int, int]) -> None:
    """Also where several come at once, and letters of more than a byte."""
    hand, device = terminal
    keys: asyncio.Queue[str] = asyncio.Queue()
    with pressed(device, keys.put_nowait):
        os.write(hand, "qü?".encode())
        assert [await keys.get() for _ in range(3)] == ["q", "ü", "?"]
    os.close(hand)


async def test_a_terminal_that_is_gone_is_left_alone(terminal: tuple[int, int]) -> None:
    """Neither its end nor ours raises anything."""
    hand, device = terminal
    with pressed(device, print):
        os.close(hand)
    with pressed(device, print):
        pass
