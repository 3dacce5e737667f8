"""Sessions: who is signed in to the dashboard, and until when."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from booper.model.key import ApiKey

MAX_IDLE: Final = timedelta(days=30)
"""A session that is not used for so long has ended."""

NOTED_EVERY: Final = timedelta(minutes=5)
"""How exactly `last_used_at` is kept: not each page that is read needs a write."""


class Session(msgspec.Struct, frozen=True):
    """A session of the dashboard, and the key with which it was opened."""

    key: ApiKey
    inserted_at: datetime
    last_used_at: datetime

    def is_open_at(self, now: datetime) -> bool:
        """Return whether it counts: its key is not revoked, and it was used lately."""
        return self.key.revoked_at is None and now - self.last_used_at < MAX_IDLE

    def is_noted_at(self, now: datetime) -> bool:
        """Return whether `last_used_at` is near enough; a clock that was set back moves it too."""
        return abs(now - self.last_used_at) < NOTED_EVERY
