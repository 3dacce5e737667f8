"""API keys: their form, and how a key is recognised without being stored."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

PREFIX = "sk_"
MIN_LENGTH = 16
MAX_NAME_LENGTH = 100
DEFAULT_USER = "default"


class Scope(StrEnum):
    """The permissions of a key; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def allows(self, wanted: "Scope") -> bool:
        """Return whether this scope includes the wanted one."""
        return _RANK[self] >= _RANK[wanted]


_RANK = {scope: rank for rank, scope in enumerate(Scope)}


class NewKey(msgspec.Struct, frozen=True):
    """A key to be stored; `user` None means the first user."""

    name: str
    user: str | None
    digest: bytes
    scope: Scope = Scope.WRITE


class ApiKey(msgspec.Struct, frozen=True):
    """A stored key, without the key itself.

    `last_used_at` is to the minute, None if it was not used since that is counted.
    """

    id: UUID
    name: str
    user_id: UUID
    user: str
    scope: Scope
    digest: bytes
    inserted_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


def minute_of(at: datetime) -> datetime:
    """Return a time to the minute, as `last_used_at` is kept."""
    return at.replace(second=0, microsecond=0)


def new_key(random_bytes: Callable[[int], bytes]) -> str:
    """Return a key of 256 random bits, which must come from the system's secure source."""
    return PREFIX + urlsafe_b64encode(random_bytes(32)).rstrip(b"=").decode()


def digest_of(key: str) -> bytes:
    """Return the SHA-256 of a key; 256 random bits need no slower hash."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def check_name(name: str) -> str:
    """Return the name of a key or a user if it can serve as one.

    Raises:
        ValueError: it is empty, too long, or cannot be printed.
    """
    if not (0 < len(name.strip()) <= MAX_NAME_LENGTH and name.isprintable()):
        raise ValueError(f"must have 1 to {MAX_NAME_LENGTH} printable characters")
    return name


def check_key(key: str) -> str:
    """Return a key that an operator chose if it can serve as one.

    Raises:
        ValueError: it lacks the prefix `sk_`, is short, or has characters no header carries.
    """
    is_sendable = key.isascii() and key.isprintable() and " " not in key
    if not key.startswith(PREFIX) or len(key) < MIN_LENGTH or not is_sendable:
        raise ValueError(
            f"a key begins with {PREFIX!r} and has at least {MIN_LENGTH} ASCII characters, "
            "no spaces or line breaks"
        )
    return key
