"""Rows of API keys and their users, and the SQL of both."""

from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

from msgspec.structs import replace

from booper.errors import NotFound
from booper.model.audit import ADMINISTRATOR, Action, Actor
from booper.model.identity import uuid7
from booper.model.key import DEFAULT_USER, ApiKey, NewKey, Scope
from booper.store.postgres.node_rows import NOT_GIVEN
from booper.store.postgres.values import Row, text_in, text_out
from booper.store.rules.auditing import note_key
from booper.store.stored import loaded, loaded_or_none, stored

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction

KEY_COLUMNS: Final = """
keys.id, keys.name, user_id, users.name, scope, keys.digest, keys.inserted_at, revoked_at,
    keys.last_used_at
"""
_KEYS: Final = f"SELECT {KEY_COLUMNS} FROM keys JOIN users ON users.id = user_id"

LIST: Final = f"{_KEYS} ORDER BY keys.inserted_at, keys.id"
FIND: Final = f"{_KEYS} WHERE digest = ANY(%(digests)s)"
LOCK: Final = f"{_KEYS} WHERE keys.id = %(id)s FOR UPDATE OF keys"

LOCK_DIGEST: Final = f"{_KEYS} WHERE digest = %(digest)s FOR UPDATE OF keys"
LOCK_NAMED: Final = f"""
{_KEYS} WHERE keys.name = %(name)s AND digest <> %(digest)s AND revoked_at IS NULL
ORDER BY keys.id FOR UPDATE OF keys
"""
LOCK_LEFT: Final = f"""
{_KEYS} WHERE keys.name = %(name)s AND given_until IS NOT NULL AND revoked_at IS NULL
ORDER BY keys.id FOR UPDATE OF keys
"""

# Of several nodes over an empty database one makes the first key.
LOCK_FIRST: Final = "SELECT pg_advisory_xact_lock(hashtextextended('booper first key', 0))"
ANY_KEY: Final = "SELECT EXISTS (SELECT 1 FROM keys)"

FIRST_USER: Final = "SELECT id, name FROM users ORDER BY inserted_at, id LIMIT 1"
USER_BY_NAME: Final = "SELECT id, name FROM users WHERE name = %(name)s"
INSERT_USER: Final = """
INSERT INTO users (id, name, inserted_at) VALUES (%(id)s, %(name)s, %(now)s)
ON CONFLICT (name) DO NOTHING
"""

INSERT_KEY: Final = """
INSERT INTO keys (id, user_id, name, scope, digest, inserted_at)
VALUES (%(id)s, %(user_id)s, %(name)s, %(scope)s, %(digest)s, %(now)s)
"""

REVOKE: Final = "UPDATE keys SET revoked_at = %(now)s WHERE id = %(id)s"

# A last use moves back only from where this process knows it to be, where a clock was set back:
# what another node has written meanwhile stays, if it is later.
WRITE_USES: Final = """
UPDATE keys SET last_used_at = used.at
FROM unnest(%(ids)s::uuid[], %(ats)s::bigint[], %(known)s::bigint[]) AS used (id, at, known)
WHERE keys.id = used.id
    AND (last_used_at < used.at OR last_used_at IS NOT DISTINCT FROM used.known)
"""


def read_keys(opened: "PostgresTransaction") -> list[ApiKey]:
    """Return all keys, revoked ones too, in order of creation."""
    return [key_of(row) for row in opened.execute(LIST)]


def find_keys(opened: "PostgresTransaction", digests: list[bytes]) -> list[ApiKey]:
    """Return those keys that have one of these digests."""
    return [key_of(row) for row in opened.execute(FIND, {"digests": digests})]


