"""The SQL of pauses: targets to which nothing is sent for now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from booper.model.audit import ADMINISTRATOR, Action, Actor
from booper.store.postgres.connections import Readers
from booper.store.postgres.sharing import LOCK
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import text_in, text_out
from booper.store.postgres.writer import Writer
from booper.store.rules.auditing import note_target
from booper.store.stored import loaded, stored
from booper.store.values import ALL_TARGETS, Pause

LIST: Final = "SELECT target, paused_at FROM pauses ORDER BY target"
ADD: Final = """
INSERT INTO pauses (target, paused_at) VALUES (%(target)s, %(now)s) ON CONFLICT DO NOTHING
"""
REMOVE: Final = "DELETE FROM pauses WHERE target = %(target)s"
REMOVE_ALL: Final = "DELETE FROM pauses"


class PostgresPauses:
    """Pauses (`booper.store.base.Pauses`)."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def list(self) -> Sequence[Pause]:
        """Return what is paused, in order of the targets' names."""
        found = await self._readers.run(lambda opened: opened.execute(LIST).fetchall())
        return [Pause(text_out(target) or "", loaded(at)) for target, at in found]

    async def add(self, target: str, now: datetime, by: Actor = ADMINISTRATOR) -> None:
        """Pause a target; one that is paused already stays so since then.

        A claim that has not seen the pause is committed before it: the pause holds from its commit
        on. So it comes last in its transaction, as claims do.
        """
        values = {"target": text_in(target), "now": stored(now)}

        def change(transaction: PostgresTransaction) -> None:
            if transaction.execute(ADD, values).rowcount:
                note_target(transaction, by, Action.PAUSE, target, now)
                transaction.execute(LOCK)

        await self._writer.run_last(change)

    async def remove(self, target: str, now: datetime, by: Actor = ADMINISTRATOR) -> None:
        """Resume a target; `ALL_TARGETS` resumes all of them."""
        statement = REMOVE_ALL if target == ALL_TARGETS else REMOVE
        values = {"target": text_in(target)}

        def change(transaction: PostgresTransaction) -> None:
            if transaction.execute(statement, values).rowcount:
                note_target(transaction, by, Action.RESUME, target, now)

        await self._writer.run(change)
