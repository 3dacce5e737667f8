"""The calls of a program around booper: the client's, with no HTTP between."""

from urllib.parse import quote

import httpx
from starlette.types import ASGIApp

from booper.api.access import USER_HEADER
from booper.client import AsyncAudit, AsyncClient, AsyncJobs, AsyncKeys, AsyncLogs, AsyncSchedules
from booper.errors import ConfigError
from booper.http.asgi import AppTransport
from booper.http.base import Endpoint
from booper.http.errors import SendError
from booper.model.key import check_name

APP_USER = "app"


class EmbeddedCalls:
    """The resources of `booper.client.AsyncClient`, over the booper that has them."""

    _client: AsyncClient | None = None

    @property
    def jobs(self) -> AsyncJobs:
        """Return what `AsyncClient.jobs` is. Raises: RuntimeError, while booper does not run."""
        return self._running_client().jobs

    @property
    def schedules(self) -> AsyncSchedules:
        """Return what `AsyncClient.schedules` is. Raises: RuntimeError, as above."""
        return self._running_client().schedules

    @property
    def logs(self) -> AsyncLogs:
        """Return what `AsyncClient.logs` is. Raises: RuntimeError, as above."""
        return self._running_client().logs

    @property
    def keys(self) -> AsyncKeys:
        """Return what `AsyncClient.keys` is. Raises: RuntimeError, as above."""
        return self._running_client().keys

    @property
    def audit(self) -> AsyncAudit:
        """Return what `AsyncClient.audit` is. Raises: RuntimeError, as above."""
        return self._running_client().audit

    def _running_client(self) -> AsyncClient:
        if self._client is None:
            raise RuntimeError(
                "booper is not running: call it inside `async with booper:`, or "
                "while a program with lifespan=booper.lifespan runs"
            )
        return self._client


def check_user(name: str) -> str:
    """Return the name of a user if it can serve as one. Raises: ConfigError."""
    if not isinstance(name, str):
        raise ConfigError(f"user: expected the name of a user as text, got {name!r:.80}")
    try:
        return check_name(name)
    except ValueError as error:
        raise ConfigError(f"user: {error}, got {name!r}") from error


def embedded_client(administration: ASGIApp, user: str) -> AsyncClient:
    """Return a client that acts for a user in this process, as the administrator may."""
    return AsyncClient("http://booper", transport=embedded_transport(administration, user))


def embedded_transport(administration: ASGIApp, user: str) -> httpx.AsyncBaseTransport:
    """Return the transport of such a client."""
    headers = [(USER_HEADER.lower().encode(), quote(user).encode())]
    return _EmbeddedTransport(AppTransport(administration, headers=headers))


class _EmbeddedTransport(httpx.AsyncBaseTransport):
    """Carry the calls of a client, which speaks httpx, to an application in this process."""

    def __init__(self, app: AppTransport) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Call the application; return its whole response."""
        endpoint = Endpoint("https", "booper", 443, "booper", request.url.raw_path.decode("ascii"))
        body = await request.aread()
        try:
            response = await self._app.send(request.method, endpoint, request.headers.raw, body)
            if (b"content-type", b"text/event-stream") in response.headers:
                await response.stream.aclose()
                raise httpx.UnsupportedProtocol("a stream has no end; read it over HTTP")
            content = b"".join([piece async for piece in response.stream])
        except SendError as error:
            raise httpx.ReadError(str(error)) from error
        return httpx.Response(
            response.status, headers=list(response.headers), stream=httpx.ByteStream(content)
        )

    async def aclose(self) -> None:
        """Cut off the calls that are not done."""
        await self._app.aclose()
