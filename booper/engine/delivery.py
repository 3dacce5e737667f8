"""One HTTP exchange: a request goes out, an outcome comes back.

Never raises for what the network or the target did: that is an outcome. Sends through httpx's
transport interface, without its client: a client would keep cookies and follow environment
variables from one job to the next.
"""

import asyncio
import ssl
from datetime import timedelta
from functools import partial
from typing import Final

import httpx

from booper.clock import monotonic
from booper.engine.guard import Guard
from booper.errors import TargetRefused, UnresolvableHost
from booper.model.job import Answered, Failed, Outcome, Refused, Request, Response

_ERRORS: Final[dict[type[Exception], str]] = {
    httpx.ConnectError: "connect",
    httpx.ReadError: "read",
    httpx.WriteError: "write",
    httpx.RemoteProtocolError: "protocol",
    httpx.LocalProtocolError: "request",
}


class Delivery:
    """Send requests past the guard, each within its deadline and its size."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, guard: Guard, max_response_bytes: int
    ) -> None:
        self._transport = transport
        self._guard = guard
        self._max_response_bytes = max_response_bytes

    async def send(self, request: Request, timeout: timedelta) -> Outcome:
        """Send one request and read its answer.

        `timeout` bounds the whole exchange, look-up and body included: a target that drips a
        byte now and then never trips a timeout per read.
        """
        started = monotonic()
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                response = await self._exchange(request)
        except TimeoutError:
            return Failed("timeout", f"no answer within {timeout.total_seconds():g} s", timeout)
        except TargetRefused as error:
            return Refused(str(error))
        except UnresolvableHost as error:
            return Failed("dns", str(error), timedelta(seconds=monotonic() - started))
        except (httpx.TransportError, ssl.SSLError, OSError) as error:
            message = str(error) or type(error).__name__
            elapsed = timedelta(seconds=monotonic() - started)
            return Failed(_ERRORS.get(type(error), "network"), message, elapsed)
        return Answered(response, timedelta(seconds=monotonic() - started))

    async def _exchange(self, request: Request) -> Response:
        target = self._guard.check(request.url)
        outgoing = httpx.Request(
            request.method,
            target.url,
            headers=_encoded({"Host": target.authority, **request.headers}),
            # Not `content=`: that would have httpx look for the length, which the transport
            # writes anyway, at three times the cost of the rest.
            stream=httpx.ByteStream(request.content),
            extensions={"addresses": partial(self._guard.addresses, target)},
        )
        answer = await self._transport.handle_async_request(outgoing)
        try:
            body, is_cut = await self._read(answer)
        finally:
            await answer.aclose()
        return Response(answer.status_code, dict(answer.headers), body, is_cut)

    async def _read(self, answer: httpx.Response) -> tuple[bytes, bool]:
        """Read the body's raw bytes up to the limit; the rest never leaves the socket."""
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        chunks: list[bytes] = []
        room = self._max_response_bytes
        async for chunk in answer.stream:
            chunks.append(chunk[:room])
            if len(chunk) > room:
                return b"".join(chunks), True
            room -= len(chunk)
        return b"".join(chunks), False


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Encode headers as the guard has checked them; httpx itself would allow ASCII alone."""
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
