"""Idempotency keys of many creates, looked up all at once."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from booper.store.postgres.values import array_of, text_array_of, text_in
from booper.store.stored import stored
from booper.store.values import UserKey

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

# The limit has each key looked up by the indexes, however many there are. A schedule that has ended
# counts as one that holds its key: the rules look closer.
FREE: Final = """
SELECT place FROM unnest(%(user_ids)s::uuid[], %(keys)s::text[])
    WITH ORDINALITY AS asked (user_id, key, place)
LEFT JOIN LATERAL (
    SELECT 1 AS one FROM jobs
    WHERE jobs.user_id = asked.user_id AND idempotency_key = key AND schedule_id IS NULL
        AND (state IN ('scheduled', 'executing', 'retryable')
            OR (key_until > %(now)s AND state <> 'cancelled'))
    UNION ALL
    SELECT 1 FROM schedules WHERE schedules.user_id = asked.user_id AND idempotency_key = key
    LIMIT 1
) AS held ON true
WHERE one IS NULL
"""


def free_keys(
    transaction: "PostgresTransaction", keys: Sequence[UserKey], now: datetime
) -> Collection[UserKey]:
    """Return keys that nothing holds, and nobody else takes before the end of the transaction.

    Those that are there twice are left out.
    """
    once = [key for key, count in Counter(keys).items() if count == 1]
    if not once:
        return ()
    transaction.locks.keys(once)
    values = {
        "user_ids": array_of(user_id for user_id, _ in once),
        "keys": text_array_of(text_in(key) or "" for _, key in once),
        "now": stored(now),
    }
    return {once[place - 1] for (place,) in transaction.execute(FREE, values)}
