"""The SQL of users and API keys, with a copy of the keys in memory.

Every request asks for its key; this process alone writes the file, so what it remembers is true.
"""

import asyncio
import hmac
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from uuid import UUID

from msgspec.structs import replace

from booper.errors import NotFound
from booper.model.audit import ADMINISTRATOR, Action, Actor
from booper.model.identity import uuid7
from booper.model.key import DEFAULT_USER, ApiKey, NewKey, Scope, minute_of
from booper.store.rules.auditing import note_key
from booper.store.sqlite import bulk
from booper.store.sqlite.first_key import FirstKeyFile
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.values import Row
from booper.store.sqlite.writer import Writer
from booper.store.stored import loaded, loaded_or_none, stored

LIST = """
SELECT keys.id, keys.name, user_id, users.name, scope, digest, keys.inserted_at, revoked_at,
    last_used_at
FROM keys JOIN users ON users.id = user_id ORDER BY keys.inserted_at, keys.id
"""

FIRST_USER = "SELECT id, name FROM users ORDER BY inserted_at, id LIMIT 1"
USER_BY_NAME = "SELECT id, name FROM users WHERE name = :name"
INSERT_USER = "INSERT INTO users (id, name, inserted_at) VALUES (:id, :name, :now)"

INSERT_KEY = """
INSERT INTO keys (id, user_id, name, scope, digest, inserted_at)
VALUES (:id, :user_id, :name, :scope, :digest, :now)
"""

REVOKE = "UPDATE keys SET revoked_at = :now WHERE id = :id"

WRITE_USES = """
UPDATE keys SET last_used_at = used.column2
FROM (VALUES {rows}) AS used WHERE keys.id = used.column1
"""


