"""One HTTP exchange: a request goes out, an outcome comes back.

Never raises for what the network or the target did: that is an outcome. `booper.http` carries the
requests; here are the deadline, the size limit, redirects, and the guard before each request.
"""

import asyncio
import ssl
from datetime import timedelta
from functools import partial
from typing import Final

from msgspec.structs import replace

from booper.clock import monotonic
from booper.engine.origin_map import OriginMap
from booper.errors import (
    AddressRefused,
    InvalidRedirect,
    Shortage,
    TargetRefused,
    UnresolvableHost,
)
from booper.fence import HAS_ENDED, OPEN, Fence
from booper.guard.policy import Guard, Target
from booper.guard.redirects import (
    MAX_HOPS,
    follow,
    for_other_origin,
    is_redirect,
    redirected,
)
from booper.http.asgi import AppTransport
from booper.http.base import Client
from booper.http.body import read_body
from booper.http.errors import ConnectError, SendError
from booper.http.headers import decode_headers, encode_headers
from booper.model.job import Failed, Outcome, Refused, Request, Responded, Response
from booper.shortage import shortage_of
from booper.wire.redaction import ALWAYS

OWN_HEADER: Final = "Booper-Own"
"""Header that tells booper's own API which job a request is; never sent elsewhere."""


class Delivery:
    """A sender of requests, each vetted by the guard and bounded in time and size.

    `own_secret` goes with requests to booper's own helper paths. `secret_headers`, in lower case,
    stay with the origin they were meant for when a redirect leads to another. `app` leads to the
    program around booper, where there is one; `origins` says which origins stand for others.
    Nothing is sent once `fence` is closed.
    """

    def __init__(
        self,
        client: Client,
        guard: Guard,
        max_response_bytes: int,
        own_secret: str = "",
        secret_headers: frozenset[str] = ALWAYS,
        app: AppTransport | None = None,
        origins: OriginMap | None = None,
        fence: Fence = OPEN,
    ) -> None:
        self._client = client
        self._app = app
        self._guard = guard
        self._max_response_bytes = max_response_bytes
        self._own_secret = own_secret
        self._secret_headers = secret_headers
        self._origins = origins
        self._fence = fence

    def as_sent(self, request: Request) -> Request:
        """Return a request with its URL as it goes on the wire, for display."""
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
        """Send one request of a job and read the response.

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
            return Failed("timeout", f"no response within {timeout.total_seconds():g} s", timeout)
        except AddressRefused as error:
            return Failed("guard", str(error), timedelta(seconds=monotonic() - started))
        except TargetRefused as error:
            return Refused(str(error))
        except InvalidRedirect as error:
            return Failed("redirect", str(error), timedelta(seconds=monotonic() - started))
        except UnresolvableHost as error:
            return Failed("dns", str(error), timedelta(seconds=monotonic() - started))
        except (SendError, ssl.SSLError, OSError) as error:
            if shortage := shortage_of(error):
                raise shortage from error
            # An error's text may hold half a surrogate pair, which no log entry can.
            message = str(error).encode(errors="replace").decode() or type(error).__name__
            elapsed = timedelta(seconds=monotonic() - started)
            kind = error.kind if isinstance(error, SendError) else SendError.kind
            return Failed(kind, message, elapsed)
        return Responded(response, timedelta(seconds=monotonic() - started))

    async def _follow(self, request: Request, job_id: int, hops: int) -> Response:
        """Send a request and follow its redirects for as many hops as are left.

        Whether a job may name the program around booper was judged when it was stored. No response
        may redirect there, nor from there elsewhere.
        """
        target = self._guard.check_own(self._mapped(request.url))
        hops = 0 if target.is_app else hops
        while True:
            response = await self._exchange(request, target, job_id)
            location = response.headers.get("location")
            if not hops or location is None or response.fault:
                return response
            if not is_redirect(response.status, location):
                return response
            following = follow(location, target, self._guard, self._mapped)
            request = redirected(request, response.status, following.url)
            if following.origin != target.origin:
                request = for_other_origin(request, self._secret_headers)
            target, hops = following, hops - 1

    def _mapped(self, url: str) -> str:
        return self._origins.applied_to(url) if self._origins else url

    async def _exchange(self, request: Request, target: Target, job_id: int) -> Response:
        headers = {"Host": target.authority, **request.headers}
        if self._guard.is_own(target):
            headers[OWN_HEADER] = f"{self._own_secret}.{job_id}"
        addresses = partial(self._guard.addresses, target)
        sent = (request.method, target, encode_headers(headers), request.content, addresses)
        if not self._fence.is_open():
            raise Shortage(HAS_ENDED)
        if target.is_app:
            arrived = await self._program(target).send(*sent, label=f"job {job_id}")
        else:
            arrived = await self._client.send(*sent)
        headers = decode_headers(arrived.headers)
        body = await read_body(
            arrived.stream, self._max_response_bytes, headers.get("content-encoding")
        )
        return Response(arrived.status, headers, body.content, body.is_cut, body.fault)

    def _program(self, target: Target) -> AppTransport:
        """Return what sends to the program around booper. Raises: ConnectError, it is another."""
        if self._app is None or target.origin != self._app.origin:
            # Not final: the program that has made the job will be back.
            raise ConnectError("this process has no app; the program that made the job has")
        return self._app
