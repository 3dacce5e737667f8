"""What booper needs of the keys in a database (`booper.store.base`)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from booper.model.audit import ADMINISTRATOR, Actor
from booper.model.key import ApiKey, NewKey


class Keys(Protocol):
    """API keys and the users they belong to. Keys are known by their SHA-256 alone."""

    async def create(self, new: NewKey, now: datetime, by: Actor = ADMINISTRATOR) -> ApiKey:
        """Store a key; a user of that name is made where there is none (None: the first user)."""

    async def create_first(
        self, new: NewKey, now: datetime, prepare: Callable[[], None]
    ) -> ApiKey | None:
        """Store a key if there has never been one; return None if there has.

        `prepare` is called before the key can be used. It may be called more than once.
        """

    async def ensure(self, new: NewKey, now: datetime) -> ApiKey:
        """Return the key of a digest; it is stored if there is none, and may be revoked.

        It is one that the operator gives to this process.
        """

    async def revoke_replaced(self, key: ApiKey, now: datetime) -> None:
        """Revoke the keys of the same name that a key of the operator has replaced.

        One that another process was given, too, is revoked an hour after the last of these ended.
        """

    async def revoke_left(self, name: str, now: datetime) -> None:
        """Revoke the keys of this name that the last node was given over an hour ago.

        A key that no node was ever given stays, and so do those of a database with one node.
        """

    async def list(self) -> Sequence[ApiKey]:
        """Return all keys, revoked ones too, in order of creation, with their last uses."""

    async def revoke(self, key_id: UUID, now: datetime, by: Actor = ADMINISTRATOR) -> ApiKey:
        """Revoke a key and return it; a revoked one unchanged. Raises: NotFound."""

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256 digest, revoked or not, or None."""

    def note_use(self, key: ApiKey, now: datetime) -> None:
        """Note in memory that a key is used now; the newest note counts, whatever its time."""

    async def write_uses(self) -> None:
        """Write the last uses that are new, if there are any. Raises: StoreUnavailable."""

    async def user(self, name: str, now: datetime) -> UUID:
        """Return the user of this name; one is made where there is none."""
