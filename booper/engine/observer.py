"""Who watches the engine: told what it does, as it does it, with no say in it.

For consoles, time travel and tests. An observer is called in the loop's own thread, between two
steps of it, and must be quick and raise nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from booper.model.job import Attempt, Job, Outcome, Request


class Observer:
    """Something that is called for every job when it waits, is sent, and is settled.

    A class of this one has the methods for what it watches; nobody pays for the others.
    """

    def armed(self, job: Job) -> None:
        """Note that a job was just written that waits for its time: a new one, or once more."""

    def sent(self, attempt: Attempt, request: Request) -> None:
        """Note that an attempt's request is about to leave, as it leaves."""

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Note what came of an attempt, once that is written; `job` is the job after it.

        `request` is None where it could not be built.
        """


class Observers:
    """All observers, as one."""

    def __init__(self) -> None:
        self._watching: list[Observer] = []
        self._of_armed: list[Observer] = []
        self._of_sent: list[Observer] = []
        self._of_settled: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Add an observer, until it is removed."""
        self._watching.append(observer)
        self._note_methods()

    def remove(self, observer: Observer) -> None:
        """Remove an observer."""
        self._watching.remove(observer)
        self._note_methods()

    def _note_methods(self) -> None:
        watching = self._watching
        self._of_armed = [it for it in watching if type(it).armed is not Observer.armed]
        self._of_sent = [it for it in watching if type(it).sent is not Observer.sent]
        self._of_settled = [it for it in watching if type(it).settled is not Observer.settled]

    @contextmanager
    def watching(self, observer: Observer) -> Iterator[None]:
        """Add an observer until the end of the block."""
        self.add(observer)
        try:
            yield
        finally:
            self.remove(observer)

    def armed(self, job: Job) -> None:
        """Pass it on."""
        for observer in self._of_armed:
            observer.armed(job)

    def sent(self, attempt: Attempt, request: Request) -> None:
        """Pass it on."""
        for observer in self._of_sent:
            observer.sent(attempt, request)

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Pass it on."""
        for observer in self._of_settled:
            observer.settled(attempt, request, outcome, job)
