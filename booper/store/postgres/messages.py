"""Messages of channels on their way from the node that takes them to the feeds of all nodes."""

from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from booper.model.message import Message
from booper.store.postgres.connections import Readers
from booper.store.postgres.notifier import Notifier
from booper.store.postgres.numbers import MESSAGES, drawing, settled_until
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.writer import Writer
from booper.store.sharing import Published

MAX_MESSAGES: Final = 200
"""How many are read at a time."""

KEPT: Final = "10 minutes"
"""How long a message is kept for nodes that cannot read it at once."""

INSERT: Final = f"""
INSERT INTO messages (user_id, message) SELECT %(user_id)s::uuid, %(message)s::text
WHERE {drawing(MESSAGES)}
"""
READ: Final = f"""
SELECT number, user_id, message FROM messages WHERE number > %(behind)s AND number <= %(until)s
ORDER BY number LIMIT {MAX_MESSAGES}
"""
FORGET: Final = f"""
DELETE FROM messages WHERE inserted_at < clock_timestamp() - interval '{KEPT}'
"""


class PostgresMessages:
    """Messages of channels, on their way to all feeds (`booper.store.sharing.Messages`)."""

    def __init__(self, writer: Writer, readers: Readers, notifier: Notifier | None) -> None:
        self._notifier = notifier
        self._writer = writer
        self._readers = readers

    async def publish(self, user_id: UUID, message: Message) -> None:
        """Write a message for the feeds of all nodes."""
        # JSON names each character that PostgreSQL's text does not hold.
        values = {"user_id": user_id, "message": msgspec.json.encode(message).decode()}
        await self._writer.run(lambda transaction: transaction.execute(INSERT, values).rowcount)
        if self._notifier is not None:
            self._notifier.note_message()

    async def published(self, mark: int | None) -> Published:
        """Return messages that any node has published since a mark; of None the mark of now."""
        now = await self._readers.run(partial(settled_until, numbers=MESSAGES))
        if mark is None or mark >= now:
            return Published(now)
        return await self._readers.run(partial(_published, behind=mark, until=now))

    async def forget(self) -> None:
        """Delete messages that each node has read by now, if it can read."""
        await self._writer.run_when_idle(lambda transaction: transaction.execute(FORGET).rowcount)


def _published(opened: PostgresTransaction, behind: int, until: int) -> Published:
    found = opened.execute(READ, {"behind": behind, "until": until}).fetchall()
    messages = [(user_id, msgspec.json.decode(text, type=Message)) for _, user_id, text in found]
    if len(found) < MAX_MESSAGES:
        return Published(until, messages)
    return Published(found[-1][0], messages, are_more=True)
