"""Agents: tasks that run beside the loop, from its start to its end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from booper.clock import Clock

log = logging.getLogger("booper")

Agent = Callable[[], Awaitable[None]]
"""Work that goes on until it is cancelled."""

NO_AGENTS: Final[Mapping[str, Agent]] = {}

PAUSE_AFTER_FAILURE: Final = timedelta(seconds=1)


async def run_beside(main: Agent, agents: Mapping[str, Agent], clock: Clock) -> None:
    """Run `main`, and agents by their names beside it; they are cancelled when it ends.

    An agent that fails is logged and started again: it must not stop the sending.

    Raises: what `main` raises.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_kept_running(name, agent, clock), name=name)
            for name, agent in agents.items()
        ]
        try:
            await main()
        except Exception as error:  # callers expect the error of `main` itself, not a group
            failure = error
        finally:
            for task in tasks:
                task.cancel()
    if failure is not None:
        raise failure


async def _kept_running(name: str, agent: Agent, clock: Clock) -> None:
    while True:
        try:
            await agent()
        except Exception:
            log.exception("the %s failed and is started again", name)
        await clock.pause(PAUSE_AFTER_FAILURE)
