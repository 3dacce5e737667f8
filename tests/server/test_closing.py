"""The end of a listener: no connection outlives it, however late it was accepted."""

import asyncio
import socket

import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from booper.clock import breathe
from booper.server.limits import Limits
from booper.server.listener import Listener, listening
from tests.support.processes import DEADLINE_SECONDS


async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to nothing: nobody asks."""
    raise AssertionError("nobody asks")


async def ended(turns: int) -> None:
    """Connect, and end the listener so many turns of the event loop later.

    Raises:
        TimeoutError: it waits for the connection.
    """
    with socket.create_server(("127.0.0.1", 0)) as bound:
        listener = Listener(unreachable, 10 * DEADLINE_SECONDS, [bound], Limits())
        async with asyncio.timeout(DEADLINE_SECONDS), listening(listener):
            while not listener.started:
                await breathe()
            with socket.create_connection(bound.getsockname()) as client:
                for _ in range(turns):
                    await breathe()
                listener.close()
                client.setblocking(False)
                while await asyncio.get_running_loop().sock_recv(client, 1):
                    pass


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_is_accepted_at_the_end_does_not_delay_it(turns: int) -> None:
    """Whether it is accepted before, while or after the others are ended."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ended(turns))
