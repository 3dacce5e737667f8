"""The client of booper's API, for programs that are not booper: typed, blocking or asynchronous.

    with Client("http://127.0.0.1:2667", "sk_…") as booper:
        job = booper.jobs.create(url="https://example.com", schedule_in=timedelta(minutes=45))

It imports nothing of the server, and is quick to import.
"""

import os
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from types import TracebackType
from typing import Self

import anyio
import httpx

from booper.client.answers import (
    Breaker,
    Changed,
    Created,
    Job,
    Key,
    LogEntry,
    NewKey,
    Preview,
    Schedule,
    ScheduleDetail,
)
from booper.client.call import Page
from booper.client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    InvalidArgument,
    NotFound,
    Refused,
    ServerError,
    TooManyRequests,
    Unauthenticated,
    Unreachable,
    Unreadable,
)
from booper.client.faces import Asynchronous, Blocking
from booper.client.fields import Change, Creation
from booper.client.resources import Jobs, Keys, Logs, Root, Schedules
from booper.clock import SystemClock

__all__ = [
    "AsyncClient",
    "AsyncJobs",
    "AsyncKeys",
    "AsyncLogs",
    "AsyncSchedules",
    "Breaker",
    "Change",
    "Changed",
    "Client",
    "ClientError",
    "Conflict",
    "Created",
    "Creation",
    "Forbidden",
    "Invalid",
    "InvalidArgument",
    "Job",
    "Jobs",
    "Key",
    "Keys",
    "LogEntry",
    "Logs",
    "NewKey",
    "NotFound",
    "Page",
    "Preview",
    "Refused",
    "Schedule",
    "ScheduleDetail",
    "Schedules",
    "ServerError",
    "TooManyRequests",
    "Unauthenticated",
    "Unreachable",
    "Unreadable",
]

DEFAULT_URL = "http://127.0.0.1:2667"
AsyncJobs = Jobs[Asynchronous]
AsyncSchedules = Schedules[Asynchronous]
AsyncLogs = Logs[Asynchronous]
AsyncKeys = Keys[Asynchronous]

_now = SystemClock().now


class Client(Root[Blocking]):
    """A blocking client; safe to share between threads.

    `timeout` is in seconds, for each part of an exchange. What is safe to is tried again up to
    `retries` times, after a `sleep`.

    Raises:
        InvalidArgument: `base_url` is no http URL, or `api_key` cannot be one.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,  # noqa: TID251 - between two tries alone
        now: Callable[[], datetime] = _now,
    ) -> None:
        http = httpx.Client(
            base_url=_url(base_url), headers=_headers(api_key), timeout=timeout, transport=transport
        )
        super().__init__(Blocking(http, retries, sleep, now))

    @classmethod
    def from_env(cls) -> Self:
        """Make a client for BOOPER_URL with the key in BOOPER_API_KEY."""
        return cls(*_environment())

    def close(self) -> None:
        """Close its connections."""
        self._sender.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(Root[Asynchronous]):
    """The same, to be awaited, in asyncio and trio programs.

    Raises:
        InvalidArgument: `base_url` is no http URL, or `api_key` cannot be one.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,  # noqa: TID251 - as above
        now: Callable[[], datetime] = _now,
    ) -> None:
        http = httpx.AsyncClient(
            base_url=_url(base_url), headers=_headers(api_key), timeout=timeout, transport=transport
        )
        super().__init__(Asynchronous(http, retries, sleep, now))

    @classmethod
    def from_env(cls) -> Self:
        """Make a client for BOOPER_URL with the key in BOOPER_API_KEY."""
        return cls(*_environment())

    async def aclose(self) -> None:
        """Close its connections."""
        await self._sender.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _environment() -> tuple[str, str | None]:
    return os.environ.get("BOOPER_URL") or DEFAULT_URL, os.environ.get("BOOPER_API_KEY") or None


def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidArgument(f"base_url: expected a URL such as {DEFAULT_URL}: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidArgument(f"base_url: expected a URL such as {DEFAULT_URL}, got {text!r}")
    return url


def _headers(api_key: str | None) -> dict[str, str]:
    if api_key is None:
        return {}
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        # It is not quoted: what looks like this may be a key with a line break after it.
        raise InvalidArgument("api_key: expected a key such as sk_…, without spaces or line breaks")
    return {"Authorization": f"Bearer {api_key}"}
