"""What the dashboard needs of a database: who is signed in.

A session is known by the SHA-256 of its token alone.
"""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from booper.model.session import Session


class Sessions(Protocol):
    """Sessions of the dashboard."""

    async def add(self, digest: bytes, key_id: UUID, now: datetime) -> None:
        """Store a session of a key; forget those that have not been used for `MAX_IDLE`."""

    async def find(self, digest: bytes) -> Session | None:
        """Return the session with this digest, whether it is still open or not, or None."""

    async def note_use(self, digest: bytes, now: datetime) -> None:
        """Note that a session was used."""

    async def remove(self, digest: bytes) -> None:
        """Forget a session, if it is there."""
