"""Requests of keys, counted over all nodes: a row with a token bucket for each key.

A count is one statement, by the database's clock. It locks the rows of its keys for as long as it
takes, which waits for no disk: the table is not logged.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import psycopg

from booper.errors import StoreUnavailable
from booper.store.postgres.connections import Connector, Kept, told_as_ours
from booper.store.postgres.silence import Silent
from booper.store.sharing import Granted, Rate

# What a key has now. Of two statements the later one may have begun before the other.
_LEFT: Final = """
least(%(burst)s, bucket.tokens + %(per_second)s *
    greatest(0, extract(epoch FROM now() - bucket.at))::float8)
"""
_GRANTED: Final = f"least(excluded.granted, floor({_LEFT}))"

# Rows are locked in the order of their keys.
COUNT: Final = f"""
INSERT INTO rate_limits AS bucket (key_id, tokens, at, granted)
SELECT key_id, %(burst)s - least(wanted, %(burst)s), now(), least(wanted, %(burst)s)
FROM unnest(%(keys)s::uuid[], %(wanted)s::bigint[]) AS asked (key_id, wanted) ORDER BY key_id
ON CONFLICT (key_id) DO UPDATE SET
    tokens = {_LEFT} - {_GRANTED}, at = greatest(bucket.at, now()), granted = {_GRANTED}
RETURNING key_id, granted, tokens
"""


class RateLimits:
    """The buckets of all keys, over a connection of its own that is opened at the first count."""

    def __init__(self, connector: Connector) -> None:
        self._kept = Kept(connector, connector.patience.response)
        self._thread = ThreadPoolExecutor(1, "store rates")
        self._is_closed = False

    async def count(self, wanted: Mapping[UUID, int], rate: Rate) -> Mapping[UUID, Granted]:
        """Count requests of keys (`booper.store.sharing.Sharing.count_requests`)."""
        if self._is_closed:
            raise StoreUnavailable("booper is stopping")
        values = {
            "keys": list(wanted),
            "wanted": list(wanted.values()),
            "burst": float(rate.burst),
            "per_second": rate.per_second,
        }
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._thread, self._counted, values)
        return {
            key: Granted(count, max(0.0, (1 - tokens) / rate.per_second))
            for key, count, tokens in rows
        }

    async def close(self) -> None:
        """Count no more."""
        self._is_closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._kept.drop)
        self._thread.shutdown()

    def _counted(self, values: Mapping[str, Any]) -> list[tuple[UUID, int, float]]:
        """Count on a connection that is opened again once where it has broken.

        Where that was after the count, requests are counted twice.
        """
        with told_as_ours():
            try:
                return self._kept.get().execute(COUNT, values).fetchall()
            except psycopg.OperationalError as error:
                if not self._kept.drop_broken() or isinstance(error, Silent):
                    raise
                return self._kept.get().execute(COUNT, values).fetchall()


@asynccontextmanager
async def counting(connector: Connector) -> AsyncIterator[RateLimits]:
    """Yield the buckets of all keys until the end of the block."""
    limits = RateLimits(connector)
    try:
        yield limits
    finally:
        await asyncio.shield(limits.close())
