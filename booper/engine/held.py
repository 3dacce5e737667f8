"""Due jobs that wait for a predecessor, whose end arms them.

Whatever the table no longer has waiting, such as a cancelled run, is forgotten at `renew`.
"""

from collections.abc import Sequence

from booper.model.job import Job
from booper.store.values import Due, DueJob


class Held:
    """The jobs that claims have left waiting."""

    def __init__(self) -> None:
        self._ids_by_origin: dict[str, set[int]] = {}
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
                self._ids_by_origin.setdefault(job.origin, set()).add(job.id)

    def release(self, due: Due) -> None:
        """Note that a job waits for its predecessor no longer, or never did."""
        if self._released is not None:
            self._released.add(due.id)
        if self._ids_by_origin:
            self._discard(due)

    def forget(self, taken: Sequence[DueJob]) -> None:
        """Note that jobs have been claimed."""
        if self._ids_by_origin:
            for each in taken:
                self._discard(each.due)

    def _discard(self, due: Due) -> None:
        if (ids := self._ids_by_origin.get(due.origin)) is not None:
            ids.discard(due.id)

    def renew(self) -> None:
        """Forget what waits for a predecessor; the table is read again."""
        self._ids_by_origin = {}

    def ids(self, origin: str) -> list[int]:
        """Return the numbers of an origin's jobs that wait for a predecessor."""
        return list(self._ids_by_origin.get(origin, ()))
