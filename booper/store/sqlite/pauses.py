"""The SQL of pauses: targets to which nothing is sent for now."""

from collections.abc import Sequence
from datetime import datetime

from booper.model.audit import ADMINISTRATOR, Action, Actor
from booper.store.rules.auditing import note_target
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.sqlite.writer import Writer
from booper.store.stored import loaded, stored
from booper.store.values import ALL_TARGETS, Pause

LIST = "SELECT target, paused_at FROM pauses ORDER BY target"
ADD = "INSERT OR IGNORE INTO pauses (target, paused_at) VALUES (:target, :now)"
REMOVE = "DELETE FROM pauses WHERE target = :target OR :target = :all"


class SQLitePauses:
    """Pauses (`booper.store.base.Pauses`)."""

    def __init__(self, writer: Writer, reader: Connection) -> None:
        self._writer = writer
        self._reader = reader

    async def list(self) -> Sequence[Pause]:
        """Return what is paused, in order of the targets' names."""
        found = await self._reader.run(lambda opened: opened.execute(LIST).fetchall())
        return [Pause(target, loaded(at)) for target, at in found]

    async def add(self, target: str, now: datetime, by: Actor = ADMINISTRATOR) -> None:
        """Pause a target; one that is paused already stays so since then."""
        values = {"target": target, "now": stored(now)}

        def change(transaction: SQLiteTransaction) -> None:
            if transaction.execute(ADD, values).rowcount:
                note_target(transaction, by, Action.PAUSE, target, now)

        await self._writer.run(change)

    async def remove(self, target: str, now: datetime, by: Actor = ADMINISTRATOR) -> None:
        """Resume a target; `ALL_TARGETS` resumes all of them."""
        values = {"target": target, "all": ALL_TARGETS}

        def change(transaction: SQLiteTransaction) -> None:
            if transaction.execute(REMOVE, values).rowcount:
                note_target(transaction, by, Action.RESUME, target, now)

        await self._writer.run(change)
