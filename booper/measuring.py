"""What a holder counts while it runs, and the address of its own where metrics can be."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from booper.api.application import create_application
from booper.assembly import Kept, services_of
from booper.engine.scheduler import Scheduler
from booper.metrics.endpoint import OPEN
from booper.parts import Parts
from booper.server.side_listener import listening_at


@asynccontextmanager
async def measuring(parts: Parts, kept: Kept, scheduler: Scheduler) -> AsyncIterator[None]:
    """Count attempts until the end of the block; serve metrics at their own address, if any.

    Raises:
        StartError: the address cannot be listened on.
    """
    attempts = kept.attempts
    if attempts.schedules:
        found = await kept.store.schedules.last_completed(attempts.schedules)
        for name, at in found.items():
            attempts.note_completed([name], at)
    parts.observers.add(attempts)
    async with AsyncExitStack() as stack:
        stack.callback(parts.observers.remove, attempts)
        if (address := parts.config.server.metrics_address) is not None:
            application = create_application(services_of(parts, kept, scheduler), [OPEN])
            listener = listening_at(*address, application, "[server] metrics")
            await stack.enter_async_context(listener)
        yield
