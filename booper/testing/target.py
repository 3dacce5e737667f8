"""The world as a test wants it: the responses to all requests of booper, by script."""

import threading
from collections.abc import Callable, Sequence

import anyio
import httpx

from booper.http.adapter import request_of, translated
from booper.http.base import Addresses, Headers, Response, Target, WholeBody
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

    def is_for(self, method: str, url: str) -> bool:
        """Return whether it responds to a request."""
        return self._method in (None, method) and is_match(self._url, url)

    def next(self) -> ScriptedResponse:
        """Return the response whose turn it is."""
        return self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]


class ScriptedTarget:
    """A `Client` that responds by the newest rule for a request, else with 200 and no body.

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

    async def send(
        self, method: str, target: Target, headers: Headers, body: bytes, addresses: Addresses
    ) -> Response:
        """Respond to a request. Raises: SendError, or whatever else the rule wants."""
        url = f"{target.scheme}://{target.authority}{target.request_target}"
        scripted = next((rule.next() for rule in self._rules if rule.is_for(method, url)), 200)
        with translated():
            match scripted:
                case int():
                    return Response(scripted, (), WholeBody(b""))
                case Exception():
                    raise scripted
                case httpx.Response():
                    return _response(scripted)
            request = request_of(method, target, headers, body)
            await request.aread()
            made = await anyio.to_thread.run_sync(
                self._asked, scripted, request, abandon_on_cancel=True
            )
            return _response(made)

    async def aclose(self) -> None:
        """Close nothing: nothing is open."""

    def _asked(
        self, function: Callable[[httpx.Request], httpx.Response], request: httpx.Request
    ) -> httpx.Response:
        self._here.is_responding = True
        try:
            return function(request)
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


def _response(response: httpx.Response) -> Response:
    """Return a response as one that can be read, whoever has read this one."""
    return Response(response.status_code, response.headers.raw, WholeBody(response.content))
