"""`ping` and `echo` for users, `/healthz` and `/readyz` for whoever watches the process."""

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import FORM, check_json, decode_form, media_type, read_body
from booper.api.call import Call
from booper.api.operations import DescribedBody, DescribedResponse, Documentation, Operation
from booper.api.responses import JSONResponse
from booper.api.schemas import ANYTHING, Schema
from booper.errors import StoreFull, StoreUnavailable


async def ping(call: Call) -> Response:
    """Respond with Pong."""
    return JSONResponse({"message": "Pong"})


async def echo(call: Call) -> Response:
    """Respond with the posted JSON."""
    body = await read_body(call, call.services.max_body_bytes)
    if media_type(call) == FORM:
        return JSONResponse(decode_form(body))
    check_json(body)
    return JSONResponse(msgspec.Raw(body))


async def healthz(call: Call) -> Response:
    """Respond that the process is alive."""
    return JSONResponse({"status": "alive"})


async def readyz(call: Call) -> Response:
    """Respond whether booper can store and send jobs now."""
    if not call.services.scheduler.is_running:
        raise StoreUnavailable("the loop is not running")
    call.services.scheduler.check_sending()
    await call.services.store.check_writable(call.services.clock.now())
    return JSONResponse({"status": "ready"})


_FORM: Schema = {
    "type": "object",
    "propertyNames": {"pattern": r"^[^\[\]]+$"},
    "additionalProperties": {"type": "string"},
}


def _says(key: str, word: str) -> DescribedResponse:
    kind = {"type": "object", "properties": {key: {"const": word}}, "required": [key]}
    return DescribedResponse(word.capitalize(), (kind,), {key: word})


# What watches a process, and jobs that try what is sent, may add what they like.
_PING = Documentation(tag="probes", ignores_query=True, responses={200: _says("message", "Pong")})
_ECHO = Documentation(
    tag="probes",
    ignores_query=True,
    body=DescribedBody(
        ANYTHING,
        {"object": {"content": "Hello world!"}},
        form=_FORM,
        form_examples={"field": {"content": "Hello world!"}},
    ),
    responses={200: DescribedResponse("What was posted", (ANYTHING,), {"content": "Hello world!"})},
)
_ALIVE = Documentation(tag="probes", ignores_query=True, responses={200: _says("status", "alive")})
_READY = Documentation(
    tag="probes",
    ignores_query=True,
    responses={200: _says("status", "ready")},
    errors=(StoreUnavailable, StoreFull),
)

OPERATIONS = (
    Operation("GET", "/api/ping", Access.OPEN, ping, _PING),
    Operation("POST", "/api/echo", Access.OPEN, echo, _ECHO),
    Operation("GET", "/healthz", Access.OPEN, healthz, _ALIVE),
    Operation("GET", "/readyz", Access.OPEN, readyz, _READY),
)
