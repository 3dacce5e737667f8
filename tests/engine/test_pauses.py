"""Pauses, and what the start of a node reads of them while they change."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from booper.engine.pauses import Pauses
from booper.model.audit import ADMINISTRATOR, Actor
from booper.store.values import Pause
from tests.conftest import START

pytestmark = pytest.mark.anyio

HOST = "target.test"


class Kept:
    """Pauses in a store. After its first read something happens, before its reader hears of it."""

    def __init__(self, *targets: str) -> None:
        self.targets = list(targets)
        self.after_read: Callable[[], None] | None = None

    async def list(self) -> Sequence[Pause]:
        """Return what was paused as the read began."""
        found = [Pause(target, START) for target in self.targets]
        if self.after_read is not None:
            happens, self.after_read = self.after_read, None
            happens()
        return found

    async def add(self, target: str, now: datetime, by: Actor = ADMINISTRATOR) -> None:
        """Pause a target."""
        self.targets.append(target)

    async def remove(self, target: str, now: datetime, by: Actor = ADMINISTRATOR) -> None:
        """Resume a target."""
        self.targets.remove(target)


async def test_a_target_that_is_resumed_during_the_read_is_not_paused_again() -> None:
    """As by a request that comes in the moment in which booper starts."""
    pauses, kept = Pauses(), Kept(HOST)

    def resume() -> None:
        kept.targets.clear()
        pauses.end(HOST)

    kept.after_read = resume
    assert await pauses.read(kept) == []


async def test_a_target_that_is_paused_during_the_read_is_read() -> None:
    """It is one of those that the start knows."""
    pauses, kept = Pauses(), Kept()

    def pause() -> None:
        kept.targets.append(HOST)
        pauses.begin(HOST, START)

    kept.after_read = pause
    assert await pauses.read(kept) == [Pause(HOST, START)]
