"""What booper needs of the pauses in a database (`booper.store.base`)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from booper.model.audit import ADMINISTRATOR, Actor
from booper.store.values import Pause


class Pauses(Protocol):
    """Targets to which nothing is sent for now; `ALL_TARGETS` stands for every one."""

    async def list(self) -> Sequence[Pause]:
        """Return what is paused, in order of the targets' names."""

    async def add(self, target: str, now: datetime, by: Actor = ADMINISTRATOR) -> None:
        """Pause a target; one that is paused already stays so since then."""

    async def remove(self, target: str, now: datetime, by: Actor = ADMINISTRATOR) -> None:
        """Resume a target; `ALL_TARGETS` resumes all of them."""
