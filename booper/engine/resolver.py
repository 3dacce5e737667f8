"""Looking names up without one slow name server holding up all others.

The event loop's own look-ups share a pool of a few threads, and a look-up cannot be cancelled: a
handful of names whose servers are dead would stop all. Here each name has a thread of its own while
it is looked up, and whoever asks for the same name meanwhile shares its answer.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

Names = tuple[str, int]
LookUp = Callable[[str, int], Sequence[str]]


class Resolver:
    """A resolver with one look-up at a time for each name and port.

    `look_up` blocks its thread and returns addresses as texts; the operating system's by default.
    """

    def __init__(self, look_up: LookUp | None = None) -> None:
        self._look_up = look_up or system_look_up
        self._running: dict[Names, asyncio.Future[tuple[str, ...]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses that the operating system knows for `host`, without repeats.

        Raises:
            OSError: the name does not resolve.
        """
        names = (host, port)
        answer = self._running.get(names)
        if answer is None:
            answer = self._running[names] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda done: self._forget(names, done))
            # A daemon: a look-up that hangs must not keep the process from ending.
            arguments = (self._look_up, names, answer)
            threading.Thread(target=_run, args=arguments, daemon=True).start()
        return await asyncio.shield(answer)

    def _forget(self, names: Names, answer: asyncio.Future[tuple[str, ...]]) -> None:
        del self._running[names]
        if not answer.cancelled():
            answer.exception()  # it may be that nobody waits for it any more


def system_look_up(host: str, port: int) -> Sequence[str]:
    """Ask the operating system. Raises: OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no name: {error}") from error
    return [str(item[4][0]) for item in found]


def _run(look_up: LookUp, names: Names, answer: asyncio.Future[tuple[str, ...]]) -> None:
    outcome: tuple[str, ...] | OSError
    try:
        outcome = tuple(dict.fromkeys(look_up(*names)))
    except OSError as error:
        outcome = error
    with suppress(RuntimeError):  # the loop has ended meanwhile
        answer.get_loop().call_soon_threadsafe(_tell, answer, outcome)


def _tell(answer: asyncio.Future[tuple[str, ...]], outcome: tuple[str, ...] | OSError) -> None:
    if answer.done():
        return
    if isinstance(outcome, OSError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
