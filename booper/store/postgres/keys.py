"""API keys, with a copy of them in memory: every request asks for its key.

Other nodes make and revoke keys, too. So all are read again every second by whoever asks for one,
and a key that is not in memory is looked for in the database.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from booper.clock import monotonic
from booper.model.audit import ADMINISTRATOR, Actor
from booper.model.identity import uuid7
from booper.model.key import ApiKey, NewKey, minute_of
from booper.store.postgres.connections import Readers
from booper.store.postgres.key_rows import (
    WRITE_USES,
    find_keys,
    find_user,
    is_first,
    lock_digest,
    lock_key,
    lock_left,
    lock_replaced,
    make_key,
    read_keys,
    revoke_key,
    revoke_keys,
)
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer
from booper.store.stored import stored, stored_or_none

FRESH_SECONDS: Final = 1.0
"""How old what is known of keys becomes before it is read again."""

STALE_SECONDS: Final = 10.0
"""Up to this age what is known is used while it is read again, behind it that is waited for."""

MAX_UNKNOWN: Final = 4_096
"""How many digests of no key are remembered for a moment."""


class PostgresKeys:
    """API keys and their users (`booper.store.base.Keys`)."""

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        random: Random,
        give_key: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._random = random
        self._give_key = give_key
        self._by_digest: dict[bytes, ApiKey] = {}
        """The keys as they are in the database, as far as that is known."""
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._writes = 0
        """How many changes of keys this process has written: an earlier read lacks them."""
        self._asked = set[bytes]()
        self._looking = asyncio.Lock()
        self._unknown: dict[bytes, float] = {}
        """Until when a digest is known to be of no key."""
        self._users: dict[str, UUID] = {}
        """Users that were asked for; there is no way to lose one or to give it another name."""
        self._used_at: dict[bytes, datetime] = {}
        """Uses by digest since they were last counted: a request pays for one assignment."""
        self._unwritten: dict[bytes, datetime] = {}
        """Minutes of last uses by digest that are in memory alone."""

    async def load(self) -> None:
        """Read all keys into memory. Raises: StoreUnavailable."""
        while True:
            writes, began = self._writes, monotonic()
            keys = await self._readers.run(read_keys)
            if writes == self._writes:
                break
        if began > self._read_at:  # else what has been read meanwhile is newer
            self._take({key.digest: key for key in keys})
            self._read_at = began

    async def close(self) -> None:
        """End what reads keys beside those who ask for one."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def create(self, new: NewKey, now: datetime, by: Actor = ADMINISTRATOR) -> ApiKey:
        """Store a key; a user of that name is made where there is none (None: the first user)."""
        made = await self._written(lambda transaction: [self._make(transaction, new, now, by)])
        return made[0]

    async def create_first(
        self, new: NewKey, now: datetime, prepare: Callable[[], None]
    ) -> ApiKey | None:
        """Store a key if there has never been one, after `prepare`; return None if there has."""

        def change(transaction: PostgresTransaction) -> list[ApiKey]:
            if not is_first(transaction):
                return []
            prepare()
            return [self._make(transaction, new, now, ADMINISTRATOR)]

        made = await self._written(change)
        return made[0] if made else None

    async def ensure(self, new: NewKey, now: datetime) -> ApiKey:
        """Return the key of a digest; it is stored if there is none, and may be revoked.

        From before that on others know that this process was given it.
        """
        await self._give_key(new.digest)

        def change(transaction: PostgresTransaction) -> list[ApiKey]:
            known = lock_digest(transaction, new.digest)
            return [known or self._make(transaction, new, now, ADMINISTRATOR)]

        return (await self._written(change))[0]

    async def revoke_replaced(self, key: ApiKey, now: datetime) -> None:
        """Revoke the keys of the same name that a key of the operator has replaced.

        One that another node was given, too, is revoked an hour after the last of these ended.
        """
        await self._written(lambda opened: revoke_keys(opened, lock_replaced(opened, key), now))

    async def revoke_left(self, name: str, now: datetime) -> None:
        """Revoke the keys of this name that the last node was given over an hour ago."""
        await self._written(lambda opened: revoke_keys(opened, lock_left(opened, name), now))

    async def list(self) -> Sequence[ApiKey]:
        """Return all keys, revoked ones too, in order of creation, with their last uses."""
        await self.load()
        self._count_uses()
        return [self._used(key) for key in self._by_digest.values()]

    async def revoke(self, key_id: UUID, now: datetime, by: Actor = ADMINISTRATOR) -> ApiKey:
        """Revoke a key and return it; a revoked one unchanged. Raises: NotFound."""
        [key] = await self._written(
            lambda transaction: [revoke_key(transaction, lock_key(transaction, key_id), now, by)]
        )
        self._count_uses()
        return self._used(key)

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256 digest, revoked or not, or None.

        The look-up is by a digest, which tells a guesser nothing about a key; the comparison
        that decides takes the same time whatever it finds.

        Raises:
            StoreUnavailable: nothing is known that is young enough, or of this key.
        """
        if monotonic() - self._read_at >= FRESH_SECONDS:
            await self._refresh()
        key = self._by_digest.get(digest)
        if key is None:
            key = await self._look_for(digest)
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None

    def note_use(self, key: ApiKey, now: datetime) -> None:
        """Note in memory that a key is used now; the newest note counts, whatever its time."""
        self._used_at[key.digest] = now

    async def write_uses(self) -> None:
        """Write the last uses that are new, if there are any. Raises: StoreUnavailable.

        `list` shows them before that. A crash can lose those of the last minutes.
        """
        self._count_uses()
        written = dict(self._unwritten)
        if not written:
            return
        known = [self._by_digest[digest] for digest in written]
        values = {
            "ids": [key.id for key in known],
            "ats": [stored(at) for at in written.values()],
            "known": [stored_or_none(key.last_used_at) for key in known],
        }
        await self._writer.run(lambda transaction: transaction.execute(WRITE_USES, values).rowcount)
        for key, (digest, at) in zip(known, written.items(), strict=True):
            self._note(replace(self._by_digest.get(digest, key), last_used_at=at))
            if self._unwritten.get(digest) == at:  # it may have been used again meanwhile
                del self._unwritten[digest]

    async def user(self, name: str, now: datetime) -> UUID:
        """Return the user of this name; one is made where there is none."""
        if name not in self._users:
            new_id = uuid7(now, self._random)
            user_id, _ = await self._writer.run(
                lambda transaction: find_user(transaction, name, new_id, now)
            )
            self._users[name] = user_id
        return self._users[name]

    def _make(
        self, transaction: PostgresTransaction, new: NewKey, now: datetime, by: Actor
    ) -> ApiKey:
        return make_key(transaction, new, self._random, now, by)

    async def _written(
        self, change: Callable[[PostgresTransaction], Sequence[ApiKey]]
    ) -> Sequence[ApiKey]:
        """Make a change and return the keys that it has written, or found as they are now.

        They are remembered even if the caller goes away meanwhile.
        """

        async def write() -> Sequence[ApiKey]:
            keys = await self._writer.run(change)
            for key in keys:
                self._note(key)
            return keys

        return await asyncio.shield(write())

    async def _refresh(self) -> None:
        """Read all keys again, at most once at a time; wait for that if they are stale."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self.load(), name="keys")
            self._reading.add_done_callback(_note_failure)
        if monotonic() - self._read_at >= STALE_SECONDS:
            await asyncio.shield(self._reading)

    async def _look_for(self, digest: bytes) -> ApiKey | None:
        """Look for a key in the database, with all others that are asked for meanwhile."""
        if monotonic() < self._unknown.get(digest, 0.0):
            return None
        self._asked.add(digest)
        async with self._looking:
            if digest in self._asked:
                asked, self._asked = self._asked, set()
                try:
                    await self._look_for_all(asked)
                except BaseException:  # also a cancellation: the others look again
                    self._asked |= asked
                    raise
        return self._by_digest.get(digest)

    async def _look_for_all(self, digests: Collection[bytes]) -> None:
        found = await self._readers.run(partial(find_keys, digests=list(digests)))
        for key in found:
            self._by_digest.setdefault(key.digest, key)  # what is written meanwhile is newer
        if len(self._unknown) + len(digests) > MAX_UNKNOWN:
            self._unknown.clear()
        until = monotonic() + FRESH_SECONDS
        unknown = [digest for digest in digests if digest not in self._by_digest]
        self._unknown.update(dict.fromkeys(unknown[:MAX_UNKNOWN], until))

    def _note(self, key: ApiKey) -> None:
        """Note a key that this process has written."""
        self._writes += 1
        self._by_digest[key.digest] = key

    def _take(self, keys: Mapping[bytes, ApiKey]) -> None:
        """Take all keys as they were read; a later use that another node wrote is the last one."""
        for digest, minute in list(self._unwritten.items()):
            known, new = self._by_digest[digest], keys.get(digest)
            at = new.last_used_at if new is not None else None
            if new is None or (at is not None and at != known.last_used_at and at >= minute):
                del self._unwritten[digest]
        self._by_digest = dict(keys)

    def _count_uses(self) -> None:
        """Add what was noted to the uses that are to be written."""
        for digest, at in self._used_at.items():
            known, minute = self._by_digest.get(digest), minute_of(at)
            if known is None:
                continue
            if known.last_used_at != minute:
                self._unwritten[digest] = minute
            else:
                self._unwritten.pop(digest, None)
        self._used_at.clear()

    def _used(self, key: ApiKey) -> ApiKey:
        """Return a key with its last use, written or not."""
        at = self._unwritten.get(key.digest)
        return key if at is None else replace(key, last_used_at=at)


def _note_failure(reading: "asyncio.Task[None]") -> None:
    """Take the error of a read that nobody waited for: whoever asks next reads again."""
    if not reading.cancelled():
        reading.exception()
