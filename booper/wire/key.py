"""API keys as the contract shows them (§2)."""

from uuid import UUID

import msgspec

from booper.model.key import ApiKey
from booper.wire.timestamps import precise, precise_or_none


class KeyResource(msgspec.Struct, frozen=True):
    """An API key without its secret; `last_used_at` is to the minute."""

    id: UUID
    name: str
    user: str
    user_id: UUID
    scope: str
    inserted_at: str
    revoked_at: str | None
    last_used_at: str | None


class NewKeyResource(msgspec.Struct, frozen=True):
    """A new key with its secret, which is shown this once."""

    id: UUID
    name: str
    user: str
    scope: str
    key: str


def key_resource(key: ApiKey) -> KeyResource:
    """Return a key as it is shown: without its secret."""
    return KeyResource(
        key.id,
        key.name,
        key.user,
        key.user_id,
        key.scope,
        precise(key.inserted_at),
        precise_or_none(key.revoked_at),
        precise_or_none(key.last_used_at),
    )
