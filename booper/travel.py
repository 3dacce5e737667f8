"""Time travel: move a booper's clock, and let everything that falls due on the way happen first.

The clock goes from one due moment to the next, and stands still at each until all that is to happen
there has: attempts, their retries if due at once, reports, the next runs of schedules. All of it
is the engine's doing; nothing here sends or decides.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from booper.app import Booper
from booper.clock import VirtualClock
from booper.engine.observer import Observer
from booper.errors import Conflict
from booper.model.job import Attempt, Failed, Job, Kind, Outcome, Refused, Request, Responded, State

MAX_KEPT = 1_000

END = datetime(9000, 1, 1, tzinfo=UTC)
"""The clock goes no further: what is planned then must still have a date."""


_PAST_END = END + timedelta(days=1)


class Ran(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt that was made on the way, and what became of its job.

    `scheduled_at` is when it was due, `late` how long after that it began. `status` is what the
    target responded, `error` a short word where it did not.
    """

    job_id: int
    uuid: UUID
    schedule_id: UUID | None
    kind: Kind
    method: str
    url: str
    attempt: int
    scheduled_at: datetime
    late: timedelta
    duration: timedelta
    status: int | None
    error: str | None
    state: State


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """Where a journey went and what happened: `ran` in order, of many the first ones.

    `count` is how many there were in all, `states` how many of them left their job in which state.
    """

    began_at: datetime
    ended_at: datetime
    count: int
    states: Mapping[State, int]
    ran: Sequence[Ran]


class Travel:
    """The mover of a running booper's clock; a journey lists at most `max_kept` attempts.

    An exchange takes no time of this clock: a target that hangs is waited for in real time, for as
    long as its job's timeout says. What a paused host holds back stays there. One journey waits
    for the end of another.

    `is_gapless` has each journey tell what ran since the end of the one before, too: what is due
    at once may run before a journey begins or in it, and a test must not see the difference.
    """

    def __init__(
        self,
        booper: Booper,
        clock: VirtualClock,
        max_kept: int = MAX_KEPT,
        *,
        is_gapless: bool = False,
    ) -> None:
        self._booper = booper
        self._clock = clock
        self._max_kept = max_kept
        self._turn = asyncio.Lock()
        self._is_gapless = is_gapless
        self._journal = self._begin() if is_gapless else None

    async def by(self, duration: timedelta) -> Journey:
        """Advance time by a duration. Raises: Conflict, if it is negative or leads past `END`."""
        async with self._journey() as journal:
            now = self._clock.now()
            await self._go_to(now + duration if duration < END - now else _PAST_END)
        return journal.closed_at(self._clock.now())

    async def to(self, moment: datetime) -> Journey:
        """Advance time to a moment, which is reached when all that is due then is done.

        Raises: Conflict, if it has passed or lies behind `END`.
        """
        async with self._journey() as journal:
            await self._go_to(moment)
        return journal.closed_at(self._clock.now())

    async def run_next(self) -> Journey:
        """Advance time to the next moment at which something is sent, if anything waits."""
        async with self._journey() as journal:
            next_at = self._booper.next_at()
            while not journal.count and next_at is not None:
                await self._step(next_at)
                next_at = self._booper.next_at()
        return journal.closed_at(self._clock.now())

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Wait for the end of a journey, and let none begin meanwhile."""
        async with self._turn:
            yield

    def next_at(self) -> datetime | None:
        """Return the next moment at which something may be sent, None if nothing waits."""
        return self._booper.next_at()

    @asynccontextmanager
    async def _journey(self) -> AsyncIterator["_Journal"]:
        """Stop the clock, finish what is due already, and record what happens from then on."""
        async with self._turn:
            with self._clock.held():
                journal = self._journal or self._begin()
                try:
                    self._booper.begin_journey()
                    await self._booper.wait_idle()
                    yield journal
                finally:
                    self._booper.observers.remove(journal)
                    self._journal = self._begin() if self._is_gapless else None

    def _begin(self) -> "_Journal":
        journal = _Journal(self._clock.now(), self._max_kept)
        self._booper.observers.add(journal)
        return journal

    async def _go_to(self, moment: datetime) -> None:
        now = self._clock.now()
        if moment < now:
            raise Conflict(
                f"time only goes forward: it is {now.isoformat()}, got {moment.isoformat()}"
            )
        if moment > END:
            raise Conflict(f"time ends with the year {END.year - 1}: it is {now.isoformat()}")
        while (next_at := self._booper.next_at()) is not None and next_at <= moment:
            await self._step(next_at)
        await self._step(moment)

    async def _step(self, moment: datetime) -> None:
        now = self._clock.now()
        if moment > now:
            self._clock.set(moment)
            self._booper.travelled(moment - now)
        await self._booper.wait_idle()


class _Journal(Observer):
    """An observer that notes every attempt that comes to its end."""

    def __init__(self, began_at: datetime, max_kept: int) -> None:
        self._began_at = began_at
        self._max_kept = max_kept
        self._states: Counter[State] = Counter()
        self._ran: list[Ran] = []

    @property
    def count(self) -> int:
        """Return how many attempts were made so far."""
        return self._states.total()

    def closed_at(self, now: datetime) -> Journey:
        """Return what was noted."""
        return Journey(
            began_at=self._began_at,
            ended_at=now,
            count=self.count,
            states=self._states,
            ran=self._ran,
        )

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Count an attempt, and keep it while there is room."""
        self._states[job.state] += 1
        if len(self._ran) < self._max_kept:
            self._ran.append(ran(attempt, request, outcome, job))


def ran(attempt: Attempt, request: Request | None, outcome: Outcome, job: Job) -> Ran:
    """Put together what an observer was told of an attempt's end."""
    claimed = attempt.job
    status, error, duration = _result(outcome)
    return Ran(
        job_id=job.id,
        uuid=job.uuid,
        schedule_id=job.schedule_id,
        kind=job.kind,
        method=request.method if request else (attempt.args.method or "get").upper(),
        url=request.url if request else attempt.args.url,
        attempt=claimed.attempt,
        scheduled_at=claimed.scheduled_at,
        late=(claimed.attempted_at or claimed.scheduled_at) - claimed.scheduled_at,
        duration=duration,
        status=status,
        error=error,
        state=job.state,
    )


def _result(outcome: Outcome) -> tuple[int | None, str | None, timedelta]:
    match outcome:
        case Responded(response=response, duration=duration):
            return response.status, None, duration
        case Failed(error=error, duration=duration):
            return None, error, duration
        case Refused():
            return None, "refused", timedelta(0)
