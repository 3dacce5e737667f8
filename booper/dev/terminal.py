"""The terminal under `booper dev`: single keys without Enter, and its modes put back afterwards.

Only the foreground process of a terminal may read it or set its modes: any other is stopped by
SIGTTIN or SIGTTOU (POSIX, General Terminal Interface §11.1.4). So keys are taken while this
process is in the foreground, and again once it comes back to it.
"""

import asyncio
import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

# A shell that brings a running job to the foreground sends it no signal.
LOOK_SECONDS: Final = 0.2

# These stop or end the process at once; the modes are put back before.
_PASSED_ON: Final = (signal.SIGTSTP, signal.SIGQUIT)


@contextmanager
def pressed(descriptor: int, press: Callable[[str], None]) -> Iterator[None]:
    """Call `press` with each key that is typed; the terminal's modes are put back at the end."""
    terminal = _Terminal(descriptor, press)
    terminal.open()
    try:
        yield
    finally:
        terminal.close()


class _Terminal:
    def __init__(self, descriptor: int, press: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._press = press
        self._loop = asyncio.get_running_loop()
        self._modes: list[Any] | None = None
        self._is_read = False
        self._next_look: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to read keys, whenever this process is in the foreground."""
        for number in _PASSED_ON:
            self._loop.add_signal_handler(number, partial(self._pass_on, number))
        self._loop.add_signal_handler(signal.SIGCONT, self._continued)
        self._look()

    def close(self) -> None:
        """Stop reading keys, and restore the modes."""
        for number in (*_PASSED_ON, signal.SIGCONT):
            self._loop.remove_signal_handler(number)
        self._restore()
        self._forget_look()

    def _look(self) -> None:
        """Read keys if this process is in the foreground; else check again soon."""
        self._forget_look()
        if not self._is_foreground():
            self._next_look = self._loop.call_later(LOOK_SECONDS, self._look)
        elif not self._is_read:
            with suppress(termios.error):  # the terminal is gone
                self._attach()

    def _attach(self) -> None:
        modes = termios.tcgetattr(self._descriptor)
        # A shell may hand the terminal back as this process had set it.
        if self._modes is None or modes[3] & termios.ICANON:
            self._modes = modes
        tty.setcbreak(self._descriptor, termios.TCSANOW)
        self._loop.add_reader(self._descriptor, self._read)
        self._is_read = True

    def _read(self) -> None:
        if not self._is_foreground():
            self._detach()
            self._look()
            return
        typed = b""
        with suppress(OSError):
            typed = os.read(self._descriptor, 64)
        if not typed:  # the terminal is gone
            self._detach()
        for key in typed.decode(errors="ignore"):
            self._press(key)

    def _detach(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self._is_read = False

    def _restore(self) -> None:
        if not self._is_read:
            return
        self._detach()
        if self._modes is not None and self._is_foreground():
            with suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._modes)

    def _pass_on(self, number: signal.Signals) -> None:
        """Run a signal's default action, with the terminal's modes put back."""
        self._restore()
        self._loop.remove_signal_handler(number)
        signal.raise_signal(number)
        self._loop.add_signal_handler(number, partial(self._pass_on, number))
        self._look()

    def _continued(self) -> None:
        """Set the modes anew: whoever had the terminal meanwhile has set its own."""
        if self._is_read:
            self._detach()
        self._look()

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # not the terminal that controls this process: nobody stops it
            return True

    def _forget_look(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
