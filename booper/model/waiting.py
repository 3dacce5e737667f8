"""Why a due job is not sent at once: values only."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

KEPT_AFTER: Final = timedelta(seconds=1)
"""How late an attempt must begin for the reason to be kept."""


class Reason(StrEnum):
    """The reason for which a due job waits.

    STOPPED: booper was stopped, its machine slept, or its store could not be used. ALONE: it may
    have killed the process, and is sent with nothing else on its way.
    """

    SLOT = "slot"
    BREAKER = "breaker"
    PAUSE = "pause"
    PREDECESSOR = "predecessor"
    STOPPED = "stopped"
    ALONE = "alone"


class Wait(msgspec.Struct, frozen=True, gc=False):
    """A wait of a due job: its reason, its beginning and its target; empty where none is meant."""

    reason: Reason
    since: datetime
    target: str = ""


class KeptWait(msgspec.Struct, frozen=True, gc=False):
    """The last wait of an attempt before it began."""

    job_id: int
    attempt: int
    wait: Wait
    until: datetime
