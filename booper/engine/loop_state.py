"""How the loop is doing at one moment, for whoever watches it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from booper.model.breaker import Breaker
from booper.store.values import Pause


class LoopState(msgspec.Struct, frozen=True, kw_only=True):
    """The loop at one moment.

    `in_flight` are the attempts to each origin, `slots` how many there may be in all. `oldest_at`
    is since when the first job is due that nothing holds back: no pause, no breaker, no other jobs
    to its origin. `age_seconds` is how long ago the loop last looked at what is due: it does so at
    least once a minute.
    """

    in_flight: Mapping[str, int]
    slots: int
    breakers: Sequence[Breaker]
    pauses: Sequence[Pause]
    oldest_at: datetime | None
    age_seconds: float
    is_sending: bool
