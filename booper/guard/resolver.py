"""Looking names up so that one slow name server does not delay all others.

The event loop's own look-ups share a pool of a few threads, and a look-up cannot be cancelled: a
handful of names whose servers are dead would stop all. Here each name has a thread of its own while
it is looked up, and whoever asks for the same name meanwhile shares its result. The threads are
bounded; some of them are for names that were resolved before, so that any number of new names
whose servers hang cannot take them all.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from booper.errors import Shortage
from booper.shortage import descriptor_shortage, shortage_of

Names = tuple[str, int]
LookUp = Callable[[str, int], Sequence[str]]

# A hanging look-up ends when the system's resolver gives up, mostly after 10 to 40 s. An idle
# thread takes a few KB.
MAX_THREADS = 256

# How many names are remembered as resolved, 200 bytes each.
MAX_KNOWN = 4_096

# How long a look-up waits for a thread: healthy ones take milliseconds.
MAX_WAIT_SECONDS = 2.0


class Resolver:
    """A resolver with one look-up at a time for each name and port.

    `look_up` blocks its thread and returns addresses as texts; the operating system's by default.
    At most `max_threads` run at a time, a quarter of them kept for names that were resolved before.
    """

    def __init__(
        self,
        look_up: LookUp | None = None,
        max_threads: int = MAX_THREADS,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._look_up = look_up or system_look_up
        self._max_threads = max_threads
        self._max_wait_seconds = max_wait_seconds
        self._max_unknown = max(1, max_threads * 3 // 4)
        self._running: dict[Names, asyncio.Future[tuple[str, ...]]] = {}
        # Those of the running that wait for a thread, in the order in which they came.
        self._waiting: deque[Names] = deque()
        self._busy: set[Names] = set()
        self._known: dict[Names, None] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses that the operating system knows for `host`, without repeats.

        Raises:
            OSError: the name does not resolve.
            Shortage: there is no thread, or no file descriptor, to look it up with.
        """
        names = (host, port)
        result = self._running.get(names)
        if result is None or result.done():
            result = self._begin(names)
        return await asyncio.shield(result)

    def _begin(self, names: Names) -> "asyncio.Future[tuple[str, ...]]":
        loop = asyncio.get_running_loop()
        result = self._running[names] = loop.create_future()
        result.add_done_callback(lambda done: self._forget(names, done))
        self._waiting.append(names)
        self._start_waiting()
        if names in self._waiting:
            loop.call_later(self._max_wait_seconds, self._give_up, names, result)
        return result

    def _start_waiting(self) -> None:
        """Start look-ups that wait for a thread, the first first."""
        left: deque[Names] = deque()
        while self._waiting and len(self._busy) < self._max_threads:
            names = self._waiting.popleft()
            if names in self._known or len(self._busy) < self._max_unknown:
                self._start(names)
            else:
                left.append(names)
        self._waiting.extendleft(reversed(left))

    def _start(self, names: Names) -> None:
        result = self._running[names]
        # A daemon: a look-up that hangs must not keep the process from ending.
        arguments = (self._look_up, names, result, self._ended)
        try:
            threading.Thread(target=_run, args=arguments, daemon=True).start()
        except (RuntimeError, MemoryError) as error:
            result.set_exception(shortage_of(error) or error)
        else:
            self._busy.add(names)

    def _ended(self, names: Names, outcome: "tuple[str, ...] | Exception") -> None:
        """Handle a thread's result, on the event loop."""
        self._busy.discard(names)
        result = self._running.get(names)
        if isinstance(outcome, Exception):
            self._known.pop(names, None)
            if result is not None:
                result.set_exception(outcome)
        else:
            self._remember(names)
            if result is not None:
                result.set_result(outcome)
        self._start_waiting()

    def _remember(self, names: Names) -> None:
        self._known.pop(names, None)
        self._known[names] = None  # the last one is the one resolved last
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def _give_up(self, names: Names, result: "asyncio.Future[tuple[str, ...]]") -> None:
        """End a look-up that has found no thread."""
        if names in self._waiting and self._running.get(names) is result:
            self._waiting.remove(names)
            result.set_exception(
                Shortage(f"{len(self._busy)} look-ups of names hang, and no more may run at a time")
            )

    def _forget(self, names: Names, result: "asyncio.Future[tuple[str, ...]]") -> None:
        if self._running.get(names) is result:
            del self._running[names]
        if not result.cancelled():
            result.exception()  # its callers may have gone


def system_look_up(host: str, port: int) -> Sequence[str]:
    """Return a name's addresses. Raises: OSError, or Shortage where the machine cannot tell."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no name: {error}") from error
    except OSError as error:
        if error.errno == socket.EAI_MEMORY:
            raise Shortage("no memory is left") from error
        if shortage := shortage_of(error) or descriptor_shortage():
            raise shortage from error
        raise
    return [str(item[4][0]) for item in found]


def _run(
    look_up: LookUp,
    names: Names,
    result: "asyncio.Future[tuple[str, ...]]",
    ended: "Callable[[Names, tuple[str, ...] | Exception], None]",
) -> None:
    outcome: tuple[str, ...] | Exception
    try:
        outcome = tuple(dict.fromkeys(look_up(*names)))
    except (OSError, Shortage, MemoryError) as error:
        outcome = error
    with suppress(RuntimeError):  # the loop has ended meanwhile
        result.get_loop().call_soon_threadsafe(ended, names, outcome)
