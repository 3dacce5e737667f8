"""The SQL of sessions: who is signed in to the dashboard."""

from datetime import datetime
from uuid import UUID

from booper.model.session import MAX_IDLE, Session
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.keys import key_of
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.values import Row
from booper.store.sqlite.writer import Writer
from booper.store.stored import loaded, stored

FIND = """
SELECT keys.id, keys.name, user_id, users.name, scope, keys.digest, keys.inserted_at, revoked_at,
    keys.last_used_at, sessions.inserted_at, sessions.last_used_at
FROM sessions JOIN keys ON keys.id = key_id JOIN users ON users.id = user_id
WHERE sessions.digest = :digest
"""

ADD = """
INSERT INTO sessions (digest, key_id, inserted_at, last_used_at)
VALUES (:digest, :key_id, :now, :now)
"""

NOTE_USE = "UPDATE sessions SET last_used_at = :now WHERE digest = :digest"
REMOVE = "DELETE FROM sessions WHERE digest = :digest"
FORGET = "DELETE FROM sessions WHERE last_used_at <= :before"


class SQLiteSessions:
    """Sessions (`booper.store.sessions.Sessions`)."""

    def __init__(self, writer: Writer, reader: Connection) -> None:
        self._writer = writer
        self._reader = reader

    async def add(self, digest: bytes, key_id: UUID, now: datetime) -> None:
        """Store a session of a key; forget those that have not been used for `MAX_IDLE`."""
        values = {"digest": digest, "key_id": key_id.bytes, "now": stored(now)}

        def change(transaction: SQLiteTransaction) -> None:
            transaction.execute(FORGET, {"before": stored(now - MAX_IDLE)})
            transaction.execute(ADD, values)

        await self._writer.run(change)

    async def find(self, digest: bytes) -> Session | None:
        """Return the session with this digest, whether it is still open or not, or None."""
        found = await self._reader.run(
            lambda opened: opened.execute(FIND, {"digest": digest}).fetchone()
        )
        return None if found is None else _session(found)

    async def note_use(self, digest: bytes, now: datetime) -> None:
        """Note that a session was used."""
        values = {"digest": digest, "now": stored(now)}
        await self._writer.run(lambda transaction: transaction.execute(NOTE_USE, values).rowcount)

    async def remove(self, digest: bytes) -> None:
        """Forget a session, if it is there."""
        values = {"digest": digest}
        await self._writer.run(lambda transaction: transaction.execute(REMOVE, values).rowcount)


def _session(row: Row) -> Session:
    return Session(key_of(row), loaded(row[9]), loaded(row[10]))