def lock_key(transaction: "PostgresTransaction", key_id: UUID) -> ApiKey:
    """Return a key as it is until the end of the transaction. Raises: NotFound."""
    row = transaction.execute(LOCK, {"id": key_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no key {key_id}")
    return key_of(row)


def lock_digest(transaction: "PostgresTransaction", digest: bytes) -> ApiKey | None:
    """Return the key of a digest as it is until the end of the transaction, None if none is."""
    row = transaction.execute(LOCK_DIGEST, {"digest": digest}).fetchone()
    return None if row is None else key_of(row)


def lock_replaced(transaction: "PostgresTransaction", key: ApiKey) -> list[ApiKey]:
    """Return the keys that a key of the operator has replaced, and that no node has or had lately.

    They stay so until the end of the transaction: a node that is given one locks it as well.
    """
    values = {"name": text_in(key.name), "digest": key.digest}
    return _not_given(transaction, [key_of(row) for row in transaction.execute(LOCK_NAMED, values)])


def lock_left(transaction: "PostgresTransaction", name: str) -> list[ApiKey]:
    """Return the keys of a name that a node has had, and that none has or had lately.

    They stay so as those that are replaced do.
    """
    values = {"name": text_in(name)}
    return _not_given(transaction, [key_of(row) for row in transaction.execute(LOCK_LEFT, values)])


def _not_given(transaction: "PostgresTransaction", keys: list[ApiKey]) -> list[ApiKey]:
    """Return those of these keys, which are locked, that no node has or had lately."""
    ids = {"ids": [key.id for key in keys]}
    free = {number for (number,) in transaction.execute(NOT_GIVEN, ids)} if keys else set()
    return [key for key in keys if key.id in free]


def is_first(transaction: "PostgresTransaction") -> bool:
    """Return whether a key would be the first; nobody else makes that meanwhile."""
    transaction.execute(LOCK_FIRST)
    [(is_there,)] = transaction.execute(ANY_KEY)
    return not is_there


def find_user(
    transaction: "PostgresTransaction", name: str | None, new_id: UUID, now: datetime
) -> tuple[UUID, str]:
    """Return the id and the name of a user, who is made where there is none (None: the first user).

    Where two nodes make one of this name at once there is one: the later one waits for the other.
    """
    by_name = {"name": text_in(name or DEFAULT_USER)}
    query = FIRST_USER if name is None else USER_BY_NAME
    row = transaction.execute(query, by_name).fetchone()
    if row is None:
        transaction.execute(INSERT_USER, {**by_name, "id": new_id, "now": stored(now)})
        [row] = transaction.execute(USER_BY_NAME, by_name)
    return row[0], _text(row[1])


def make_key(
    transaction: "PostgresTransaction", new: NewKey, random: Random, now: datetime, by: Actor
) -> ApiKey:
    """Write a new key, and its user if there is none."""
    user_id, user = find_user(transaction, new.user, uuid7(now, random), now)
    key_id = uuid7(now, random)
    key = ApiKey(key_id, new.name, user_id, user, new.scope, new.digest, now, None, None)
    values = {
        "id": key.id,
        "user_id": key.user_id,
        "name": text_in(key.name),
        "scope": str(key.scope),
        "digest": key.digest,
        "now": stored(now),
    }
    transaction.execute(INSERT_KEY, values)
    note_key(transaction, by, Action.KEY_CREATE, key, now)
    return key


def revoke_key(transaction: "PostgresTransaction", key: ApiKey, now: datetime, by: Actor) -> ApiKey:
    """Revoke a key that is locked; return it, one that was revoked as it is."""
    if key.revoked_at is not None:
        return key
    transaction.execute(REVOKE, {"id": key.id, "now": stored(now)})
    note_key(transaction, by, Action.KEY_REVOKE, key, now)
    return replace(key, revoked_at=now)


def revoke_keys(
    transaction: "PostgresTransaction", keys: list[ApiKey], now: datetime
) -> list[ApiKey]:
    """Revoke keys that are locked, which an operator gave to booper and has taken back."""
    return [revoke_key(transaction, key, now, ADMINISTRATOR) for key in keys]


def key_of(row: Row) -> ApiKey:
    """Return a key of `KEY_COLUMNS`, with which the row begins."""
    return ApiKey(
        row[0],
        _text(row[1]),
        row[2],
        _text(row[3]),
        Scope(row[4]),
        row[5],
        loaded(row[6]),
        loaded_or_none(row[7]),
        loaded_or_none(row[8]),
    )


def _text(value: str) -> str:
    """Return a text of a column that is never NULL, as it was before `text_in`."""
    return text_out(value) or ""
