"""Due jobs that wait for a predecessor, and since when the loop has known them to be due.

What a job waits for after it was found due is no lateness, so its first finding is kept. Whatever
the table no longer has waiting, such as a cancelled run, is forgotten at the second `renew`.
"""

from collections.abc import Sequence
from datetime import datetime

from booper.store.values import Claims, Due, DueJob


class Held:
    """What claims have said of jobs that could not begin."""

    def __init__(self) -> None:
        self._ids_by_origin: dict[str, set[int]] = {}
        self._seen: dict[int, DueJob] = {}
        self._seen_before: dict[int, DueJob] = {}

    def note(self, claims: Claims) -> None:
        """Remember what a claim left waiting."""
        for seen in claims.seen:
            self._seen[seen.due.id] = seen
        for seen in claims.held:
            self._ids_by_origin.setdefault(seen.due.origin, set()).add(seen.due.id)

    def release(self, due: Due) -> None:
        """Note that a job waits for its predecessor no longer, or never did."""
        if (ids := self._ids_by_origin.get(due.origin)) is not None:
            ids.discard(due.id)

    def forget(self, taken: Sequence[DueJob]) -> None:
        """Note that jobs have been claimed."""
        if not (self._ids_by_origin or self._seen or self._seen_before):
            return
        for seen in taken:
            self.release(seen.due)
            self._seen.pop(seen.due.id, None)
            self._seen_before.pop(seen.due.id, None)

    def renew(self) -> None:
        """Forget what waits for a predecessor; the table is asked anew."""
        self._ids_by_origin = {}
        self._seen_before, self._seen = self._seen, {}

    def clock_set_back(self, now: datetime) -> None:
        """Move what was found due by a clock that was ahead to now."""
        for seen in (self._seen, self._seen_before):
            seen.update({number: DueJob(one.due, min(one.at, now)) for number, one in seen.items()})

    def ids(self, origin: str) -> list[int]:
        """Return the numbers of an origin's jobs that wait for a predecessor."""
        return list(self._ids_by_origin.get(origin, ()))

    def seen(self, due: Due, now: datetime) -> DueJob:
        """Return a due job with when it was first found so: before, or at `now`."""
        if self._seen or self._seen_before:
            known = self._seen.get(due.id) or self._seen_before.get(due.id)
            if known is not None and known.due == due:
                return known
        return DueJob(due, now)
