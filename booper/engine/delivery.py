"""One HTTP exchange: a request goes out, an outcome comes back.

Never raises for what the network or the target did: that is an outcome. Sends through httpx's
transport interface, without its client: a client would keep cookies and follow environment
variables from one job to the next.
"""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import httpx
from msgspec.structs import replace

from booper.clock import monotonic
from booper.engine.hosts import HostMap
from booper.engine.inside import JOB_ID
from booper.engine.raw import RawHeaders, RawRequest
from booper.errors import AddressRefused, InvalidRedirect, TargetRefused, UnresolvableHost
from booper.guard.policy import Guard, Target
from booper.guard.redirects import (
    MAX_HOPS,
    follow,
    for_other_origin,
    is_redirect,
    redirected,
)
from booper.model.job import Answered, Failed, Outcome, Refused, Request, Response
from booper.model.redaction import ALWAYS
from booper.shortage import shortage_of

OWN_HEADER: Final = "Booper-Own"
"""Tells booper's own API which job of this very process a request is; never sent elsewhere."""

_ERRORS: Final[dict[type[Exception], str]] = {
    httpx.ConnectError: "connect",
    httpx.ReadError: "read",
    httpx.WriteError: "write",
    httpx.RemoteProtocolError: "protocol",
    httpx.LocalProtocolError: "request",
}


class Delivery:
    """Send requests past the guard, each within its deadline and its size.

    `own_secret` goes with requests to booper's own helper paths. `secret_headers`, in lower case,
    stay with the origin they were meant for when a redirect leads to another. `app` leads to the
    program around booper, where there is one; `hosts` says which origins stand for others.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        guard: Guard,
        max_response_bytes: int,
        own_secret: str = "",
        secret_headers: frozenset[str] = ALWAYS,
        app: httpx.AsyncBaseTransport | None = None,
        hosts: HostMap | None = None,
    ) -> None:
        self._transport = transport
        self._app = app
        self._guard = guard
        self._max_response_bytes = max_response_bytes
        self._own_secret = own_secret
        self._secret_headers = secret_headers
        self._hosts = hosts

    def as_sent(self, request: Request) -> Request:
        """Return a request with its URL as it goes on the wire, for all who show it."""
        url = self._guard.spelled(request.url)
        return request if url == request.url else replace(request, url=url)

    async def send(
        self,
        request: Request,
        timeout: timedelta,
        *,
        job_id: int = 0,
        follow_redirects: bool = False,
    ) -> Outcome:
        """Send one request of a job and read its answer.

        `timeout` bounds the whole exchange, look-up, redirects and body included: a target that
        drips a byte now and then never trips a timeout per read.

        Raises:
            Shortage: this machine lacks what the request needs; the target had no part in it.
        """
        started = monotonic()
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                hops = MAX_HOPS if follow_redirects else 0
                response = await self._follow(request, job_id, hops)
        except TimeoutError:
            return Failed("timeout", f"no answer within {timeout.total_seconds():g} s", timeout)
        except AddressRefused as error:
            return Failed("guard", str(error), timedelta(seconds=monotonic() - started))
        except TargetRefused as error:
            return Refused(str(error))
        except InvalidRedirect as error:
            return Failed("redirect", str(error), timedelta(seconds=monotonic() - started))
        except UnresolvableHost as error:
            return Failed("dns", str(error), timedelta(seconds=monotonic() - started))
        except (httpx.TransportError, ssl.SSLError, OSError) as error:
            if shortage := shortage_of(error):
                raise shortage from error
            # An error's text may hold half a surrogate pair, which no log entry can.
            message = str(error).encode(errors="replace").decode() or type(error).__name__
            elapsed = timedelta(seconds=monotonic() - started)
            return Failed(_ERRORS.get(type(error), "network"), message, elapsed)
        return Answered(response, timedelta(seconds=monotonic() - started))

    async def _follow(self, request: Request, job_id: int, hops: int) -> Response:
        """Exchange, and go where the answer points for as many hops as are left.

        Whose job may name the program around booper was judged when it was stored; no answer may
        lead there, nor from there elsewhere.
        """
        target = self._guard.check_own(self._mapped(request.url))
        hops = 0 if target.is_app else hops
        while True:
            response = await self._exchange(request, target, job_id)
            location = response.headers.get("location")
            if not hops or location is None or not is_redirect(response.status, location):
                return response
            following = follow(location, target, self._guard, self._mapped)
            request = redirected(request, response.status, following.url)
            if following.origin != target.origin:
                request = for_other_origin(request, self._secret_headers)
            target, hops = following, hops - 1

    def _mapped(self, url: str) -> str:
        return self._hosts.applied_to(url) if self._hosts else url

    async def _exchange(self, request: Request, target: Target, job_id: int) -> Response:
        headers = {"Host": target.authority, **request.headers}
        if self._guard.is_own(target):
            headers[OWN_HEADER] = f"{self._own_secret}.{job_id}"
        outgoing = RawRequest(
            request.method,
            target.parsed_url,
            RawHeaders(_encoded(headers)),
            httpx.ByteStream(request.content),
            {"addresses": partial(self._guard.addresses, target), JOB_ID: job_id},
        )
        answer = await self._way_to(target).handle_async_request(outgoing)
        stream = answer.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        try:
            body, is_cut = await self._read(stream)
        finally:
            await stream.aclose()
        return Response(answer.status_code, _decoded(answer.headers.raw), body, is_cut)

    def _way_to(self, target: Target) -> httpx.AsyncBaseTransport:
        """Return what carries requests to a target. Raises: httpx.ConnectError."""
        if not target.is_app:
            return self._transport
        if self._app is None:
            # Not final: the program that has made the job will be back.
            raise httpx.ConnectError("this process has no app; the program that made the job has")
        return self._app

    async def _read(self, stream: httpx.AsyncByteStream) -> tuple[bytes, bool]:
        """Read the body's raw bytes up to the limit; the rest never leaves the socket."""
        chunks: list[bytes] = []
        room = self._max_response_bytes
        async for chunk in stream:
            chunks.append(chunk[:room])
            if len(chunk) > room:
                return b"".join(chunks), True
            room -= len(chunk)
        return b"".join(chunks), False


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Encode headers as the guard has checked them; httpx itself would allow ASCII alone.

    What a run's references brought into a header may lie beyond latin-1 and goes as UTF-8.
    """
    try:
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    except UnicodeEncodeError:
        return [(name.encode("ascii"), _encoded_value(value)) for name, value in headers.items()]


def _encoded_value(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def _decoded(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return an answer's headers under lower-case names, as UTF-8 if all of them are that.

    `httpx.Headers` says the same, walking the whole list for each name.
    """
    try:
        return _joined(headers, "utf-8")
    except UnicodeDecodeError:
        return _joined(headers, "latin-1")


def _joined(headers: Sequence[tuple[bytes, bytes]], encoding: str) -> dict[str, str]:
    """Return each name once; of a repeated one the values in order (RFC 9110 §5.2)."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.lower().decode(encoding), raw_value.decode(encoding)
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
