"""What nodes share: the slots of all and of each origin, failing origins, and pauses.

The attempts that are on their way are counted, not kept: a claim locks one row, then counts what
executes in the whole database, and what was cancelled and is still on its way. So no counter can
drift by a node that dies. It begins with the oldest claim that may be on its way
(`booper.store.postgres.claim_numbers`).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from booper.model.breaker import Breaker
from booper.model.origin import names_of
from booper.store.limits import LimitOf
from booper.store.postgres import cancelled_claims
from booper.store.postgres.claim_numbers import LIFE, Known
from booper.store.postgres.values import text_array_of, text_in, text_out
from booper.store.sharing import Changed, Granted, Listener, Mark, Rate, Shared
from booper.store.stored import loaded, loaded_or_none, stored
from booper.store.values import ALL_TARGETS, Due, Pause

if TYPE_CHECKING:
    from booper.store.postgres.messages import PostgresMessages
    from booper.store.postgres.notifier import Notifier
    from booper.store.postgres.rate_limits import RateLimits
    from booper.store.postgres.transaction import PostgresTransaction
    from booper.store.postgres.writer import Writer

UNWANTED_FOR: Final = timedelta(days=3)
"""How long after the time of a probe an origin is remembered for which nothing has fallen due."""

# A node that stands still, or is cut off, must not stop the claims of all for long. At its best it
# is idle for milliseconds between two statements of a claim. One that is for two seconds has missed
# two renewals of its lease, and one more second ends all that it does; cut off, the claim fails and
# is made again.
LOCK: Final = """
SET LOCAL idle_in_transaction_session_timeout = 2000;
SELECT 1 FROM limits WHERE kind = 'all' AND key = '' FOR UPDATE
"""

_EXECUTING: Final = """
SELECT 'executing', origin, count(*), min(claim) FROM live_jobs WHERE state = 'executing'
"""
# In one statement, which sees what claims have committed that held the lock before. Of failing
# origins and pauses there may be thousands, and all nodes wait: those of this claim alone are read.
KNOWN: Final = f"""
{_EXECUTING} AND claim > 0 AND claim >= %(since)s GROUP BY origin
UNION ALL {_EXECUTING} AND claim = 0 GROUP BY origin
UNION ALL {cancelled_claims.COUNT}
UNION ALL SELECT 'breaker', origin, 0, 0 FROM breakers WHERE origin = ANY(%(origins)s::text[])
UNION ALL SELECT 'pause', target, 0, 0 FROM pauses WHERE target = ANY(%(targets)s::text[])
UNION ALL {LIFE}
"""

# A row that `exchange` is changing is left alone, so that neither waits for the other.
PROBED: Final = """
SELECT state, claimed_at FROM breakers WHERE origin = %s FOR UPDATE SKIP LOCKED
"""
CLAIM_PROBE: Final = "UPDATE breakers SET claimed_at = %s WHERE origin = %s"

PUT: Final = """
INSERT INTO breakers (origin, state) VALUES (%s, %s)
ON CONFLICT (origin) DO UPDATE SET state = excluded.state
"""
REMOVE: Final = "DELETE FROM breakers WHERE origin = ANY(%s)"
# What is due for an origin may be paused, and is to be probed after that.
FORGET: Final = """
DELETE FROM breakers USING unnest(%(origins)s::text[], %(states)s::text[]) AS old (origin, state)
WHERE breakers.origin = old.origin AND breakers.state = old.state
    AND NOT EXISTS (SELECT FROM due WHERE due.origin = breakers.origin AND at <= %(now)s)
