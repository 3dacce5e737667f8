"""The service manager that started this process: the sockets it passes, what it is told.

These are the protocols of systemd, sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3), which
others speak too. Without their variables there is nobody to tell, and no socket was passed.
"""

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from booper.clock import Clock
from booper.errors import StartError, StoreUnavailable
from booper.executable import is_executable

FIRST_DESCRIPTOR: Final = 3

# Two of them may be late before the service manager gives this process up.
BEATS_PER_TIMEOUT: Final = 3

Beat = Callable[[], Awaitable[StoreUnavailable | None]]
"""Return once the process has shown that it works, or why it cannot do all that it should."""


class Supervisor:
    """The service manager of a process with this environment, if it has one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._address = environment.get("NOTIFY_SOCKET", "")

    def sockets(self) -> list[socket.socket]:
        """Return the listening sockets that were passed.

        Raises:
            StartError: one of them does not listen for TCP.
        """
        if not self._is_for_us("LISTEN_PID"):
            return []
        count = int(self._environment.get("LISTEN_FDS", "0"))
        return [_listening(FIRST_DESCRIPTOR + number) for number in range(count)]

    def ready(self, status: str) -> None:
        """Announce that the start is done."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Announce that the settings are read again; `ready` ends that."""
        self._tell("RELOADING=1")

    def stopping(self) -> None:
        """Announce that the end has begun."""
        self._tell("STOPPING=1", "STATUS=stopping")

    async def watch(self, beat: Beat, status: str, clock: Clock) -> None:
        """Feed its watchdog, if it has one, after each beat, until cancelled.

        An error that a beat returns is shown as the status; a new start would not mend it.
        """
        while self.watchdog:
            await clock.pause(self.watchdog / BEATS_PER_TIMEOUT)
            error = await beat()
            self._tell("WATCHDOG=1", f"STATUS={status if error is None else error}")

    @property
    def watchdog(self) -> timedelta | None:
        """Return after which time without a beat this process is killed, None if it is not."""
        if "WATCHDOG_PID" in self._environment and not self._is_for_us("WATCHDOG_PID"):
            return None
        microseconds = int(self._environment.get("WATCHDOG_USEC", "0"))
        return timedelta(microseconds=microseconds) or None

    def _is_for_us(self, variable: str) -> bool:
        """Return whether a variable names this process, or the loader of a single executable."""
        ours = [os.getpid(), os.getppid()] if is_executable() else [os.getpid()]
        return self._environment.get(variable, "") in map(str, ours)

    def _tell(self, *assignments: str) -> None:
        """Send one datagram; where nobody reads it, nobody waits for it."""
        if not self._address:
            return
        lines = (each.replace("\n", " ") for each in assignments)
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
            sender.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, address)


def _listening(descriptor: int) -> socket.socket:
    """Return a socket that was passed. Raises: StartError."""
    try:
        os.set_inheritable(descriptor, False)
        passed = socket.socket(fileno=descriptor)
        is_tcp = passed.family in (socket.AF_INET, socket.AF_INET6)
        if is_tcp and passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return passed
        passed.close()
    except OSError:  # no socket, or no descriptor at all
        pass
    raise StartError(
        f"LISTEN_FDS: descriptor {descriptor} is no TCP socket that listens; in the socket unit, "
        "write an address and a port, such as ListenStream=127.0.0.1:2667"
    )
