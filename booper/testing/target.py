"""The world as a test wants it: every request that booper sends is answered here, by script."""

import threading
from collections.abc import Callable, Sequence

import anyio
import httpx

from booper.engine.raw import RawHeaders, RawResponse
from booper.testing.sent import is_match

Answer = int | httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
"""A status, a whole answer, a failure such as `TimeoutError()`, or what makes one of a request."""


class Rule:
    """What answers the requests to a URL: answers in order, the last one again and again.

    Raises:
        ValueError: the URL can be that of no request, or one of the answers is none.
    """

    def __init__(self, url: str, answers: Sequence[Answer], method: str | None) -> None:
        self._url = _checked_url(url)
        self._method = method.upper() if method else None
        self._answers = [_checked_answer(answer) for answer in answers] or [200]

    def is_for(self, request: httpx.Request) -> bool:
        """Return whether it responds to a request."""
        return self._method in (None, request.method) and is_match(self._url, str(request.url))

    def next(self) -> Answer:
        """Return the answer whose turn it is."""
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class ScriptedTarget(httpx.AsyncBaseTransport):
    """A target that responds by the newest rule for a request, else with 200 and no body.

    Functions run in threads of their own, so they may ask booper. What they raise is kept for the
    test, and answered by 500; failures of the network are failures of the network.
    """

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._errors: list[Exception] = []
        self._here = threading.local()

    @property
    def is_answering(self) -> bool:
        """Return whether the caller was called to respond to a request."""
        return getattr(self._here, "is_answering", False)

    def add(self, rule: Rule) -> None:
        """Answer by this rule, rather than by older ones."""
        self._rules.insert(0, rule)

    def raise_error(self) -> None:
        """Raise what a function has raised and nobody was told of."""
        if self._errors:
            error = self._errors[0]
            self._errors.clear()
            raise error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        answer = next((rule.next() for rule in self._rules if rule.is_for(request)), 200)
        match answer:
            case int():
                return RawResponse(answer, RawHeaders(()), httpx.ByteStream(b""), {})
            case Exception():
                raise answer
            case httpx.Response():
                return _copied(answer)
        await request.aread()
        return await anyio.to_thread.run_sync(self._asked, answer, request, abandon_on_cancel=True)

    def _asked(
        self, function: Callable[[httpx.Request], httpx.Response], request: httpx.Request
    ) -> httpx.Response:
        self._here.is_answering = True
        try:
            return _copied(function(request))
        except (httpx.TransportError, OSError):
            raise
        except Exception as error:
            self._errors.append(error)
            return httpx.Response(500, text=f"{type(error).__name__}: {error}")
        finally:
            self._here.is_answering = False


def _checked_url(url: str) -> str:
    if not url.startswith(("http://", "https://", "*")):
        raise ValueError(
            f"expected a URL such as https://api.example.com/*, in which * stands for anything, "
            f"got {url!r}"
        )
    return url


def _checked_answer(answer: Answer) -> Answer:
    is_status = not isinstance(answer, int) or 100 <= answer <= 599
    # The class of an exception can be called, but makes no answer.
    is_kind = isinstance(answer, int | httpx.Response | Exception) or callable(answer)
    if not is_status or not is_kind or isinstance(answer, type):
        raise ValueError(
            "expected a status from 100 to 599, an httpx.Response, an exception such as "
            f"TimeoutError(), or a function of the request, got {answer!r}"
        )
    return answer


def _copied(answer: httpx.Response) -> httpx.Response:
    """Return an answer that can be read, whoever has read this one."""
    return httpx.Response(
        answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
    )
