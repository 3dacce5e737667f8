"""The SQL of sessions: who is signed in to the dashboard."""

from datetime import datetime
from typing import Final
from uuid import UUID

from booper.model.session import MAX_IDLE, Session
from booper.store.postgres.connections import Readers
from booper.store.postgres.key_rows import KEY_COLUMNS, key_of
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import Row
from booper.store.postgres.writer import Writer
from booper.store.stored import loaded, stored

FIND: Final = f"""
SELECT {KEY_COLUMNS}, sessions.inserted_at, sessions.last_used_at
FROM sessions JOIN keys ON keys.id = key_id JOIN users ON users.id = user_id
WHERE sessions.digest = %(digest)s
"""

ADD: Final = """
INSERT INTO sessions (digest, key_id, inserted_at, last_used_at)
VALUES (%(digest)s, %(key_id)s, %(now)s, %(now)s)
"""

NOTE_USE: Final = "UPDATE sessions SET last_used_at = %(now)s WHERE digest = %(digest)s"
REMOVE: Final = "DELETE FROM sessions WHERE digest = %(digest)s"
FORGET: Final = "DELETE FROM sessions WHERE last_used_at <= %(before)s"


class PostgresSessions:
    """Sessions (`booper.store.sessions.Sessions`)."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def add(self, digest: bytes, key_id: UUID, now: datetime) -> None:
        """Store a session of a key; forget those that have not been used for `MAX_IDLE`."""
        values = {"digest": digest, "key_id": key_id, "now": stored(now)}

        def change(transaction: PostgresTransaction) -> None:
            transaction.execute(FORGET, {"before": stored(now - MAX_IDLE)})
            transaction.execute(ADD, values)

        await self._writer.run(change)

    async def find(self, digest: bytes) -> Session | None:
        """Return the session with this digest, whether it is still open or not, or None."""
        found = await self._readers.run(
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
    return Session(key_of(row), loaded(row[-2]), loaded(row[-1]))
