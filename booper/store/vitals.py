"""What tells how a database is doing: its commits, its size, its readers."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from booper.errors import StoreUnavailable
from booper.model.tally import Tally

DURATION_LIMITS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZE_LIMITS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Commits:
    """The commits of this process: how long each took, and how many changes it held.

    `failures` are changes that the store could not write.
    """

    __slots__ = ("durations", "failures", "sizes")

    def __init__(self) -> None:
        self.durations = Tally(DURATION_LIMITS)
        self.sizes = Tally(SIZE_LIMITS)
        self.failures = 0

    def note(self, seconds: float, problems: Sequence[BaseException | None]) -> None:
        """Note a commit of so many changes, each with what kept it from being written, or None."""
        self.durations.add(seconds)
        self.sizes.add(len(problems))
        if any(problems):
            self.failures += sum(isinstance(problem, StoreUnavailable) for problem in problems)


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

    async def disk_free(self) -> int:
        """Return how many bytes are free where the database is."""
