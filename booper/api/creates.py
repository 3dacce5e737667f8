"""Creates past Starlette: they come more often than all else, and it costs them a fifth.

`Creates` answers exactly what the operation in `jobs` does; only dispatch, headers and the answer's
messages are done by hand here. What is not plainly a create goes to Starlette.
"""

from collections.abc import Mapping

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from booper.api.jobs import accept, rules_of
from booper.api.memory import SMALL_BYTES, ResponseMemory, Share
from booper.api.problems import MEDIA_TYPE, Problem, headers_of, problem_of, unexpected
from booper.api.routing import Access, Services, identify
from booper.errors import BooperError

PATH = "/api/jobs"
_JSON = b"application/json"


class Create(msgspec.Struct, frozen=True, gc=False):
    """A create whose body has yet to be read (`bodies.Incoming`)."""

    headers: dict[str, str]
    receive: Receive


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer: its headers beside the length, and its body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def __call__(self, send: Send, memory: ResponseMemory) -> None:
        """Send it; a large one is counted until the client has read it."""
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if len(self.body) <= SMALL_BYTES:
            await send({"type": "http.response.body", "body": self.body})
            return
        with Share(memory) as share:
            await share.send_body(self.body, send)


class Creates:
    """Answer `POST /api/jobs`; leave every other request to `others`."""

    def __init__(self, services: Services, others: ASGIApp) -> None:
        self._services = services
        self._rules = rules_of(services)
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Raises: what nobody expects, after it was answered."""
        if not _is_create(scope):
            await self._others(scope, receive, send)
            return
        try:
            answer = await self._answer(_create_of(scope, receive))
        except BooperError as error:
            answer = _problem(problem_of(error), headers_of(error))
        except Exception:
            await _problem(unexpected(), {})(send, self._services.memory)
            raise  # the server logs it
        await answer(send, self._services.memory)

    async def _answer(self, create: Create) -> Answer:
        user_id = await identify(create, Access.WRITE, self._services)
        assert user_id is not None, "only other accesses let in nobody in particular"
        accepted = await accept(create, user_id, self._services, self._rules)
        headers = [(b"content-type", _JSON)]
        if accepted.location is not None:
            headers.append((b"location", accepted.location.encode()))
        return Answer(accepted.status, headers, msgspec.json.encode({"data": accepted.data}))


def _is_create(scope: Scope) -> bool:
    """Say whether this is a create that says so plainly: no prefix of a mount, no query."""
    return (
        scope["type"] == "http"
        and scope["path"] == PATH
        and scope["method"] == "POST"
        and not scope.get("query_string")
        and not scope.get("root_path")
    )


def _create_of(scope: Scope, receive: Receive) -> Create:
    """Take a request's headers; of one that is repeated the first counts, as with Starlette."""
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in reversed(list(scope["headers"]))
    }
    return Create(headers, receive)


def _problem(problem: Problem, headers: Mapping[str, str]) -> Answer:
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    kind = (b"content-type", MEDIA_TYPE.encode())
    return Answer(problem.status, [kind, *encoded], msgspec.json.encode(problem))
