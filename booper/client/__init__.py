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
from typing import Any, Self

import anyio
import httpx

from booper.client.arguments import DEFAULT_URL, check_key, check_url
from booper.client.calls import Page
from booper.client.environment import path_to
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
from booper.client.fields import Change, Creation
from booper.client.models import (
    AuditEntry,
    Breaker,
    BulkResult,
    Created,
    Job,
    Key,
    LiveChange,
    LogEntry,
    NewKey,
    Pause,
    Preview,
    Schedule,
    ScheduleDetail,
    TimelineEvent,
)
from booper.client.nodes import Node
from booper.client.resources.audit import Audit
from booper.client.resources.jobs import Jobs
from booper.client.resources.keys import Keys
from booper.client.resources.logs import Logs
from booper.client.resources.root import Root
from booper.client.resources.schedules import Schedules
from booper.client.sending import Asynchronous, Blocking
from booper.clock import SystemClock

__all__ = [
    "AsyncAudit",
    "AsyncClient",
    "AsyncJobs",
    "AsyncKeys",
    "AsyncLogs",
    "AsyncSchedules",
    "Audit",
    "AuditEntry",
    "Breaker",
    "BulkResult",
    "Change",
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
    "LiveChange",
    "LogEntry",
    "Logs",
    "NewKey",
    "Node",
    "NotFound",
    "Page",
    "Pause",
    "Preview",
    "Refused",
    "Schedule",
    "ScheduleDetail",
    "Schedules",
    "ServerError",
    "TimelineEvent",
    "TooManyRequests",
    "Unauthenticated",
    "Unreachable",
    "Unreadable",
]

AsyncJobs = Jobs[Asynchronous]
AsyncSchedules = Schedules[Asynchronous]
AsyncLogs = Logs[Asynchronous]
AsyncKeys = Keys[Asynchronous]
AsyncAudit = Audit[Asynchronous]

_now = SystemClock().now


class Client(Root[Blocking]):
    """A blocking client; safe to share between threads.

    `timeout` is in seconds, for each part of an exchange. What is safe to is tried again up to
    `retries` times, after a `sleep`. Without a `transport`, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY,
    NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR are read, never for a server on this machine.

    Raises:
        InvalidArgument: `base_url` is no http URL, `api_key` cannot be one, or one of these
            variables cannot be used.
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
        url = check_url("base_url", base_url)
        http = httpx.Client(
            base_url=url,
            headers=check_key("api_key", api_key),
            timeout=timeout,
            transport=transport,
            **_connecting(url, transport),
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
        InvalidArgument: as above.
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
        url = check_url("base_url", base_url)
        http = httpx.AsyncClient(
            base_url=url,
            headers=check_key("api_key", api_key),
            timeout=timeout,
            transport=transport,
            **_connecting(url, transport),
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
    url = os.environ.get("BOOPER_URL") or DEFAULT_URL
    key = os.environ.get("BOOPER_API_KEY") or None
    check_url("BOOPER_URL", url)
    check_key("BOOPER_API_KEY", key)
    return url, key


def _connecting(url: httpx.URL, transport: object) -> dict[str, Any]:
    """Return how httpx is to connect; a given transport needs to be told nothing."""
    if transport is not None:
        return {"trust_env": False}
    proxy, verify = path_to(url)
    return {"trust_env": False, "proxy": proxy, "verify": verify}
