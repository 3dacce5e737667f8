"""The SQL of nodes: their leases, and the keys that their operators gave to them."""

from typing import Final

SECONDS: Final = 4.0
"""How long a lease lasts from its renewal on, by the database's clock."""

MAX_WAIT_MILLISECONDS: Final = 2_000
"""How long a node waits for the table, which a move of the database locks until its end."""

LIMIT_WAIT: Final = f"SET LOCAL lock_timeout = {MAX_WAIT_MILLISECONDS}"

# Nodes begin one after the other, so that each sees whether others go by its time. One that is
# stopped meanwhile must not keep the others from it for long. For its turn a node waits longer than
# for the table.
BEGINNING: Final = f"""
SET LOCAL idle_in_transaction_session_timeout = 4000;
SELECT pg_advisory_xact_lock(hashtextextended('booper nodes', 0));
{LIMIT_WAIT}
"""
OF_ANOTHER_TIME: Final = """
SELECT number, name FROM nodes
WHERE expires_at > clock_timestamp() AND (has_own_time OR %(has_own_time)s)
ORDER BY number LIMIT 1
"""
BEGIN: Final = f"""
INSERT INTO nodes (name, key_digest, clock_offset, has_own_time, started_at, expires_at)
VALUES (%(name)s, %(key_digest)s, %(clock_offset)s, %(has_own_time)s,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    clock_timestamp() + interval '{SECONDS} seconds')
RETURNING number
"""
RENEW: Final = f"""
UPDATE nodes SET clock_offset = %(clock_offset)s,
    expires_at = clock_timestamp() + interval '{SECONDS} seconds'
WHERE number = %(number)s AND expires_at > clock_timestamp()
"""
# Apart from a renewal, whose response waits for the disk.
READ_CLOCK: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

GIVE_KEY: Final = "UPDATE nodes SET key_digest = %(key_digest)s WHERE number = %(number)s"

LIST: Final = f"""
SELECT number, name, started_at,
    (extract(epoch FROM clock_timestamp() - expires_at + interval '{SECONDS} seconds')
        * 1000000)::bigint,
    clock_offset
FROM nodes ORDER BY number
"""

# Until when a node had its key is kept with the key.
# A node that ends and has claims left, which the others take over.
EXPIRE_OWNER: Final = """
UPDATE nodes SET expires_at = clock_timestamp() WHERE number = %(number)s AND EXISTS (
    SELECT 1 FROM live_jobs WHERE state = 'executing' AND owner = %(number)s
)
"""

FORGET: Final = """
WITH gone AS (
    DELETE FROM nodes WHERE number = ANY(%(numbers)s)
    RETURNING key_digest, least(expires_at, clock_timestamp()) AS until
), slots AS (
    DELETE FROM cancelled_claims
    WHERE owner = ANY(%(numbers)s) OR NOT EXISTS (SELECT FROM nodes WHERE number = owner)
), given AS (
    SELECT key_digest, max(until) AS until FROM gone GROUP BY key_digest
)
UPDATE keys SET given_until = greatest(given_until, given.until)
FROM given WHERE keys.digest = given.key_digest
"""

# Of these keys those that no node is given, and that none was within the last hour.
NOT_GIVEN: Final = """
SELECT id FROM keys
WHERE id = ANY(%(ids)s) AND NOT EXISTS (SELECT 1 FROM nodes WHERE key_digest = digest)
    AND (given_until IS NULL OR given_until < clock_timestamp() - interval '1 hour')
"""
