"""What the loop needs of a database: the jobs that are due, claims, and results."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from booper.model.job import Job
from booper.model.waiting import Wait
from booper.store.values import (
    MAX_TIME,
    Admit,
    Ahead,
    Announce,
    AnnounceRescue,
    Claims,
    Due,
    DueJob,
    Scan,
    Settled,
    Settlement,
)


class Queue(Protocol):
    """Jobs as the loop sees them."""

    async def due(
        self,
        after: Due | None,
        limit: int,
        now: datetime = MAX_TIME,
        but_origins: Collection[str] = (),
    ) -> Scan:
        """Look at the next `limit` waiting jobs in order of time, those behind `after` if given.

        What is due at `now` for one of `but_origins` is left out.
        """

    async def due_of(
        self, origin: str, now: datetime, limit: int, but_ids: Collection[int] = ()
    ) -> Sequence[Due]:
        """Return an origin's jobs that are due, in order of time, but for some that are known."""

    async def probe_of(
        self, origin: str, now: datetime, but_ids: Collection[int], paths: Sequence[int]
    ) -> Due | None:
        """Return the oldest due job of an origin whose path is not among `paths`.

        If there is none: the oldest of the path that stands first there; None if none is due.
        """

    async def claim(
        self,
        due: Sequence[DueJob],
        now: datetime,
        announce: Announce,
        admit: Admit = Admit.NONE,
        waits: Mapping[int, Wait] = {},
    ) -> Claims:
        """Begin an attempt of each of these jobs that still waits for just that time and origin.

        One that waits for another by now is among the jobs to arm. A suspect (`Job.is_suspect`)
        begins only if `admit` says so; one that is alone may be blamed if the process dies.

        A schedule's run takes its turn here: the next one is planned with it, what was missed is
        logged. `now` is when the attempts begin; whether a time has come was asked when it left
        the timers, so that a clock stepped back meanwhile loses nothing. `waits` is what those that
        are late have waited for, by their numbers; it is kept with each that begins.
        """

    async def settle(self, settlement: Settlement) -> Settled:
        """Replace a claimed job by what its attempt made of it, with all that reports it.

        If the job has left that attempt meanwhile (it was cancelled), only the log entries are
        written.
        """

    async def release(self, claimed: Sequence[Job], due_at: datetime | None = None) -> None:
        """Release claimed jobs whose attempts were not made, not counting them.

        They are due again at `due_at`, or if it is None at the time they had.
        """

    async def newest(self) -> datetime | None:
        """Return when the newest log entry or job was written, None where there is none."""

    async def ahead(self, now: datetime) -> Ahead:
        """Return what may have been planned by a clock that was ahead and was set back to `now`."""

    async def replan(self, ahead: Ahead, now: datetime) -> Sequence[Job]:
        """Plan these schedules and retries by the clock as it is; return the jobs that moved."""

    async def accompany(self) -> None:
        """Note that the attempt that was alone is so no longer: others may begin after this."""

    async def rescue(self, now: datetime, announce: AnnounceRescue) -> int:
        """Make due again what owners that are gone have left; return how many jobs there were.

        Their attempts stay counted; a suspect that was alone is discarded.
        """
