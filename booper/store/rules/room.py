"""How many more jobs of each user may wait: `[limits] max_waiting`, exact within a transaction."""

from typing import Final
from uuid import UUID

from booper.errors import TooManyWaiting
from booper.model.job import OWN_KINDS, NewJob
from booper.model.schedule import NewSchedule
from booper.store.transaction import Transaction

RETRY_SECONDS: Final = 60
"""When a refused create may be tried again: jobs are sent or cancelled in the meantime."""


class Room:
    """What is left of the limit for each user, as creates of one transaction take it.

    It reads the kept counters once for each user. With a limit of 0 it reads nothing.
    """

    def __init__(self, transaction: Transaction, max_waiting: int) -> None:
        self._transaction = transaction
        self._max_waiting = max_waiting
        self._waiting: dict[UUID, int] = {}

    @property
    def is_limited(self) -> bool:
        """Return whether there is a limit at all."""
        return self._max_waiting > 0

    def take(self, new: NewJob | NewSchedule) -> TooManyWaiting | None:
        """Count a new job or schedule; return the error if no more of its user's may wait.

        booper's own reports are not counted.
        """
        if not self._max_waiting or (isinstance(new, NewJob) and new.kind not in OWN_KINDS):
            return None
        user_id = new.user_id
        if user_id not in self._waiting:
            self._waiting[user_id] = self._transaction.jobs.count_waiting(user_id)
        if self._waiting[user_id] >= self._max_waiting:
            return TooManyWaiting(
                f"{self._waiting[user_id]:,} of your jobs wait, and at most {self._max_waiting:,} "
                "may ([limits] max_waiting); cancel some, or try again later",
                RETRY_SECONDS,
            )
        self._waiting[user_id] += 1
        return None
