"""Decoding gzip and deflate, which a server may use though no coding was asked for.

A few bytes can expand to gigabytes, so each step produces at most what the caller has room for.
"""

import zlib
from typing import Final

_GZIP_BITS: Final = 31
_ZLIB_BITS: Final = 15
_RAW_BITS: Final = -15  # some servers send deflate without the frame of zlib

CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
"""Codings that can be decoded, in lower case; `x-gzip` is gzip (RFC 9110 §8.4.1.3)."""


MAX_MEMBERS: Final = 100
"""Parts that a gzip body may have; empty ones would take the loop's time and produce nothing."""


class MalformedContent(ValueError):
    """The bytes are not in the coding that they are said to be in."""


class Inflater:
    """One body that is decoded piece by piece. `coding` is one of `CODINGS`."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inflate = zlib.decompressobj(_GZIP_BITS)
        self._members = 0
        self._has_produced = False
        """Whether the present member has; one of several that has not may be padding."""
        self._is_over = False
        self._held = b""

    @property
    def is_complete(self) -> bool:
        """Return whether the data ends where the coding does; no data at all is complete."""
        is_padding = self._members > 1 and not self._has_produced
        return self._is_over or self._inflate.eof or is_padding or not self._members

    def feed(self, data: bytes, room: int) -> bytes:
        """Return what `data` decodes to, at most `room` bytes of it.

        What follows the end of the coded data is ignored, as clients do.

        Raises:
            MalformedContent: the bytes are not in this coding.
        """
        pieces: list[bytes] = []
        data = self._begin(data) if not self._members else data
        while data and room > 0 and not self._is_over:
            piece = self._step(data, room)
            pieces.append(piece)
            room -= len(piece)
            data = self._inflate.unused_data or self._inflate.unconsumed_tail
        return b"".join(pieces)

    def _begin(self, data: bytes) -> bytes:
        """Return what there is to decode, nothing until two bytes tell one deflate from another."""
        data = self._held + data
        if self._coding == "deflate":
            if len(data) < 2:
                self._held = data
                return b""
            # RFC 1950 §2.2: the method is 8, and the two bytes are a multiple of 31.
            is_zlib = data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._inflate = zlib.decompressobj(_ZLIB_BITS if is_zlib else _RAW_BITS)
        self._members = 1 if data else 0
        return data

    def _step(self, data: bytes, room: int) -> bytes:
        if self._inflate.eof:
            if self._coding == "deflate" or self._members == MAX_MEMBERS:
                self._is_over = True
                return b""
            self._inflate = zlib.decompressobj(_GZIP_BITS)
            self._members += 1
            self._has_produced = False
        try:
            piece = self._inflate.decompress(data, room)
        except zlib.error as error:
            if self._members > 1 and not self._has_produced:
                self._is_over = True
                return b""
            raise MalformedContent(f"the body is not valid {self._coding}: {error}") from error
        self._has_produced = self._has_produced or piece != b""
        return piece
