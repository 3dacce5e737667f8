"""Due jobs that wait for a predecessor, whose end arms them.

What no longer waits, such as a cancelled run, is found out by the claim that follows `renew`.
"""

from collections.abc import Sequence

from booper.model.job import Job
from booper.store.values import Due, DueJob


class Held:
    """The jobs that claims have left waiting."""

    def __init__(self) -> None:
        self._held: dict[str, dict[int, Due]] = {}
        self._released: set[int] | None = None

    def claim_begins(self) -> None:
        """Note that a claim is asked for, which may find that jobs wait for a predecessor."""
        self._released = set()

    def claim_fails(self) -> None:
        """Note that the claim has failed."""
        self._released = None

    def note(self, held: Sequence[Job]) -> None:
        """Remember what a claim left waiting.

        What was released since it began is left out: the end of its predecessor was committed right
        behind the claim, and is known before the claim has returned.
        """
        released, self._released = self._released or (), None
        for job in held:
            if job.id not in released:
                self._held.setdefault(job.origin, {})[job.id] = Due.of(job)

    def release(self, due: Due) -> None:
        """Note that a job waits for its predecessor no longer, or never did."""
        if self._released is not None:
            self._released.add(due.id)
        if self._held:
            self._discard(due)

    def forget(self, taken: Sequence[DueJob]) -> None:
        """Note that jobs have been claimed."""
        if self._held:
            for each in taken:
                self._discard(each.due)

    def _discard(self, due: Due) -> None:
        if (held := self._held.get(due.origin)) is not None:
            held.pop(due.id, None)

    def renew(self) -> Sequence[Due]:
        """Forget what waits for a predecessor, and return it: it is to be claimed again."""
        held, self._held = self._held, {}
        return [due for of_origin in held.values() for due in of_origin.values()]

    def ids(self, origin: str) -> list[int]:
        """Return the numbers of an origin's jobs that wait for a predecessor."""
        return list(self._held.get(origin, ()))
