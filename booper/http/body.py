"""Reading the body of a response, up to a limit."""

from booper.http.base import Stream


async def read_body(stream: Stream, limit: int) -> tuple[bytes, bool]:
    """Return at most `limit` bytes of a body, and whether more would have come.

    The rest never leaves the socket: the stream is closed in any case.

    Raises:
        SendError: the body breaks off.
    """
    chunks: list[bytes] = []
    room = limit
    try:
        async for chunk in stream:
            chunks.append(chunk[:room])
            if len(chunk) > room:
                return b"".join(chunks), True
            room -= len(chunk)
        return b"".join(chunks), False
    finally:
        await stream.aclose()
