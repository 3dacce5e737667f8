"""What all senders share: where a request goes, what comes back, and `Client`, which sends."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

Headers = Sequence[tuple[bytes, bytes]]
"""Pairs of name and value in the order in which they travel; names in any letter case."""

Addresses = Callable[[], Awaitable[Sequence[str]]]
"""Return the IP addresses to which a request may go; called only to open a connection."""

Origin = tuple[str, str, int]
"""Scheme, host and port: what a connection may be used again for."""


class Target(Protocol):
    """Where a request goes.

    `host` is an ASCII name, or an IP address without brackets. `authority` is what the Host header
    says, `request_target` the path and query exactly as they are sent, a character for each byte.
    """

    @property
    def scheme(self) -> str: ...

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def authority(self) -> str: ...

    @property
    def request_target(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A target made of its parts."""

    scheme: str
    host: str
    port: int
    authority: str
    request_target: str

    @classmethod
    def unix(cls, path: str, request_target: str, authority: str) -> "Endpoint":
        """Return the endpoint of a Unix socket; its path is its only address."""
        return cls("unix", path, 0, authority, request_target)


class Stream(ABC):
    """The body of a response, to be iterated once: its bytes as they come."""

    @property
    def is_cut(self) -> bool:
        """Return whether more would have come, or may have; known at the end."""
        return False

    @property
    def fault(self) -> str:
        """Return what was wrong with the response behind its status line; known at the end."""
        return ""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body. Raises: SendError, the body breaks off."""

    @abstractmethod
    async def aclose(self) -> None:
        """Discard what is unread."""


class WholeBody(Stream):
    """A body that is complete in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    async def aclose(self) -> None:
        """Close nothing: nothing is open."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """A response whose head has come; iterate `stream` for its body, and close that."""

    status: int
    headers: Headers
    stream: Stream


class Client(Protocol):
    """A sender of requests. It follows no redirects and has no deadline of its own."""

    async def send(
        self, method: str, target: Target, headers: Headers, body: bytes, addresses: Addresses
    ) -> Response:
        """Send one request; return its response as soon as the head of that is there.

        Framing is the client's own: `Content-Length` and `Transfer-Encoding` of the caller are
        replaced.

        Raises:
            SendError: there is no response; its cause may be a shortage of this machine's own.
            Shortage: this machine has nothing to connect with; nothing was sent.
            Exception: what `addresses` raised.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open; requests on their way fail."""
        ...
