"""Telling our own shortage from a target's trouble: descriptors, ports, threads, memory.

What fails for a reason of this kind says nothing about a target. What follows from that is not
decided here.
"""

import errno
import os
import socket
import ssl

from booper.errors import BooperError, Shortage

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


def shortage_of(error: BaseException) -> Shortage | None:
    """Return the shortage of this machine that an error reports, None if it is another error."""
    match error:
        case Shortage():
            return error
        case BooperError() if error.__cause__ is not None:
            return shortage_of(error.__cause__)
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
    """Return the shortage of local ports that a failed connection shows, or None.

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
