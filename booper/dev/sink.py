"""`/dev/sink/…`: a target to play with. It records what arrives and responds by script.

    /dev/sink/orders?respond=500,500,429:Retry-After=2,200&delay=0.5

Each request to a path gets the next response of its script, and the last one repeats. A
request whose parameters cannot be read gets a 422 that names the parameter and what it takes.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from difflib import get_close_matches
from typing import Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from booper.clock import Clock, SystemClock
from booper.wire.timestamps import precise

PREFIX: Final = "/dev/sink"
MAX_KEPT: Final = 500
MAX_BODY_BYTES: Final = 65_536
MAX_SCRIPTS: Final = 1_000
MAX_DELAY_SECONDS: Final = 900.0
HANG, CLOSE = "hang", "close"
PARAMETERS: Final = ("respond", "delay")

# The server writes them itself; another value would break the response.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection"})


class Arrived(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request that has reached the sink, and its response; a long body is cut.

    `number` counts all that has arrived, also what was forgotten since.
    """

    number: int
    received_at: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str
    response: str


class InvalidScript(ValueError):
    """A parameter that cannot be read; the text names it, its value and what is right."""


class Step(msgspec.Struct, frozen=True):
    """One response of a script: a status and headers, or `hang`, or `close`."""

    response: str
    headers: Mapping[str, str] = {}


class Sink:
    """A target that records the latest `MAX_KEPT` requests, and responds by each path's script."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._arrived: deque[Arrived] = deque(maxlen=MAX_KEPT)
        self._count = 0
        self._scripts: dict[str, tuple[str, Iterator[Step]]] = {}

    def arrived(self, path: str | None = None) -> list[Arrived]:
        """Return what has arrived, at one path below `PREFIX` or all, the oldest first."""
        return [one for one in self._arrived if path in (None, one.path)]

    def clear(self) -> None:
        """Forget what has arrived, and begin all scripts anew."""
        self._arrived.clear()
        self._scripts.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a request and respond to it."""
        request = Request(scope, receive)
        body = await _start_of_body(request)
        try:
            _check_parameters(request.query_params)
            step, delay = self._next(request), _delay(request.query_params)
        except InvalidScript as error:
            step, delay = Step("422"), timedelta(0)
            shown = {"detail": str(error)}
        else:
            shown = {"response": step.response}
        self._record(request, body, step)
        if delay:
            await SystemClock().pause(delay)
        match step.response:
            case "hang":
                await _disconnected(receive)
            case "close":
                await _break_off(send)
            case status:
                content = b"" if status in ("204", "304") else msgspec.json.encode(shown)
                await Response(content, int(status), step.headers, "application/json")(
                    scope, receive, send
                )

    def _next(self, request: Request) -> Step:
        """Return the next response of a path's script; another script begins at its beginning."""
        path, text = request.url.path, request.query_params.get("respond", "200")
        known = self._scripts.get(path)
        if known is None or known[0] != text:
            known = self._scripts[path] = text, _steps(text)
            if len(self._scripts) > MAX_SCRIPTS:
                del self._scripts[next(iter(self._scripts))]
        return next(known[1])

    def _record(self, request: Request, body: bytes, step: Step) -> None:
        self._count += 1
        self._arrived.append(
            Arrived(
                number=self._count,
                received_at=precise(self._clock.now()),
                method=request.method,
                path=request.url.path.removeprefix(PREFIX),
                query=request.url.query,
                headers=dict(request.headers),
                body=body.decode(errors="replace"),
                response=step.response,
            )
        )


def _steps(text: str) -> Iterator[Step]:
    """Return the responses of a script, the last one without end. Raises: InvalidScript."""
    steps = [_step(item.strip()) for item in text.split(",")]

    def endless() -> Iterator[Step]:
        yield from steps
        while True:
            yield steps[-1]

    return endless()


def _check_parameters(query: QueryParams) -> None:
    """Refuse what the sink does not know, or would ignore. Raises: InvalidScript."""
    for name, value in query.multi_items():
        if name not in PARAMETERS:
            near = get_close_matches(name, PARAMETERS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InvalidScript(
                f"unknown parameter {name[:40]!r} with the value {value[:40]!r}; {hint}the sink "
                "takes 'respond' (such as respond=500,200) and 'delay' (such as delay=0.5)"
            )
        if (count := len(query.getlist(name))) > 1:
            raise InvalidScript(
                f"{name} must be given once, got it {count} times; the responses of one script "
                "are separated by commas: respond=500,200"
            )


def _step(item: str) -> Step:
    if item in (HANG, CLOSE):
        return Step(item)
    status, *headers = item.split(":")
    is_status = status.isascii() and status.isdecimal() and len(status) == 3
    if not (is_status and 200 <= int(status) <= 599):
        raise InvalidScript(
            f"respond must list statuses from 200 to 599, such as 500,429:Retry-After=2,200, "
            f"or hang or close; got {item[:40]!r}"
        )
    return Step(status, dict(_header(header) for header in headers))


def _header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    is_name = name.replace("-", "").isalnum() and name.isascii()
    if not (separator and is_name and value.isprintable() and value.isascii()):
        raise InvalidScript(
            "respond: a header after a status must be Name=value, such as "
            f"429:Retry-After=2, got {text[:40]!r}"
        )
    if name.lower() in _FRAMING:
        raise InvalidScript(
            f"respond: the server sets {name} itself, got {text[:40]!r}; name another header"
        )
    return name, value


def _delay(query: QueryParams) -> timedelta:
    text = query.get("delay", "0")
    with suppress(ValueError):
        if 0 <= float(text) <= MAX_DELAY_SECONDS:
            return timedelta(seconds=float(text))
    raise InvalidScript(
        f"delay must be a number of seconds from 0 to 900, such as 0.5, got {text[:40]!r}"
    )


async def _start_of_body(request: Request) -> bytes:
    """Return as much of a body as is kept; read the rest, too."""
    kept = bytearray()
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            kept += chunk[: MAX_BODY_BYTES - len(kept)]
    return bytes(kept)


async def _disconnected(receive: Receive) -> None:
    """Send no response until the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _break_off(send: Send) -> None:
    """Announce a body and send none: the server can only close the connection then."""
    headers = [(b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
