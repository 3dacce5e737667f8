"""`booper keys`: through the daemon that serves the database, or on the file if none does.

What is printed is for people, unless `is_json`: then it is what the API answers, in JSON.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Protocol, TypeVar
from uuid import UUID

import click
import httpx
import msgspec

from booper.api.keys import KeyRequest, issue
from booper.api.paging import MOST
from booper.api.wire import KeyResource, NewKeyResource, key_resource
from booper.cli.text import to_json
from booper.clock import SystemClock
from booper.config import Config
from booper.errors import BooperError, NotFound, StartError
from booper.server.listener import socket_path
from booper.store.base import Keys
from booper.store.sqlite import open_store

T = TypeVar("T")


class _More(msgspec.Struct):
    """Where a page leads on."""

    next_cursor: str | None = None


def create(config: Config, name: str, user: str | None, scope: str, *, is_json: bool) -> None:
    """Make a key and print it."""

    async def work() -> NewKeyResource:
        async with _keyring(config, must_exist=False) as keys:
            return await keys.create(KeyRequest(name, user, scope))

    made = asyncio.run(work())
    if is_json:
        _show(made)
        return
    click.echo(f"API key {made.name!r} of user {made.user!r}; it is shown only this once:\n")
    click.echo(f"    {made.key}\n")


def list_all(config: Config, *, is_json: bool) -> None:
    """Print a line for each key."""

    async def work() -> Sequence[KeyResource]:
        async with _keyring(config) as keys:
            return await keys.list()

    found = asyncio.run(work())
    if is_json:
        _show(found)
        return
    click.echo(f"{'id':36}  {'name':20}  {'user':16}  {'scope':5}  {'created':20}  revoked")
    for key in found:
        revoked = key.revoked_at[:19] if key.revoked_at else "-"
        click.echo(
            f"{key.id}  {key.name:20}  {key.user:16}  {key.scope:5}  "
            f"{key.inserted_at[:19]:20}  {revoked}"
        )


def revoke(config: Config, wanted: str, *, is_json: bool) -> None:
    """Revoke the key with this id or name."""

    async def work() -> KeyResource:
        async with _keyring(config) as keys:
            return await keys.revoke(_find(await keys.list(), wanted))

    revoked = asyncio.run(work())
    if is_json:
        _show(revoked)
        return
    click.echo(f"revoked the API key {revoked.name!r}")


def _show(value: KeyResource | NewKeyResource | Sequence[KeyResource]) -> None:
    click.echo(to_json(value))


class Keyring(Protocol):
    """What the commands need, whoever does it."""

    async def create(self, asked: KeyRequest) -> NewKeyResource: ...
    async def list(self) -> Sequence[KeyResource]: ...
    async def revoke(self, key_id: UUID) -> KeyResource: ...


class LocalKeyring:
    """Keys in a database file that no daemon serves."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._clock = SystemClock()

    async def create(self, asked: KeyRequest) -> NewKeyResource:
        """Make a key."""
        return await issue(self._keys.create, asked, self._clock.now())

    async def list(self) -> Sequence[KeyResource]:
        """Return all keys."""
        return [key_resource(key) for key in await self._keys.list()]

    async def revoke(self, key_id: UUID) -> KeyResource:
        """Revoke a key."""
        return key_resource(await self._keys.revoke(key_id, self._clock.now()))


class RemoteKeyring:
    """Keys of a running daemon, by its API, over the socket beside its database."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def create(self, asked: KeyRequest) -> NewKeyResource:
        """Make a key."""
        answer = await self._client.post("/api/keys", content=msgspec.json.encode(asked))
        return _read(answer, NewKeyResource)

    async def list(self) -> Sequence[KeyResource]:
        """Return all keys, in order of creation, asking for page after page."""
        keys: list[KeyResource] = []
        query = {"limit": str(MOST), "order_by": "inserted_at,asc"}
        while True:
            answer = await self._client.get("/api/keys", params=query)
            keys += _read(answer, list[KeyResource])
            cursor = msgspec.json.decode(answer.content, type=_More).next_cursor
            if cursor is None:
                return keys
            query["cursor"] = cursor

    async def revoke(self, key_id: UUID) -> KeyResource:
        """Revoke a key."""
        return _read(await self._client.delete(f"/api/keys/{key_id}"), KeyResource)


@asynccontextmanager
async def _keyring(config: Config, *, must_exist: bool = True) -> AsyncIterator[Keyring]:
    """Use the daemon if one answers; the lock tells apart what only looks as if there were none."""
    database = Path(config.database.path)
    # Nothing is encrypted here; httpx would read certificates, from the environment too.
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport = httpx.AsyncHTTPTransport(no_tls, uds=str(socket_path(database)), trust_env=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://booper") as client:
        try:
            await client.get("/healthz")
        except httpx.TransportError:
            _check_there(database, must_exist)
        else:
            yield RemoteKeyring(client)
            return
    async with open_store(database, config.database.durability, SystemRandom()) as store:
        yield LocalKeyring(store.keys)


def _check_there(database: Path, must_exist: bool) -> None:
    if must_exist and not database.exists():
        raise StartError(
            f"there is no database {database}; run this in booper's folder, or use --database"
        )


def _find(keys: Sequence[KeyResource], wanted: str) -> UUID:
    found = [key for key in keys if wanted in (str(key.id), key.name)]
    live = [key for key in found if key.revoked_at is None] or found
    if len(live) == 1:
        return live[0].id
    if live:
        raise BooperError(f"{len(live)} keys are called {wanted!r}; give the id of one")
    raise NotFound(f"there is no key {wanted!r}; `booper keys list` shows all")


def _read(answer: httpx.Response, kind: type[T]) -> T:
    """Take the data out of an answer. Raises: BooperError with what the daemon said."""
    body = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
    if answer.is_success:
        return msgspec.json.decode(body["data"], type=kind)
    raise BooperError(msgspec.json.decode(body["detail"], type=str))
