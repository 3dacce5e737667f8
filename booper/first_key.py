"""The key that the API of a fresh start is called with: the operator's own, or a first one."""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import Final

from booper.clock import Clock, SystemClock
from booper.errors import ConfigError, StartError, StoreUnavailable
from booper.model.key import NewKey, Scope, check_key, digest_of, new_key
from booper.store.base import Store
from booper.store.sqlite import FirstKeyFile

FIXED_KEY_NAME = "BOOPER_API_KEY"
FIRST_KEY_NAME = "first"
MAX_PORT: Final = 65_535

LOOK_EVERY: Final = timedelta(minutes=1)
"""How often is looked for keys of the operator that nodes had, and that none has any more."""

log = logging.getLogger("booper")

Address = tuple[str, int]
"""A host and a port where the API listens."""


def addresses_of(given: Address | Sequence[Address] | None) -> Sequence[Address]:
    """Return addresses that were given as one, as several, or not at all.

    Raises:
        ConfigError: what is given is none.
    """
    match given:
        case None:
            return ()
        case (str(), _):
            return [_address(given)]
        case list() | tuple():
            return [_address(each) for each in given]
        case _:
            return [_address(given)]


def _address(given: object) -> Address:
    match given:
        case (str(host), int(port)) if host and port is not True and 0 <= port <= MAX_PORT:
            return host, port
        case _:
            raise ConfigError(
                'address: expected a host and a port such as ("127.0.0.1", 2667), or several of '
                f"them, got {given!r:.80}"
            )


def check_api_key(api_key: str | None) -> str | None:
    """Return the key that an operator chose, if it can serve as one. Raises: ConfigError."""
    if api_key is None:
        return None
    if not isinstance(api_key, str):
        # It is not quoted: it may be the key, as bytes or in an object that hides it.
        raise ConfigError(f"api_key: expected text such as 'sk_…', got {type(api_key).__name__}")
    try:
        return check_key(api_key)
    except ValueError as error:
        raise ConfigError(f"{FIXED_KEY_NAME}: {error}") from error


async def ensure_key(
    store: Store, fixed_key: str | None, hosts: Sequence[str], file: FirstKeyFile, now: datetime
) -> str | None:
    """Create a first key if nobody could call the API at `hosts` otherwise; return it, else None.

    That key stands in `file` before it is valid, so that no start that fails can lose it.

    Where strangers can come, somebody must have made a key before: in the environment, or by the
    command. Keys that were all revoked are no reason to refuse: nobody gets in, and what waits is
    still sent.

    Raises:
        StartError: there has never been a key, and the API is to listen publicly; or the file
            cannot be written.
    """
    if fixed_key is not None:
        await _ensure_fixed_key(store, fixed_key, now)
        return None
    if keys := await store.keys.list():
        if file.digest() not in {key.digest for key in keys if key.revoked_at is None}:
            file.remove()  # left by a start that ended before it had made that key
        return None
    if public := [host for host in hosts if not is_loopback(host)]:
        raise StartError(
            f"listening on {public[0]} needs an API key first: set "
            f"{FIXED_KEY_NAME}, or run `booper keys create NAME`"
        )
    key = new_key(secrets.token_bytes)
    new = NewKey(FIRST_KEY_NAME, None, digest_of(key), Scope.ADMIN)
    if await store.keys.create_first(new, now, partial(file.write, key)) is not None:
        return key
    if file.digest() == new.digest:  # another node was faster
        file.remove()
    return None


async def _ensure_fixed_key(store: Store, text: str, now: datetime) -> None:
    """Store the operator's key, and revoke earlier ones of the same origin."""
    new = NewKey(FIXED_KEY_NAME, None, digest_of(text), Scope.ADMIN)
    key = await store.keys.ensure(new, now)
    if key.revoked_at is not None:
        raise StartError(f"the key in {FIXED_KEY_NAME} was revoked; choose another")
    await store.keys.revoke_replaced(key, now)


async def revoke_left_forever(store: Store, clock: Clock, machine: Clock | None = None) -> None:
    """Revoke keys of the operator that no node is given any more, whatever this one is given.

    It goes by the machine's clock also where jobs have another: nodes do.
    """
    machine = machine or SystemClock()
    while True:
        await machine.pause(LOOK_EVERY)
        try:
            await store.keys.revoke_left(FIXED_KEY_NAME, clock.now())
        except StoreUnavailable as error:
            log.debug("keys that no node is given are not revoked now: %s", error)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address that is listened on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # any other name may be anybody's
