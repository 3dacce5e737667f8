"""Closing a connection in two steps, so that the client gets its response (RFC 9112 §9.6)."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

if sys.platform != "win32":
    from fcntl import ioctl
    from termios import TIOCOUTQ


class EndingTransport(asyncio.Transport):
    """A transport that can close in two steps: stop writing, then close."""

    def __init__(self, transport: asyncio.Transport, wants_to_linger: Callable[[], bool]) -> None:
        super().__init__()
        self.lingers = True
        self._written_bytes = 0
        self._transport = transport
        self._wants_to_linger = wants_to_linger
        self._is_ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write bytes."""
        self._written_bytes += len(data)
        self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the system has not taken yet."""
        return self._transport.get_write_buffer_size()

    def taken_bytes(self) -> int:
        """Return how many bytes of what was written the client's machine has acknowledged.

        The system reports room for more in steps of up to a megabyte: too coarse to see whether a
        slow client reads. Where it does not say what is still queued (tcp(7), SIOCOUTQ), that
        counts as taken.
        """
        return self._written_bytes - self._transport.get_write_buffer_size() - self._queued()

    def _queued(self) -> int:
        if sys.platform == "win32":
            return 0
        try:
            socket = self._transport.get_extra_info("socket")
            return int.from_bytes(ioctl(socket.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def close(self) -> None:
        """Close, at once or after a while of reading."""
        is_first, self._is_ended = not self._is_ended, True
        if (
            is_first
            and self.lingers
            and self._wants_to_linger()
            and self._transport.can_write_eof()
        ):
            self._transport.write_eof()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; what is not written is lost."""
        self._is_ended = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self._is_ended or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the socket."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()
