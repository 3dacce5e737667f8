"""Reading the body of a response, up to a limit."""

import msgspec

from booper.http.base import Stream
from booper.http.content import CODINGS, Inflater, MalformedContent


class Body(msgspec.Struct, frozen=True, gc=False):
    """The part of a body that was read.

    `is_cut` is whether more would have come, or may have. `fault` is what was wrong with the
    response behind its status line, empty where nothing was.
    """

    content: bytes
    is_cut: bool
    fault: str


async def read_body(stream: Stream, limit: int, content_encoding: str | None = None) -> Body:
    """Return a body of at most `limit` bytes, decoded if `content_encoding` is a known one.

    The rest never leaves the socket: the stream is closed in any case. A body that cannot be
    decoded is returned as it came, with that fault.

    Raises:
        SendError: the body breaks off.
    """
    coding = _coding(content_encoding) if content_encoding else ""
    try:
        if coding in CODINGS:
            return await _read_coded(stream, limit, Inflater(coding))
        body = await _read(stream, limit)
    finally:
        await stream.aclose()
    if coding and body.content and not body.fault:
        fault = f"the body has Content-Encoding {coding[:80]!r}, which booper cannot decode"
        return Body(body.content, body.is_cut, fault)
    return body


async def _read(stream: Stream, limit: int) -> Body:
    chunks: list[bytes] = []
    room = limit
    async for chunk in stream:
        chunks.append(chunk[:room])
        if len(chunk) > room:
            return Body(b"".join(chunks), True, stream.fault)
        room -= len(chunk)
    return Body(b"".join(chunks), stream.is_cut, stream.fault)


async def _read_coded(stream: Stream, limit: int, inflater: Inflater) -> Body:
    """Read a coded body: at most `limit` bytes decoded, and hardly more as they travel."""
    raw, decoded = bytearray(), bytearray()
    async for chunk in stream:
        raw += chunk
        try:
            # One byte more than the limit shows that the body is longer.
            decoded += inflater.feed(chunk, limit + 1 - len(decoded))
        except MalformedContent as error:
            return Body(bytes(raw[:limit]), len(raw) > limit, str(error))
        if len(decoded) > limit or len(raw) > 2 * limit + 1024:
            return Body(bytes(decoded[:limit]), True, stream.fault)
    fault = stream.fault or ("" if inflater.is_complete else "the coded body ends too early")
    return Body(bytes(decoded), stream.is_cut or not inflater.is_complete, fault)


def _coding(content_encoding: str) -> str:
    """Return the coding that a header names, in lower case; nothing for `identity`."""
    names = (name.strip() for name in content_encoding.lower().split(","))
    return ", ".join(name for name in names if name not in ("", "identity"))
