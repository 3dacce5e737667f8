"""Time-ordered identifiers: UUID version 7 (RFC 9562 §5.7)."""

from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from booper.clock import EPOCH

_MICROSECOND = timedelta(microseconds=1)


def uuid7(at: datetime, random: Random) -> UUID:
    """Return a UUIDv7 for a time; see `uuid7_bytes`."""
    return UUID(bytes=uuid7_bytes(at, random))


def uuid7_bytes(at: datetime, random: Random) -> bytes:
    """Return a UUIDv7 for a time: 48 bits of milliseconds, 12 of their fraction, 62 random.

    The fraction makes identifiers of one process sort by microsecond (RFC 9562 §6.2, method 3),
    so that an index over them grows at its end.
    """
    milliseconds, rest = divmod((at - EPOCH) // _MICROSECOND, 1000)
    fraction = rest * 4096 // 1000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | fraction << 64
    return (value | 0b10 << 62 | random.getrandbits(62)).to_bytes(16)
