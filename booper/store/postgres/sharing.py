"""What nodes share: the slots of all and of each origin, failing origins, and pauses.

The attempts that are on their way are counted, not kept: a claim locks one row, then counts what
executes in the whole database, and no counter can drift by a node that dies.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from booper.model.breaker import Breaker
from booper.model.origin import names_of
from booper.store.limits import LimitOf
from booper.store.postgres.values import text_out
from booper.store.sharing import Changed, Mark, Shared
from booper.store.stored import loaded
from booper.store.values import ALL_TARGETS, Pause

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction
    from booper.store.postgres.writer import Writer

LOCK: Final = "SELECT 1 FROM limits WHERE kind = 'all' AND key = '' FOR UPDATE"

# In one statement, which sees what claims have committed that held the lock before.
KNOWN: Final = """
SELECT 'executing', origin, count(*) FROM live_jobs WHERE state = 'executing' GROUP BY origin
UNION ALL SELECT 'breaker', origin, 0 FROM breakers
UNION ALL SELECT 'pause', target, 0 FROM pauses
"""

PUT: Final = """
INSERT INTO breakers (origin, state) VALUES (%s, %s)
ON CONFLICT (origin) DO UPDATE SET state = excluded.state
"""
REMOVE: Final = "DELETE FROM breakers WHERE origin = ANY(%s)"
BREAKERS: Final = "SELECT state FROM breakers ORDER BY origin"
PAUSES: Final = "SELECT target, paused_at FROM pauses ORDER BY target"


class SharedSlots:
    """What may begin in one claim (`booper.store.sharing.Slots`)."""

    def __init__(self, transaction: "PostgresTransaction", limit_of: LimitOf) -> None:
        transaction.execute(LOCK)
        self._limit_of = limit_of
        self._busy = Counter[str]()
        self._probed: set[str] = set()
        self._paused: set[str] = set()
        for kind, key, number in transaction.execute(KNOWN):
            match kind:
                case "executing":
                    self._busy[key] = number
                case "breaker":
                    self._probed.add(key)
                case _:
                    self._paused.add(text_out(key) or "")
        self._free = limit_of("all", "") - self._busy.total()

    def take(self, origin: str) -> bool:
        """Take a slot for an attempt to an origin; return whether there was one.

        An origin that fails has one, which is for probes; one that is paused has none.
        """
        limit = 1 if origin in self._probed else self._limit_of("origin", origin)
        if self._free <= 0 or self._busy[origin] >= limit or self._is_paused(origin):
            return False
        self._free -= 1
        self._busy[origin] += 1
        return True

    def _is_paused(self, origin: str) -> bool:
        if not self._paused:
            return False
        return not self._paused.isdisjoint((ALL_TARGETS, *names_of(origin)))


class PostgresSharing:
    """What nodes tell each other (`booper.store.sharing.Sharing`)."""

    def __init__(
        self, writer: "Writer", changed: Callable[[Mark | None], Awaitable[Changed]]
    ) -> None:
        self._writer = writer
        self._changed = changed

    async def changed(self, mark: Mark | None) -> Changed:
        """Return what any node has committed since a mark; of None the mark of now alone."""
        return await self._changed(mark)

    async def exchange(self, opened: Sequence[Breaker], closed: Sequence[str]) -> Shared:
        """Write which breakers this node has opened, or changed, and closed; return what holds."""

        def change(transaction: "PostgresTransaction") -> Shared:
            for breaker in sorted(opened, key=lambda each: each.origin):
                transaction.execute(PUT, (breaker.origin, _text(breaker)))
            if closed:
                transaction.execute(REMOVE, [sorted(closed)])
            breakers = [
                msgspec.json.decode(text, type=Breaker) for (text,) in transaction.execute(BREAKERS)
            ]
            pauses = [
                Pause(text_out(target) or "", loaded(at))
                for target, at in transaction.execute(PAUSES)
            ]
            return Shared(breakers, pauses)

        return await self._writer.run(change, is_durable=False)


def _text(breaker: Breaker) -> str:
    return msgspec.json.encode(breaker).decode()
