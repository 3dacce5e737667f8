"""`booper keys`: through the daemon that serves the database, or on the file if none does.

What is printed is for people, unless `is_json`: then it is JSON.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Literal, Protocol
from uuid import UUID

import click
from msgspec import convert

from booper.api.keys import KeyRequest, issue
from booper.cli.daemon import check_there, daemon_of
from booper.cli.text import to_json
from booper.client import AsyncKeys, Key, NewKey
from booper.clock import SystemClock
from booper.config import Config
from booper.databases import opened
from booper.errors import BooperError, NotFound
from booper.model.key import ApiKey
from booper.store.keys import Keys
from booper.wire.key import key_resource

Scope = Literal["read", "write", "admin"]

_TIME = "%Y-%m-%d %H:%M:%SZ"
_MINUTE = "%Y-%m-%d %H:%MZ"


def create(config: Config, name: str, user: str | None, scope: Scope, *, is_json: bool) -> None:
    """Make a key and print it."""

    async def work() -> NewKey:
        async with _keyring(config, must_exist=False) as keys:
            return await keys.create(name, user=user, scope=scope)

    made = asyncio.run(work())
    if is_json:
        _show(made)
        return
    click.echo(f"API key {made.name!r} of user {made.user!r}; it is shown only this once:\n")
    click.echo(f"    {made.key}\n")


def list_all(config: Config, *, is_json: bool) -> None:
    """Print a line for each key."""

    async def work() -> Sequence[Key]:
        async with _keyring(config) as keys:
            return await keys.list()

    found = asyncio.run(work())
    if is_json:
        _show(found)
        return
    click.echo(
        f"{'id':36}  {'name':20}  {'user':16}  {'scope':5}  {'created':20}  "
        f"{'last used':17}  revoked"
    )
    for key in found:
        used = f"{key.last_used_at:{_MINUTE}}" if key.last_used_at else "-"
        revoked = f"{key.revoked_at:{_TIME}}" if key.revoked_at else "-"
        click.echo(
            f"{key.id}  {key.name:20}  {key.user:16}  {key.scope:5}  "
            f"{key.inserted_at:{_TIME}}  {used:17}  {revoked}"
        )


def revoke(config: Config, wanted: str, *, is_json: bool) -> None:
    """Revoke the key with this id or name."""

    async def work() -> Key:
        async with _keyring(config) as keys:
            return await keys.revoke(_find(await keys.list(), wanted))

    revoked = asyncio.run(work())
    if is_json:
        _show(revoked)
        return
    click.echo(f"revoked the API key {revoked.name!r}")


def _show(value: Key | NewKey | Sequence[Key]) -> None:
    click.echo(to_json(value))


class Keyring(Protocol):
    """The keys of a booper, whether it is running or not."""

    async def create(self, name: str, *, user: str | None, scope: Scope) -> NewKey: ...
    async def list(self) -> Sequence[Key]: ...
    async def revoke(self, key_id: UUID) -> Key: ...


class LocalKeyring:
    """Keys in a database file that no daemon serves."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._clock = SystemClock()

    async def create(self, name: str, *, user: str | None, scope: Scope) -> NewKey:
        """Make a key."""
        made = await issue(self._keys.create, KeyRequest(name, user, scope), self._clock.now())
        return convert(made, NewKey, from_attributes=True)

    async def list(self) -> Sequence[Key]:
        """Return all keys, in order of creation."""
        return [_shown(key) for key in await self._keys.list()]

    async def revoke(self, key_id: UUID) -> Key:
        """Revoke a key."""
        return _shown(await self._keys.revoke(key_id, self._clock.now()))


class RemoteKeyring:
    """Keys of a running daemon, by a client over the socket beside its database."""

    def __init__(self, keys: AsyncKeys) -> None:
        self._keys = keys

    async def create(self, name: str, *, user: str | None, scope: Scope) -> NewKey:
        """Make a key."""
        return await self._keys.create(name, user=user, scope=scope)

    async def list(self) -> Sequence[Key]:
        """Return all keys, in order of creation."""
        newest_first = [key async for key in self._keys.iterate()]
        return newest_first[::-1]

    async def revoke(self, key_id: UUID) -> Key:
        """Revoke a key."""
        return await self._keys.revoke(key_id)


@asynccontextmanager
async def _keyring(config: Config, *, must_exist: bool = True) -> AsyncIterator[Keyring]:
    """Use the daemon if one responds.

    Raises:
        BooperError: the daemon refused a call, or did not respond to it.
    """
    if not config.database.url:
        database = Path(config.database.path)
        async with daemon_of(database) as daemon:
            if daemon is not None:
                yield RemoteKeyring(daemon.keys)
                return
        if must_exist:
            check_there(database)
    async with opened(config, SystemRandom()) as store:
        yield LocalKeyring(store.keys)


def _shown(key: ApiKey) -> Key:
    return convert(key_resource(key), Key, from_attributes=True)


def _find(keys: Sequence[Key], wanted: str) -> UUID:
    found = [key for key in keys if wanted in (str(key.id), key.name)]
    live = [key for key in found if key.revoked_at is None] or found
    if len(live) == 1:
        return live[0].id
    if live:
        raise BooperError(f"{len(live)} keys are called {wanted!r}; give the id of one")
    raise NotFound(f"there is no key {wanted!r}; `booper keys list` shows all")
