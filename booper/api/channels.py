"""`/api/broadcast` and `/api/channels`: messages to a live feed, and to Discord (contract §2)."""

import re
from typing import Final, TypeVar

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import FORM, check_json, decode_form, decode_json, media_type, read_body
from booper.api.call import Call
from booper.api.event_stream import MEDIA_TYPE, stream
from booper.api.operations import (
    DescribedBody,
    DescribedResponse,
    Documentation,
    Operation,
    Parameter,
)
from booper.api.responses import JSONResponse
from booper.api.schemas import NOT_BLANK, Schema, matching, text
from booper.api.shapes import not_an_object, read_struct
from booper.engine.channels import Dropped
from booper.errors import FieldError, InvalidRequest, NotFound
from booper.model.message import Message
from booper.wire.discord import discord_body
from booper.wire.timestamps import precise

DISCORD: Final = "discord"
DEFAULT_CHANNEL: Final = "demo"
MAX_CONTENT_LENGTH: Final = 4_000
MAX_AUTHOR_LENGTH: Final = 255

CHANNEL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME_RULE: Final = "a channel's name has 1 to 64 letters, digits, '-' or '_'"


class Post(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a message to a channel."""

    content: str
    author: str | None = None


class Broadcast(Post, frozen=True, forbid_unknown_fields=True):
    """The same where the path names no channel."""

    channel: str | None = None


FIELDS: Final[Schema] = {
    "content": {**text(MAX_CONTENT_LENGTH), "pattern": NOT_BLANK},
    "author": text(MAX_AUTHOR_LENGTH, shortest=0),
}
"""A message's fields as the API document describes them."""

P = TypeVar("P", bound=Post)


async def broadcast(call: Call) -> Response:
    """Send a message to the channel that the body names, and echo the body."""
    posted, message = await _read(call, Broadcast)
    channel = DEFAULT_CHANNEL if message.channel is None else message.channel
    wrong = _wrong_texts(message)
    if not CHANNEL.fullmatch(channel):
        wrong.append(FieldError("/channel", f"{_NAME_RULE}, got {channel[:80]!r}"))
    return await _publish(call, channel, message, wrong, posted)


async def post_to_channel(call: Call) -> Response:
    """Send a message to the channel that the path names, and echo the body."""
    channel = _channel_of(call)
    posted, message = await _read(call, Post)
    return await _publish(call, channel, message, _wrong_texts(message), posted)


async def ping(call: Call) -> Response:
    """Respond with Pong."""
    return JSONResponse({"message": "Pong"})


async def events(call: Call) -> Response:
    """Stream the messages to one of the caller's channels from now on."""
    channel, key_id = _channel_of(call), call.principal.key_id
    await call.services.channels.catch_up()
    return stream(call, call.services.channels.subscribe(call.user_id, channel, key_id), write)


_MESSAGE = {"content": "Testing 123", "author": "Jane", "channel": "discord"}
_NAME = Parameter("name", _NAME_RULE, matching(CHANNEL.pattern), "discord")
_DOCUMENTED_EVENTS: Schema = {
    "type": "string",
    "description": "Events `message` (data: id, channel, content, author, at) and `dropped` "
    "(data: count), with a comment every 15 seconds",
}


def _form_of(fields: Schema) -> Schema:
    """Describe a message as a form, whose fields are text."""
    return {
        "type": "object",
        "properties": fields,
        "required": ["content"],
        "additionalProperties": False,
    }


_BROADCAST = Documentation(
    tag="channels",
    body=DescribedBody(
        Broadcast,
        {"message": _MESSAGE},
        form=_form_of({**FIELDS, "channel": _NAME.schema}),
        form_examples={"message": _MESSAGE},
    ),
    responses={200: DescribedResponse("What was posted", (Broadcast,), _MESSAGE)},
)
_POST = Documentation(
    tag="channels",
    parameters=(_NAME,),
    body=DescribedBody(
        Post,
        {"message": {"content": "Testing 123"}},
        form=_form_of(FIELDS),
        form_examples={"message": {"content": "Testing 123"}},
    ),
    responses={200: DescribedResponse("What was posted", (Post,), {"content": "Testing 123"})},
)
_PING = Documentation(
    tag="channels",
    ignores_query=True,
    responses={200: DescribedResponse("Pong", ({"type": "object"},), {"message": "Pong"})},
)
_EVENTS = Documentation(
    tag="channels",
    parameters=(_NAME,),
    responses={
        200: DescribedResponse(
            "A stream that does not end",
            (_DOCUMENTED_EVENTS,),
            ": connected\n\n",
            media_type=MEDIA_TYPE,
        )
    },
)

OPERATIONS = (
    Operation("POST", "/api/broadcast", Access.OWN_OR_WRITE, broadcast, _BROADCAST),
    Operation("GET", "/api/channels/ping", Access.OPEN, ping, _PING),
    Operation("POST", "/api/channels/{name}", Access.OWN_OR_WRITE, post_to_channel, _POST),
    Operation("GET", "/api/channels/{name}/events", Access.READ, events, _EVENTS),
)


def _channel_of(call: Call) -> str:
    name: str = call.path["name"]
    if not CHANNEL.fullmatch(name):
        raise NotFound(f"there is no channel {name[:80]!r}: {_NAME_RULE}")
    return name


async def _read(call: Call, kind: type[P]) -> tuple[bytes, P]:
    """Read a message, and the JSON to echo; keys that begin with `$` are a run's metadata (§6)."""
    body = await read_body(call, call.services.max_body_bytes)
    if media_type(call) == FORM:
        body = msgspec.json.encode(decode_form(body))
    check_json(body)
    try:
        sent: dict[str, msgspec.Raw] = decode_json(body, dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise InvalidRequest([not_an_object(body)]) from None
    own = {name: value for name, value in sent.items() if not name.startswith("$")}
    return body, read_struct(msgspec.json.encode(own), kind)


def _wrong_texts(message: Post) -> list[FieldError]:
    """Find texts of a wrong length; Discord refuses a blank message, so nobody gets one."""
    wrong = []
    if not message.content.strip() or len(message.content) > MAX_CONTENT_LENGTH:
        detail = f"must have 1 to {MAX_CONTENT_LENGTH} characters, not all of them blank"
        wrong.append(FieldError("/content", f"{detail}, got {len(message.content)}"))
    if message.author is not None and len(message.author) > MAX_AUTHOR_LENGTH:
        detail = f"must have at most {MAX_AUTHOR_LENGTH} characters, got {len(message.author)}"
        wrong.append(FieldError("/author", detail))
    return wrong


async def _publish(
    call: Call, channel: str, post: Post, wrong: list[FieldError], posted: bytes
) -> Response:
    if wrong:
        raise InvalidRequest(wrong)
    services = call.services
    user_id = call.user_id
    message = services.channels.message(channel, post.content, post.author)
    # First what fails more easily: a caller who is told so posts again, and readers see it once.
    if channel == DISCORD:
        body = discord_body(post.content, post.author)
        await services.commands.forward(user_id, body, message.at)
    await services.channels.send(user_id, message)
    return JSONResponse(msgspec.Raw(posted))


def write(item: Message | Dropped) -> bytes:
    """Write one event; JSON text has no line breaks, so `data` is one line."""
    match item:
        case Message():
            shown = {**msgspec.structs.asdict(item), "at": precise(item.at)}
            data = msgspec.json.encode(shown)
            return b"id: %b\nevent: message\ndata: %b\n\n" % (str(item.id).encode(), data)
        case Dropped():
            return b"event: dropped\ndata: %b\n\n" % msgspec.json.encode({"count": item.count})