RETURNING breakers.origin
"""
BREAKERS: Final = "SELECT state FROM breakers ORDER BY origin"
PAUSES: Final = "SELECT target, paused_at FROM pauses ORDER BY target"


class SharedSlots:
    """What may begin in one claim (`booper.store.sharing.Slots`)."""

    def __init__(
        self,
        transaction: "PostgresTransaction",
        limit_of: LimitOf,
        now: datetime,
        origins: Collection[str],
    ) -> None:
        transaction.execute(LOCK)
        self._transaction = transaction
        self._limit_of = limit_of
        self._now = now
        self._busy = Counter[str]()
        self._probed: set[str] = set()
        self._paused: set[str] = set()
        for kind, key, number, _ in _known(transaction, origins):
            match kind:
                case "executing" | "cancelled":
                    self._busy[key] += number
                case "breaker":
                    self._probed.add(key)
                case "pause":
                    self._paused.add(text_out(key) or "")
        self._free = limit_of("all", "") - self._busy.total()

    def take(self, due: Due) -> bool:
        """Take a slot for an attempt of a due job; return whether there was one.

        An origin that fails has one, which is for probes when it is time; one that is paused has
        none.
        """
        origin = due.origin
        limit = self._limit_of("origin", origin)
        if origin in self._probed:
            limit = min(limit, 1)
        if self._free <= 0 or self._busy[origin] >= limit or self._is_paused(origin):
            return False
        if origin in self._probed and not self._claim_probe(due):
            return False
        self._free -= 1
        self._busy[origin] += 1
        return True

    def _claim_probe(self, due: Due) -> bool:
        """Claim the probe of an origin for all nodes; return whether it is time for one."""
        row = self._transaction.execute(PROBED, [due.origin]).fetchone()
        if row is None:  # it is changing, or its breaker was closed since
            return False
        breaker, claimed_at = msgspec.json.decode(row[0], type=Breaker), loaded_or_none(row[1])
        if not breaker.may_probe(due.path, claimed_at, self._now):
            return False
        self._transaction.execute(CLAIM_PROBE, (stored(self._now), due.origin))
        return True

    def _is_paused(self, origin: str) -> bool:
        if not self._paused:
            return False
        return not self._paused.isdisjoint((ALL_TARGETS, *names_of(origin)))


class PostgresSharing:
    """What nodes tell each other (`booper.store.sharing.Sharing`)."""

    def __init__(
        self,
        writer: "Writer",
        changed: Callable[[Mark | None], Awaitable[Changed]],
        messages: "PostgresMessages",
        rate_limits: "RateLimits",
        notifier: "Notifier | None" = None,
    ) -> None:
        self.messages = messages
        self._notifier = notifier
        self._writer = writer
        self._changed = changed
        self._rate_limits = rate_limits

    def listen(self, listener: Listener) -> None:
        """Call the one `listener` at once with what other nodes tell, where that is possible."""
        if self._notifier is not None:
            self._notifier.listen(listener)

    async def changed(self, mark: Mark | None) -> Changed:
        """Return what any node has committed since a mark; of None the mark of now alone."""
        return await self._changed(mark)

    async def exchange(
        self, opened: Sequence[Breaker], closed: Sequence[str], now: datetime
    ) -> Shared:
        """Write which breakers this node has opened, or changed, and closed; return what holds."""

        def change(transaction: "PostgresTransaction") -> Shared:
            for breaker in sorted(opened, key=lambda each: each.origin):
                transaction.execute(PUT, (breaker.origin, _text(breaker)))
            if closed:
                transaction.execute(REMOVE, [sorted(closed)])
            breakers = _breakers(transaction, now)
            pauses = [
                Pause(text_out(target) or "", loaded(at))
                for target, at in transaction.execute(PAUSES)
            ]
            return Shared(breakers, pauses)

        return await self._writer.run(change, is_durable=False)

    async def count_requests(
        self, wanted: Mapping[UUID, int], rate: Rate
    ) -> Mapping[UUID, Granted]:
        """Count so many requests of each of these keys; return what all nodes leave of the rate."""
        return await self._rate_limits.count(wanted, rate)


def _known(transaction: "PostgresTransaction", origins: Collection[str]) -> Known:
    """Return what holds for all nodes and concerns these origins; the lock is held."""
    oldest = transaction.oldest_claim
    while True:
        values = {"since": oldest.number, **of_claim(origins)}
        known = transaction.execute(KNOWN, values).fetchall()
        if oldest.note(known):
            return known


def of_claim(origins: Collection[str]) -> dict[str, str]:
    """Return the values of `KNOWN` that say for which origins a claim is."""
    targets = {ALL_TARGETS, *(name for origin in origins for name in names_of(origin))}
    return {
        "origins": text_array_of(origins),
        "targets": text_array_of(text_in(target) for target in targets),
    }


def _breakers(transaction: "PostgresTransaction", now: datetime) -> list[Breaker]:
    """Return the breakers that are open, and delete those that nobody has wanted for long."""
    texts = [text for (text,) in transaction.execute(BREAKERS)]
    breakers = [msgspec.json.decode(text, type=Breaker) for text in texts]
    old = {
        breaker.origin: text
        for breaker, text in zip(breakers, texts, strict=True)
        if breaker.probe_at is not None and breaker.probe_at < now - UNWANTED_FOR
    }
    if old:
        values = {"origins": list(old), "states": list(old.values()), "now": stored(now)}
        gone = {origin for (origin,) in transaction.execute(FORGET, values)}
        return [breaker for breaker in breakers if breaker.origin not in gone]
    return breakers


def _text(breaker: Breaker) -> str:
    return msgspec.json.encode(breaker).decode()
