"""Telling our own shortage from a target's trouble: descriptors, ports, threads, memory.

An attempt that fails for a reason of this kind says nothing about its target: it costs no attempt
and is made again after a pause (`Shortages`).
"""

import errno
import logging
import os
import socket
import ssl
from datetime import datetime, timedelta

from booper.errors import Shortage

log = logging.getLogger("booper")

_ERRNOS = {
    errno.EMFILE: "no file descriptor is left (the process's limit, `ulimit -n`)",
    errno.ENFILE: "no file descriptor is left (the machine's limit, `fs.file-max`)",
    errno.ENOMEM: "no memory is left",
    errno.ENOBUFS: "no buffer space is left for sockets",
    errno.EAGAIN: "the machine has no resources left for another socket",
}
_NO_PORT = "no local port is left for this address (`net.ipv4.ip_local_port_range`)"
_NO_THREAD = "can't start new thread"  # what CPython says, and nothing more precise

# What a look-up or a TLS handshake opens at a time: sockets, /etc/hosts, a certificate.
_SPARE_DESCRIPTORS = 4

# The pause before an attempt is made again; it doubles while every attempt meets a shortage.
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=10)

# A shortage meets many attempts at once; one line in this time tells of all.
LOG_EVERY = timedelta(seconds=10)


def shortage_of(error: BaseException) -> Shortage | None:
    """Return the shortage of ours that an error tells of, None if it is about something else."""
    match error:
        case Shortage():
            return error
        case MemoryError():
            return Shortage("no memory is left")
        case RuntimeError() if str(error) == _NO_THREAD:
            return Shortage("no further thread can be started (`ulimit -u`, or the memory)")
        case socket.gaierror() | ssl.SSLError():  # their numbers are not the system's
            return None
        case OSError() if error.errno in _ERRNOS:
            return Shortage(_ERRNOS[error.errno])
        case _:
            return None


def port_shortage_of(error: OSError, address: str, port: int) -> Shortage | None:
    """Return the shortage of local ports that a failed connection tells of, or None.

    A machine without IPv6 fails with the same error at an IPv6 address. There a datagram socket,
    which needs a port of another kind and sends nothing, fails as well.
    """
    if error.errno != errno.EADDRNOTAVAIL:
        return None
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, port))
    except OSError:
        return None
    return Shortage(_NO_PORT)


def descriptor_shortage() -> Shortage | None:
    """Return the shortage of file descriptors, if there is one now.

    glibc and OpenSSL report a name or a certificate as unknown when they cannot open their files.
    """
    opened: list[int] = []
    try:
        for _ in range(_SPARE_DESCRIPTORS):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return shortage_of(error)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return None


class Shortages:
    """The shortages in a row: how long to pause after the next, and what the log has of them."""

    def __init__(self) -> None:
        self._pause = timedelta(0)
        self._paused_until: datetime | None = None
        self._logged_at: datetime | None = None
        self._unlogged = 0

    def pause_after(self, error: Shortage, now: datetime) -> timedelta:
        """Return how long to wait before an attempt that met a shortage is made again; log it.

        Attempts that meet it together pause alike.
        """
        until = self._paused_until
        if until is None or not until - LONGEST_PAUSE <= now < until:
            self._pause = max(FIRST_PAUSE, min(2 * self._pause, LONGEST_PAUSE))
            self._paused_until = now + self._pause
        pause = self._pause
        self._unlogged += 1
        if self._logged_at is None or not timedelta(0) <= now - self._logged_at < LOG_EVERY:
            log.error(
                "%d attempts could not be made: %s; they are given back, uncounted, and made "
                "again in %g s",
                self._unlogged,
                error,
                pause.total_seconds(),
            )
            self._logged_at, self._unlogged = now, 0
        return pause

    def end(self) -> None:
        """Note that an attempt was made."""
        if self._paused_until is not None:
            self._pause, self._paused_until = timedelta(0), None
