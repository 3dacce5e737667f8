"""How one definition of an operation becomes two methods: a blocking one, and one to await.

An operation is a method that builds a `Call`; these descriptors have it sent by whatever the
resource holds. The rules of trying again are `exchange`, which neither sends nor waits: both
senders are led by it.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain, islice, repeat
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

import httpx
import msgspec

from booper.client.calls import Call, Page
from booper.client.errors import ClientError, Unreachable, Unreadable, refusal

P = ParamSpec("P")
T = TypeVar("T")

Outcome = httpx.Response | httpx.TransportError

# Together longer than another worker takes to go on for one that died.
PAUSES: Final = (0.25, 1.0, 4.0)
MAX_PAUSE_SECONDS: Final = 30.0
"""Seconds; if a server asks for more, the call fails, and the caller decides."""

_NOTHING_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING = frozenset({502, 503, 504, 507})
_TOO_MANY = 429
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


def exchange(
    call: Call[T], url: str, retries: int, now: Callable[[], datetime]
) -> Generator[float, Outcome, T]:
    """Lead a call to its end: yield how many seconds to wait before it is sent, take what came.

    A call is tried again where that is safe: it has not left, it was turned away unread (429), or
    doing it twice is as good as once.

    Raises:
        ClientError: booper refused, or no response came.
    """
    outcome = yield 0.0
    for pause in islice(chain(PAUSES, repeat(PAUSES[-1])), retries):
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return call.read(outcome.content)
        asked = _retry_after(outcome, now)
        if not _may_repeat(call, outcome) or (asked or 0) > MAX_PAUSE_SECONDS:
            break
        outcome = yield pause if asked is None else asked
    if isinstance(outcome, httpx.Response) and outcome.is_success:
        return call.read(outcome.content)
    raise error_of(call, url, outcome, now)


def _may_repeat(call: Call[Any], outcome: Outcome) -> bool:
    if isinstance(outcome, httpx.Response):
        is_passing = outcome.status_code in _PASSING and call.is_repeatable
        return is_passing or outcome.status_code == _TOO_MANY
    if isinstance(outcome, httpx.UnsupportedProtocol):
        return False
    return call.is_repeatable or isinstance(outcome, _NOTHING_LEFT)


def error_of(
    call: Call[Any], url: str, outcome: Outcome, now: Callable[[], datetime]
) -> ClientError:
    """Return the error of a call that failed."""
    if isinstance(outcome, httpx.Response):
        retry_after = _retry_after(outcome, now)
        return refusal(str(call), outcome.status_code, outcome.content, retry_after)
    reason = _ERRNO.sub("", str(outcome)) or type(outcome).__name__
    left = not isinstance(outcome, (*_NOTHING_LEFT, httpx.UnsupportedProtocol))
    return Unreachable(str(call), url, reason, may_have_happened=left and call.method != "GET")


def _retry_after(outcome: Outcome, now: Callable[[], datetime]) -> float | None:
    """Return the seconds that Retry-After asks for (RFC 9110 §10.2.3), if it is there."""
    if not isinstance(outcome, httpx.Response):
        return None
    text = outcome.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # RFC 5322: `-0000` is UTC of an unknown place
    return max(0.0, (moment - now()).total_seconds())


class Blocking:
    """The blocking way to send calls."""

    def __init__(
        self,
        http: httpx.Client,
        retries: int,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
    ) -> None:
        self.http = http
        self._retries = retries
        self._sleep = sleep
        self.now = now

    def send(self, call: Call[T]) -> T:
        """Return the result. Raises: ClientError."""
        steps = exchange(call, str(self.http.base_url), self._retries, self.now)
        pause = next(steps)
        while True:
            if pause:
                self._sleep(pause)
            try:
                pause = steps.send(self._try(call))
            except StopIteration as end:
                value: T = end.value
                return value

    def _try(self, call: Call[Any]) -> Outcome:
        try:
            return self.http.send(request_of(self.http, call))
        except httpx.TransportError as error:
            return error
        except httpx.DecodingError as error:
            raise _undecodable(call, error) from error

    def items(self, call: Call[Page[T]]) -> Iterator[T]:
        """Yield what all pages of a list hold."""
        following: Call[Page[T]] | None = call
        while following is not None:
            page = self.send(following)
            yield from page
            following = _following(following, page)


class Asynchronous:
    """The asynchronous way to send calls."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        retries: int,
        sleep: Callable[[float], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        self.http = http
        self._retries = retries
        self._sleep = sleep
        self.now = now

    async def send(self, call: Call[T]) -> T:
        """Return the result. Raises: ClientError."""
        steps = exchange(call, str(self.http.base_url), self._retries, self.now)
        pause = next(steps)
        while True:
            if pause:
                await self._sleep(pause)
            try:
                pause = steps.send(await self._try(call))
            except StopIteration as end:
                value: T = end.value
                return value

    async def _try(self, call: Call[Any]) -> Outcome:
        try:
            return await self.http.send(request_of(self.http, call))
        except httpx.TransportError as error:
            return error
        except httpx.DecodingError as error:
            raise _undecodable(call, error) from error

    async def items(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        """Yield what all pages of a list hold."""
        following: Call[Page[T]] | None = call
        while following is not None:
            page = await self.send(following)
            for item in page:
                yield item
            following = _following(following, page)


def _undecodable(call: Call[Any], error: httpx.DecodingError) -> Unreadable:
    return Unreadable(f"{call}: {error}; something in between encodes responses wrongly")


def request_of(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
    """Return a call as a request."""
    headers = {"Content-Type": "application/json"} if call.body is not None else {}
    return http.build_request(
        call.method, call.path, params=call.query or None, content=call.body, headers=headers
    )


def _following(call: Call[Page[T]], page: Page[T]) -> Call[Page[T]] | None:
    if page.next_cursor is None:
        return None
    query = {name: value for name, value in call.query.items() if name != "offset"}
    return msgspec.structs.replace(call, query={**query, "cursor": page.next_cursor})


S = TypeVar("S", bound=Blocking | Asynchronous)


class Resource(Generic[S]):
    """A group of operations, and the sender that performs them."""

    def __init__(self, sender: S) -> None:
        self._sender = sender

    @property
    def sender(self) -> S:
        """Return what sends its calls."""
        return self._sender


class Operation(Generic[P, T]):
    """A method that builds a call, made one that returns its result or awaits it."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, resource: None, owner: type) -> "Operation[P, T]": ...
    @overload
    def __get__(self, resource: Resource[Blocking], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, resource: Resource[Asynchronous], owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, resource: Any, owner: type) -> Any:
        if resource is None:
            return self
        return bound(self.build, resource, resource._sender.send)


class Iteration(Generic[P, T]):
    """A method that builds the call of a page, made one that iterates over all pages."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[Page[T]]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, resource: None, owner: type) -> "Iteration[P, T]": ...
    @overload
    def __get__(self, resource: Resource[Blocking], owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(
        self, resource: Resource[Asynchronous], owner: type
    ) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, resource: Any, owner: type) -> Any:
        if resource is None:
            return self
        return bound(self.build, resource, resource._sender.items)


def bound(build: Callable[..., Call[Any]], resource: Any, send: Callable[..., Any]) -> Any:
    """Return the method of a resource that builds a call and sends it."""

    def operation(*args: Any, **kwargs: Any) -> Any:
        return send(build(resource, *args, **kwargs))

    operation.__name__, operation.__qualname__ = build.__name__, build.__qualname__
    operation.__doc__ = build.__doc__
    return operation
