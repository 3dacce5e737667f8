"""`/api/keys`: API keys, for the administrator alone."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import check_json_type, read_body
from booper.api.call import Call
from booper.api.operations import (
    Data,
    DescribedBody,
    DescribedResponse,
    Documentation,
    Operation,
    Parameter,
)
from booper.api.paging import MAX_UUID, read_page, write_cursor
from booper.api.parameters import CURSOR, paging
from booper.api.paths import uuid_of
from booper.api.responses import JSONResponse
from booper.api.schemas import UUID as UUID_SCHEMA
from booper.api.shapes import read_struct
from booper.errors import FieldError, InvalidRequest
from booper.model.key import ApiKey, NewKey, Scope, check_name, digest_of, new_key
from booper.store.values import Page, Part, Place
from booper.wire.key import KeyResource, NewKeyResource, key_resource

ORDER_FIELDS = ("inserted_at", "id")


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a key's create; without `user` it is the first user's."""

    name: str
    user: str | None = None
    scope: str = Scope.WRITE


CreateKey = Callable[[NewKey, datetime], Awaitable[ApiKey]]


class KeyPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of keys; `next_cursor` leads to the page behind it, if there is one."""

    data: list[KeyResource]
    next_cursor: str | None = None


async def issue(create: CreateKey, asked: KeyRequest, now: datetime) -> NewKeyResource:
    """Make a key; the response is the only place where it ever stands.

    Raises:
        InvalidRequest: a name is empty or too long.
    """
    for pointer, text in (("/name", asked.name), ("/user", asked.user)):
        try:
            if text is not None:
                check_name(text)
        except ValueError as error:
            raise InvalidRequest([FieldError(pointer, str(error))]) from None
    if asked.scope not in list(Scope):
        detail = f"expected one of {', '.join(Scope)}, got {asked.scope[:40]!r}"
        raise InvalidRequest([FieldError("/scope", detail)])
    secret = new_key(secrets.token_bytes)
    new = NewKey(asked.name, asked.user, digest_of(secret), Scope(asked.scope))
    key = await create(new, now)
    return NewKeyResource(key.id, key.name, key.user, key.scope, secret)


async def create(call: Call) -> Response:
    """Create a key and show it, once."""
    body = await read_body(call, call.services.max_body_bytes)
    check_json_type(call)
    asked = read_struct(body, KeyRequest)
    make = partial(call.services.commands.create_key, by=call.actor)
    issued = await issue(make, asked, call.services.clock.now())
    return JSONResponse({"data": issued}, 201)


async def list_all(call: Call) -> Response:
    """List keys, revoked ones too, newest first by default; the keys themselves are never shown."""
    page, _ = read_page(call.query, ORDER_FIELDS, {}, max_id=MAX_UUID)
    part = _part(await call.services.store.keys.list(), page)
    return JSONResponse(KeyPage([key_resource(key) for key in part], write_cursor(page, part)))


def _part(keys: Sequence[ApiKey], page: Page) -> Part[ApiKey]:
    """Return a part of the keys, whose ids are in order of creation."""
    place, ordered = page.place, sorted(keys, key=_id, reverse=page.descending)
    if place.is_behind and page.descending:
        ordered = [key for key in ordered if key.id.int < place.id]
    elif place.is_behind:
        ordered = [key for key in ordered if key.id.int > place.id]
    end = place.skip + page.limit
    found = ordered[place.skip : end]
    return Part(found, Place(is_behind=True, id=_id(found[-1])) if end < len(ordered) else None)


def _id(key: ApiKey) -> int:
    return key.id.int


async def revoke(call: Call) -> Response:
    """Revoke a key; it is refused from the next request on, and its live feeds end."""
    key_id = uuid_of(call.path["key_id"], "key")
    now = call.services.clock.now()
    key = await call.services.commands.revoke_key(key_id, now, call.actor)
    return JSONResponse({"data": key_resource(key)})


_KEY = {
    "id": "5b0e3f0a-32a5-4c1f-9d57-0f6b1c5de8f1",
    "name": "deploy",
    "user": "default",
    "user_id": "bd2aa099-6eb7-4dbb-9178-32141def1355",
    "scope": "write",
    "inserted_at": "2030-01-01T12:00:00.000000Z",
    "revoked_at": None,
    "last_used_at": "2030-01-02T09:30:00.000000Z",
}
_MADE = {name: _KEY[name] for name in ("id", "name", "user", "scope")}
_CREATE = Documentation(
    tag="keys",
    body=DescribedBody(KeyRequest, {"for deploys": {"name": "deploy", "scope": "write"}}),
    responses={
        201: DescribedResponse(
            "The key", (Data(NewKeyResource),), {"data": {**_MADE, "key": "sk_…"}}
        )
    },
)
_LIST = Documentation(
    tag="keys",
    parameters=(*paging(ORDER_FIELDS), CURSOR),
    responses={200: DescribedResponse("Keys", (KeyPage,), {"data": [_KEY]})},
)
_REVOKE = Documentation(
    tag="keys",
    parameters=(Parameter("key_id", "The key's id", UUID_SCHEMA, _KEY["id"]),),
    responses={200: DescribedResponse("The revoked key", (Data(KeyResource),), {"data": _KEY})},
)

OPERATIONS = (
    Operation("POST", "/api/keys", Access.ADMIN, create, _CREATE),
    Operation("GET", "/api/keys", Access.ADMIN, list_all, _LIST),
    Operation("DELETE", "/api/keys/{key_id}", Access.ADMIN, revoke, _REVOKE),
)
