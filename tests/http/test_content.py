"""Bodies in a content coding that nobody asked for."""

import gzip
import zlib
from collections.abc import AsyncIterator, Sequence

import pytest

from booper.http.base import Stream
from booper.http.body import Body, read_body
from booper.http.content import MAX_MEMBERS

pytestmark = pytest.mark.anyio

TEXT = b'{"$set": {"seen": 1}}'
LIMIT = 1000


class Pieces(Stream):
    """A body in pieces; it counts those that were read, and whether it was closed."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self.read = 0
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.read += 1
            yield piece

    async def aclose(self) -> None:
        """Note it."""
        self.is_closed = True


def zipped(data: bytes) -> bytes:
    """Return data in gzip, the same at any time."""
    return gzip.compress(data, mtime=0)


def split(data: bytes, size: int) -> list[bytes]:
    """Return data in pieces."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def raw_deflate(data: bytes) -> bytes:
    """Return data in deflate without the frame of zlib."""
    compress = zlib.compressobj(wbits=-15)
    return compress.compress(data) + compress.flush()


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", zipped(TEXT)),
        ("x-gzip", zipped(TEXT)),
        ("GZIP", zipped(TEXT)),
        ("identity, gzip", zipped(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        # RFC 1952 §2.2: members simply appear one after another.
        ("gzip", zipped(TEXT[:9]) + zipped(TEXT[9:])),
        # Padding behind the end is ignored, as gzip(1) and the clients do.
        ("gzip", zipped(TEXT) + bytes(20)),
        ("deflate", zlib.compress(TEXT) + b"rest"),
        ("identity", TEXT),
        ("", TEXT),
    ],
)
async def test_a_coded_body_is_decoded(coding: str, data: bytes, size: int) -> None:
    """gzip and deflate, in one frame or another (RFC 9110 §8.4.1)."""
    stream = Pieces(split(data, size))
    assert await read_body(stream, LIMIT, coding) == Body(TEXT, is_cut=False, fault="")
    assert stream.is_closed


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    ("length", "is_cut"), [(LIMIT - 1, False), (LIMIT, False), (LIMIT + 1, True)]
)
async def test_the_limit_holds_for_what_is_decoded(coding: str, length: int, is_cut: bool) -> None:
    """A body is cut where it is longer than the limit, not where it is as long."""
    data = b"x" * length
    coded = zipped(data) if coding == "gzip" else zlib.compress(data)
    body = await read_body(Pieces([coded]), LIMIT, coding)
    assert (body.content, body.is_cut, body.fault) == (data[:LIMIT], is_cut, "")


async def test_a_bomb_is_not_expanded() -> None:
    """100 MB of zeros in 100 KB: no more than the limit is decoded, and no more is read."""
    bomb = zipped(bytes(100_000_000))
    stream = Pieces(split(bomb, 1000))
    body = await read_body(stream, LIMIT, "gzip")
    assert (body.content, body.is_cut) == (bytes(LIMIT), True)
    assert (stream.read, stream.is_closed) == (1, True)


async def test_parts_without_content_end_somewhere() -> None:
    """Empty members would take time for ever; those behind the limit are not read."""
    empty = zipped(b"")
    data = empty * MAX_MEMBERS + zipped(TEXT)
    body = await read_body(Pieces([data]), len(data), "gzip")
    assert body.content == b""
    stream = Pieces([empty] * 1000)
    assert (await read_body(stream, LIMIT, "gzip")).is_cut
    # Each has 20 bytes; twice the limit and a little may travel.
    assert stream.read <= (2 * LIMIT + 1024) // 20 + 1


@pytest.mark.parametrize(
    ("coding", "data", "content", "fault"),
    [
        ("gzip", TEXT, TEXT, "the body is not valid gzip"),
        ("deflate", b"\xff" * 9, b"\xff" * 9, "the body is not valid deflate"),
        ("br", TEXT, TEXT, "Content-Encoding 'br', which booper cannot decode"),
        ("zstd", TEXT, TEXT, "Content-Encoding 'zstd', which booper cannot decode"),
        ("gzip, gzip", TEXT, TEXT, "'gzip, gzip', which booper cannot decode"),
        ("gzip", zipped(TEXT)[:-9], TEXT, "the coded body ends too early"),
    ],
)
async def test_what_cannot_be_decoded_is_said(
    coding: str, data: bytes, content: bytes, fault: str
) -> None:
    """The body is kept as it came, or as far as it could be decoded, and the reason beside it."""
    body = await read_body(Pieces([data]), LIMIT, coding)
    assert body.content.startswith(content[:4])
    assert fault in body.fault


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_no_body_needs_no_decoding(coding: str) -> None:
    """The response to a HEAD, or a 204, may name a coding that it does not use."""
    assert await read_body(Pieces([]), LIMIT, coding) == Body(b"", is_cut=False, fault="")
