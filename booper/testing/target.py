"""The world as a test wants it: the responses to all requests of booper, by script."""

import threading
from collections.abc import Callable, Sequence

import anyio
import httpx

from booper.engine.raw import RawHeaders, RawResponse
from booper.testing.sent import is_match

ScriptedResponse = int | httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
"""A status, a response, a failure such as `TimeoutError()`, or a function of the request."""


class Rule:
    """The responses to requests to a URL: in order, and the last one repeats.

    Raises:
        ValueError: the URL can be that of no request, or one of the responses is none.
    """

    def __init__(self, url: str, responses: Sequence[ScriptedResponse], method: str | None) -> None:
        self._url = _checked_url(url)
        self._method = method.upper() if method else None
        self._responses = [_checked(response) for response in responses] or [200]

    def is_for(self, request: httpx.Request) -> bool:
        """Return whether it responds to a request."""
        return self._method in (None, request.method) and is_match(self._url, str(request.url))

    def next(self) -> ScriptedResponse:
        """Return the response whose turn it is."""
        return self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]


class ScriptedTarget(httpx.AsyncBaseTransport):
    """A target that responds by the newest rule for a request, else with 200 and no body.

    Functions run in threads of their own, so they may ask booper. What they raise is kept for the
    test, and get a 500; failures of the network are failures of the network.
    """

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._errors: list[Exception] = []
        self._here = threading.local()

    @property
    def is_responding(self) -> bool:
        """Return whether the caller was called to respond to a request."""
        return getattr(self._here, "is_responding", False)

    def add(self, rule: Rule) -> None:
        """Use this rule before older ones."""
        self._rules.insert(0, rule)

    def raise_error(self) -> None:
        """Raise what a function has raised and nobody was told of."""
        if self._errors:
            error = self._errors[0]
            self._errors.clear()
            raise error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Respond to a request."""
        response = next((rule.next() for rule in self._rules if rule.is_for(request)), 200)
        match response:
            case int():
                return RawResponse(response, RawHeaders(()), httpx.ByteStream(b""), {})
            case Exception():
                raise response
            case httpx.Response():
                return _copied(response)
        await request.aread()
        run = anyio.to_thread.run_sync
        return await run(self._asked, response, request, abandon_on_cancel=True)

    def _asked(
        self, function: Callable[[httpx.Request], httpx.Response], request: httpx.Request
    ) -> httpx.Response:
        self._here.is_responding = True
        try:
            return _copied(function(request))
        except (httpx.TransportError, OSError):
            raise
        except Exception as error:
            self._errors.append(error)
            return httpx.Response(500, text=f"{type(error).__name__}: {error}")
        finally:
            self._here.is_responding = False


def _checked_url(url: str) -> str:
    if not url.startswith(("http://", "https://", "*")):
        raise ValueError(
            f"expected a URL such as https://api.example.com/*, in which * stands for anything, "
            f"got {url!r}"
        )
    return url


def _checked(response: ScriptedResponse) -> ScriptedResponse:
    is_status = not isinstance(response, int) or 100 <= response <= 599
    # The class of an exception can be called, but makes no response.
    is_kind = isinstance(response, int | httpx.Response | Exception) or callable(response)
    if not is_status or not is_kind or isinstance(response, type):
        raise ValueError(
            "expected a status from 100 to 599, an httpx.Response, an exception such as "
            f"TimeoutError(), or a function of the request, got {response!r}"
        )
    return response


def _copied(response: httpx.Response) -> httpx.Response:
    """Return a response that can be read, whoever has read this one."""
    return httpx.Response(
        response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content)
    )