class SQLiteKeys:
    """API keys and their users (`booper.store.base.Keys`)."""

    def __init__(self, writer: Writer, random: Random, first_key: FirstKeyFile) -> None:
        self._writer = writer
        self._random = random
        self._first_key = first_key
        self._by_digest: dict[bytes, ApiKey] = {}
        self._users: dict[str, UUID] = {}
        """Users that were asked for; there is no way to lose one or to give it another name."""
        self._used_at: dict[bytes, datetime] = {}
        """Uses by digest since they were last counted: a request pays for one assignment."""
        self._unwritten: dict[bytes, datetime] = {}
        """Minutes of last uses by digest that are in memory alone."""

    def load(self, connection: sqlite3.Connection) -> None:
        """Read all keys into memory, once, when the store is opened."""
        keys = (key_of(row) for row in connection.execute(LIST))
        self._by_digest = {key.digest: key for key in keys}

    async def create(self, new: NewKey, now: datetime, by: Actor = ADMINISTRATOR) -> ApiKey:
        """Store a key; a user of that name is made where there is none (None: the first user)."""

        def change(connection: SQLiteTransaction) -> ApiKey:
            user_id, user = self._user(connection, new.user, now)
            key_id = uuid7(now, self._random)
            key = ApiKey(key_id, new.name, user_id, user, new.scope, new.digest, now, None, None)
            values = {
                "id": key.id.bytes,
                "user_id": user_id.bytes,
                "name": key.name,
                "scope": key.scope,
                "digest": key.digest,
                "now": stored(now),
            }
            connection.execute(INSERT_KEY, values)
            note_key(connection, by, Action.KEY_CREATE, key, now)
            return key

        async def write() -> ApiKey:
            key = await self._writer.run(change)
            self._by_digest[key.digest] = key
            return key

        # What is written must be remembered, even if the caller goes away meanwhile.
        return await asyncio.shield(write())

    async def create_first(
        self, new: NewKey, now: datetime, prepare: Callable[[], None]
    ) -> ApiKey | None:
        """Store a key if there has never been one, after `prepare`; return None if there has."""
        if self._by_digest:
            return None
        prepare()
        return await self.create(new, now)

    async def ensure(self, new: NewKey, now: datetime) -> ApiKey:
        """Return the key of a digest; it is stored if there is none, and may be revoked."""
        return await self.find(new.digest) or await self.create(new, now)

    async def revoke_replaced(self, key: ApiKey, now: datetime) -> None:
        """Revoke the keys of the same name that a key of the operator has replaced."""
        for other in await self.list():
            if other.name == key.name and other.digest != key.digest:
                await self.revoke(other.id, now)

    async def revoke_left(self, name: str, now: datetime) -> None:
        """Return: here is one node, and keys stay until its next start is given another."""

    async def list(self) -> Sequence[ApiKey]:
        """Return all keys, revoked ones too, in order of creation, with their last uses."""
        self._count_uses()
        return list(self._by_digest.values())

    async def revoke(self, key_id: UUID, now: datetime, by: Actor = ADMINISTRATOR) -> ApiKey:
        """Revoke a key and return it; a revoked one unchanged. Raises: NotFound.

        A file that holds it as the first key is removed.
        """
        self._count_uses()
        known = next((key for key in self._by_digest.values() if key.id == key_id), None)
        if known is None:
            raise NotFound(f"there is no key {key_id}")
        if known.revoked_at is not None:
            return known
        values = {"id": key_id.bytes, "now": stored(now)}

        def change(connection: SQLiteTransaction) -> None:
            connection.execute(REVOKE, values)
            note_key(connection, by, Action.KEY_REVOKE, known, now)

        async def write() -> ApiKey:
            await self._writer.run(change)
            revoked = replace(self._by_digest[known.digest], revoked_at=now)
            self._by_digest[known.digest] = revoked
            if self._first_key.digest() == known.digest:
                self._first_key.remove()
            return revoked

        return await asyncio.shield(write())

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256 digest, revoked or not, or None.

        The look-up is by a digest, which tells a guesser nothing about a key; the comparison
        that decides takes the same time whatever it finds.
        """
        key = self._by_digest.get(digest)
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None

    def note_use(self, key: ApiKey, now: datetime) -> None:
        """Note in memory that a key is used now; the newest note counts, whatever its time."""
        self._used_at[key.digest] = now

    async def write_uses(self) -> None:
        """Write the last uses that are new, if there are any. Raises: StoreUnavailable.

        `list` shows them before that. A power loss can lose those of the last minutes.
        """
        self._count_uses()
        written = dict(self._unwritten)
        if not written:
            return
        rows = [(self._by_digest[key].id.bytes, stored(at)) for key, at in written.items()]
        await self._writer.run(
            lambda connection: bulk.execute(connection, WRITE_USES, rows), is_durable=False
        )
        for key, at in written.items():
            if self._unwritten.get(key) == at:  # it may have been used again meanwhile
                del self._unwritten[key]

    def _count_uses(self) -> None:
        """Add what was noted to the keys in memory."""
        for digest, at in self._used_at.items():
            known, minute = self._by_digest[digest], minute_of(at)
            if known.last_used_at != minute:
                self._by_digest[digest] = replace(known, last_used_at=minute)
                self._unwritten[digest] = minute
        self._used_at.clear()

    async def user(self, name: str, now: datetime) -> UUID:
        """Return the user of this name; one is made where there is none."""
        if name not in self._users:
            user_id, _ = await self._writer.run(lambda change: self._user(change, name, now))
            self._users[name] = user_id
        return self._users[name]

    def _user(
        self, connection: sqlite3.Connection, name: str | None, now: datetime
    ) -> tuple[UUID, str]:
        found = (
            connection.execute(FIRST_USER)
            if name is None
            else connection.execute(USER_BY_NAME, {"name": name})
        ).fetchone()
        if found is not None:
            return UUID(bytes=found[0]), found[1]
        user_id, name = uuid7(now, self._random), name or DEFAULT_USER
        values = {"id": user_id.bytes, "name": name, "now": stored(now)}
        connection.execute(INSERT_USER, values)
        return user_id, name


def key_of(row: Row) -> ApiKey:
    """Return a key of the columns that `LIST` reads."""
    return ApiKey(
        UUID(bytes=row[0]),
        row[1],
        UUID(bytes=row[2]),
        row[3],
        Scope(row[4]),
        row[5],
        loaded(row[6]),
        loaded_or_none(row[7]),
        loaded_or_none(row[8]),
    )
