"""API keys as the contract shows them (§2)."""

import json
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec.structs import fields

from booper.model.key import ApiKey, Scope
from booper.wire.key import NewKeyResource, key_resource

AT = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


def test_a_key_is_described_and_not_shown() -> None:
    """Neither the key nor its digest leaves again."""
    key = ApiKey(
        id=UUID("5b0e3f0a-32a5-4c1f-9d57-0f6b1c5de8f1"),
        name="deploy",
        user_id=UUID("bd2aa099-6eb7-4dbb-9178-32141def1355"),
        user="default",
        scope=Scope.WRITE,
        digest=b"digest",
        inserted_at=AT,
        revoked_at=None,
        last_used_at=AT,
    )
    assert json.loads(msgspec.json.encode(key_resource(key))) == {
        "id": "5b0e3f0a-32a5-4c1f-9d57-0f6b1c5de8f1",
        "name": "deploy",
        "user": "default",
        "user_id": "bd2aa099-6eb7-4dbb-9178-32141def1355",
        "scope": "write",
        "inserted_at": "2030-01-01T12:00:00.000000Z",
        "revoked_at": None,
        "last_used_at": "2030-01-01T12:00:00.000000Z",
    }


def test_a_new_key_is_shown() -> None:
    """Its create's response is the only place."""
    assert [field.name for field in fields(NewKeyResource)] == [
        "id",
        "name",
        "user",
        "scope",
        "key",
    ]
