"""What attempts show to alerts: that an origin responds whose breaker was open in an earlier run.

Breakers are forgotten when booper stops, so until an attempt nobody knows.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from booper.engine.observer import Observer
from booper.model.job import Attempt, Job, Outcome, Request, Responded

LONGEST: Final = timedelta(hours=1)
"""How long to wait for an attempt: perhaps nothing is to be sent there any more."""


class AlertObserver(Observer):
    """What knows which origins were failing in an earlier run.

    `is_failing` returns whether an origin's last attempt has failed.
    """

    def __init__(self, is_failing: Callable[[str], bool]) -> None:
        self._is_failing = is_failing
        self._until: dict[str, datetime] = {}

    def carry(self, origins: Iterable[str], now: datetime) -> None:
        """Note origins whose breaker was open in an earlier run."""
        self._until |= dict.fromkeys(origins, now + LONGEST)

    def is_unknown(self, origin: str, now: datetime) -> bool:
        """Return whether nothing has shown yet whether an origin responds."""
        until = self._until.get(origin)
        return until is not None and now < until

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Forget an origin that responds."""
        if not self._until or not isinstance(outcome, Responded):
            return
        if job.origin in self._until and not self._is_failing(job.origin):
            del self._until[job.origin]
