"""The SQL of pauses: hosts to which nothing is sent for now."""

from collections.abc import Sequence
from datetime import datetime

from booper.store.base import ALL_HOSTS
from booper.store.sqlite.connection import Connection
from booper.store.sqlite.values import stored
from booper.store.sqlite.writer import Writer

LIST = "SELECT host FROM pauses ORDER BY host"
ADD = "INSERT OR IGNORE INTO pauses (host, paused_at) VALUES (:host, :now)"
REMOVE = "DELETE FROM pauses WHERE host = :host OR :host = '*'"

assert ALL_HOSTS == "*", "REMOVE spells it out"


class SQLitePauses:
    """Paused hosts (`booper.store.base.Pauses`)."""

    def __init__(self, writer: Writer, reader: Connection) -> None:
        self._writer = writer
        self._reader = reader

    async def list(self) -> Sequence[str]:
        """Return the paused hosts."""
        found = await self._reader.run(lambda opened: opened.execute(LIST).fetchall())
        return [host for (host,) in found]

    async def add(self, host: str, now: datetime) -> None:
        """Pause a host."""
        values = {"host": host, "now": stored(now)}
        await self._writer.run(lambda connection: connection.execute(ADD, values).rowcount)

    async def remove(self, host: str) -> None:
        """Resume a host; `ALL_HOSTS` resumes all of them."""
        values = {"host": host}
        await self._writer.run(lambda connection: connection.execute(REMOVE, values).rowcount)
