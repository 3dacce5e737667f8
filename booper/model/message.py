"""Messages on channels."""

from datetime import datetime
from uuid import UUID

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message on a channel; `id` is time-ordered, `author` is None if nobody signed it."""

    id: UUID
    channel: str
    content: str
    author: str | None
    at: datetime
