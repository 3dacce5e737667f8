"""What tells how a database is doing: its commits, its size, its readers."""

from collections.abc import Mapping
from typing import Final, Protocol

from booper.model.tally import MAX_KEPT, Tally

DURATION_LIMITS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZE_LIMITS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Commits:
    """The commits of this process: how long each took, and how many changes it held.

    `failures` are changes that the store could not write.
    """

    __slots__ = ("_durations", "_kept", "_sizes", "failures")

    def __init__(self) -> None:
        self._durations = Tally(DURATION_LIMITS)
        self._sizes = Tally(SIZE_LIMITS)
        self._kept: list[tuple[float, int]] = []
        self.failures = 0

    def note(self, seconds: float, changes: int, failures: int) -> None:
        """Note a commit of so many changes, and how many of them could not be written."""
        self._kept.append((seconds, changes))
        if len(self._kept) >= MAX_KEPT:
            self._count()
        self.failures += failures

    @property
    def durations(self) -> Tally:
        """Return the seconds that commits took."""
        self._count()
        return self._durations

    @property
    def sizes(self) -> Tally:
        """Return the numbers of changes of commits."""
        self._count()
        return self._sizes

    def _count(self) -> None:
        for seconds, changes in self._kept:
            self._durations.add(seconds)
            self._sizes.add(changes)
        self._kept.clear()


class Vitals(Protocol):
    """Vital signs of a database."""

    @property
    def commits(self) -> Commits:
        """Return what is known of the commits of this process."""

    def oldest_reader_seconds(self) -> float:
        """Return how long the oldest read of this process has been running, 0 if none is."""

    async def sizes(self) -> Mapping[str, int]:
        """Return the size of each part of the database in bytes.

        They are `file`, `log` (what is not yet written back to it) and `free`, the pages of the
        file that hold nothing.
        """

    async def disk_free(self) -> int | None:
        """Return how many bytes are free where the database is, None if it does not tell."""
