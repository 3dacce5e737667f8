"""The jobs that memory knows to be waiting, and which of them may go now.

It owns the timers, the queues of due jobs, those that wait for another, suspects and breakers, and
reads the table where they run low: the table is the truth. It claims and sends nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from booper.clock import Clock, Signal
from booper.engine.breakers import Breakers
from booper.engine.held import Held
from booper.engine.looks import Looks
from booper.engine.loop_state import LoopState
from booper.engine.ready import Ready
from booper.engine.shared_origins import SharedOrigins
from booper.engine.suspects import Suspects
from booper.engine.timers import Timers
from booper.engine.waits import Waits
from booper.model.job import WAITING, Job, Outcome
from booper.model.origin import names_of
from booper.model.waiting import Reason, Wait
from booper.store.base import Store
from booper.store.sharing import Notice
from booper.store.values import ALL_TARGETS, Claims, Due, DueJob, Scan

# A job that may go, but has waited for this long, shows that the loop is stuck or cannot keep up.
MAX_WAIT = timedelta(seconds=5)


class Backlog:
    """Waiting jobs, in the order in which they may go."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._queue = store.queue
        self._looks = Looks(now, are_shared=store.sharing is not None)
        self.breakers = Breakers(are_shared=store.sharing is not None)
        self.ready = Ready(store.limits, self.breakers)
        self.waits = Waits(self.ready.pauses, self.breakers)
        self.suspects = Suspects(self.ready.may_go)
        self._shared: SharedOrigins | None = None
        if store.sharing is not None:
            self._shared = SharedOrigins(store.sharing, self.breakers, self.ready, self.waits)
        self._timers = Timers()
        self._held = Held()

    # --- what comes in ---

    def arm(self, job: Job) -> bool:
        """Add a waiting job that was just written; return whether it is now the first due."""
        due = Due.of(job)
        self._held.release(due)
        return self._timers.arm(due)

    def hear(self, notice: Notice, now: datetime) -> bool:
        """Add due jobs that another node tells of; return whether the loop must look again.

        Where there are more, the table is read again soon, unless there is enough to do meanwhile.
        """
        first = [due for due in notice.due if self._timers.arm(due)]
        if is_sooner := notice.are_more and not self.ready.has_open():
            self._looks.come_sooner(now)
        return bool(first) or is_sooner

    def claim_begins(
        self, taken: Sequence[DueJob], now: datetime, *, alone: bool
    ) -> Mapping[int, Wait]:
        """Note that a claim is asked for; what is armed before its end goes on top of it.

        Return what those that are late have waited for, by their numbers.
        """
        self._held.claim_begins()
        return self.waits.of_taken(taken, now, alone=alone)

    def return_claimed(self, taken: Sequence[DueJob]) -> None:
        """Take back what could not be claimed."""
        self._held.claim_fails()
        for seen in taken:
            self.ready.free(seen.due.origin)
            self._timers.arm(seen.due)

    def note(self, taken: Sequence[DueJob], claims: Claims, now: datetime) -> None:
        """Note what became of jobs that were taken; free the slots of those that did not begin."""
        self._held.forget(taken)
        if len(claims.begun) < len(taken):
            self._free_unused(taken, claims)
        self._held.note(claims.held)
        if self.ready.elsewhere:
            for attempt in claims.begun:
                self.ready.elsewhere.admitted(attempt.job.origin)
        for seen in reversed(claims.refused):
            self.ready.put_back(seen, now)
        for suspect in claims.suspects:
            self.suspects.add(suspect)

    def _free_unused(self, taken: Sequence[DueJob], claims: Claims) -> None:
        """Free the slots of jobs that did not begin.

        A job that the timers named twice has begun once; its second slot is free again.
        """
        begun = {(attempt.job.id, attempt.job.origin) for attempt in claims.begun}
        for seen in taken:
            if (seen.due.id, seen.due.origin) in begun:
                begun.remove((seen.due.id, seen.due.origin))
            else:
                self.ready.free(seen.due.origin)

    # --- what the table has ---

    async def read(self, now: datetime) -> None:
        """Read from the table what is wanted by now, in a bounded step.

        Raises: StoreUnavailable.
        """
        if self._looks.is_due(now):
            self.reread(self._looks.begin(now))
        if self._shared is not None and self.breakers.have_changed:
            await self.share(now)
        if self._wants_timers:
            await self._read_timers(now)
        for origin in self.ready.origins_to_refill():
            await self._refill(origin, now)
        for origin in self.ready.probing.pop_due(now):
            await self._find_probe(origin, now)

    def queue_due(self, now: datetime) -> None:
        """Queue what is due by now, when the table was read."""
        self._looks.ended(now)
        self.ready.ask_again(now)
        if not self.ready.pauses.is_total:
            for due in self._timers.pop_due(now):
                self.ready.put(DueJob(due, now))

    def reread(self, since: datetime | None = None) -> None:
        """Start to read the table again, for jobs that were missed and are due since then."""
        self._timers.sweep(since)
        for due in self._held.renew():
            self._timers.arm(due)

    def clock_set_back(self) -> None:
        """Forget what was found due by a clock that was ahead; the table has it."""
        self.ready.forget()
        self.reread()

    def put_off_reread(self, duration: timedelta) -> None:
        """Postpone the next look at the table by this duration."""
        self._looks.put_off(duration)

    @property
    def wants_slot(self) -> bool:
        """Return whether there may be something to do now that a slot has become free."""
        return self.ready.has_open() or bool(self.suspects) or bool(self.ready.probing.next_at())

    @property
    def wants_read(self) -> bool:
        """Return whether more may be due in parts of the table that are to be read."""
        return self._wants_timers or bool(self.ready.origins_to_refill())

    @property
    def _wants_timers(self) -> bool:
        return self._timers.wants_read and not self.ready.is_full

    async def _read_timers(self, now: datetime) -> None:
        after, limit = self._timers.read_begins()
        self._looks.read(now)
        scan: Scan | None = None
        try:
            scan = await self._queue.due(after, limit, now, self.ready.partial())
        finally:
            self._timers.read_ends(scan)

    async def _refill(self, origin: str, now: datetime) -> None:
        """Queue an origin's due jobs from the table, except those that wait for another job."""
        wanted = self.ready.wanted(origin)
        known = [*self.ready.queued_ids(origin), *self._waiting_ids(origin)]
        found = await self._queue.due_of(origin, now, wanted, known)
        self.ready.refill(origin, found, wanted, now)

    async def _find_probe(self, origin: str, now: datetime) -> None:
        known, paths = self._waiting_ids(origin), self.breakers.paths(origin)
        self.ready.probe(origin, await self._queue.probe_of(origin, now, known, paths), now)

    def _waiting_ids(self, origin: str) -> list[int]:
        """Return the jobs of an origin that wait for another one, or as suspects."""
        return [*self._held.ids(origin), *self.suspects.ids()]

    # --- what is held back ---

    def resume(self, target: str, now: datetime) -> None:
        """Send to a target again, also to one that failed.

        What fell due during a pause counts as missed, not as late.
        """
        self.reset_breakers(target, now)
        self.waits.pause_ended(target, now)
        self.ready.resume(target)

    def reset_breakers(self, target: str, now: datetime) -> list[str]:
        """Send to a target as if it had never failed; return the origins that were only probed."""
        opened = self.breakers.open()
        if target != ALL_TARGETS:
            opened = [breaker for breaker in opened if target in names_of(breaker.origin)]
        for breaker in opened:
            self.breakers.close(breaker.origin)
            self.waits.breaker_ended(breaker, now)
            self.ready.consider(breaker.origin)
        return [breaker.origin for breaker in opened]

    async def share(self, now: datetime) -> None:
        """Exchange with other nodes, if there are any, what holds for all of them.

        Raises: StoreUnavailable.
        """
        if self._shared is not None:
            await self._shared.share(now)

    def record(self, job: Job, outcome: Outcome, now: datetime) -> None:
        """Record the outcome of a request, which tells whether its origin works."""
        before = self.breakers.find(job.origin)
        self.breakers.record(job.origin, job.path, outcome, now)
        if before is not None and not self.breakers.is_open(job.origin):
            self.waits.breaker_ended(before, now)

    def wait_of(self, job: Job, now: datetime) -> Wait | None:
        """Return what a job waits for beside its time, None if that is nothing."""
        if job.state not in WAITING or job.scheduled_at > now:
            return None
        if job.held_since is not None or job.id in self._held.ids(job.origin):
            return Wait(Reason.PREDECESSOR, job.held_since or job.scheduled_at)
        if job.id in self.suspects.ids():
            return Wait(Reason.ALONE, job.scheduled_at)
        return self.waits.of(Due.of(job), now)

    # --- when ---

    def next_at(self, now: datetime) -> datetime | None:
        """Return when there may be something to send next, None if nothing waits for a time."""
        ready = self.ready
        moments = [ready.probing.next_at(), ready.elsewhere.next_at()]
        moments += [self._next_timer, self.suspects.next_at(now)]
        return min((moment for moment in moments if moment is not None), default=None)

    async def wait(self, clock: Clock, wake: Signal, now: datetime) -> None:
        """Wait until there may be something to do, or `wake` is set."""
        wake_at = self.wake_at(now)
        await clock.wait(wake, wake_at)
        self.waits.woke(wake_at, clock.now())

    def wake_at(self, now: datetime) -> datetime:
        """Return when the loop must look again at the latest."""
        next_at = self.next_at(now)
        look_at = self._looks.next_at
        return look_at if next_at is None else min(next_at, look_at)

    def is_behind(self, now: datetime) -> bool:
        """Return whether a job that may go has waited for over `MAX_WAIT`."""
        oldest_at = self.oldest_at(now)
        return oldest_at is not None and oldest_at < now - MAX_WAIT

    def oldest_at(self, now: datetime) -> datetime | None:
        """Return since when the first due job that may go has waited, None if none is due."""
        moments = [self.ready.oldest_at(), self._next_timer]
        return min((at for at in moments if at is not None and at <= now), default=None)

    def state(self, now: datetime, *, age_seconds: float, is_sending: bool) -> LoopState:
        """Return how the loop is doing that looked at this backlog last `age_seconds` ago."""
        return LoopState(
            in_flight=dict(self.ready.in_flight),
            slots=self.ready.slots,
            breakers=self.breakers.open(),
            pauses=self.ready.pauses.list(),
            oldest_at=self.oldest_at(now),
            age_seconds=age_seconds,
            is_sending=is_sending,
        )

    @property
    def _next_timer(self) -> datetime | None:
        """Return when the next job is due, None if everything is paused."""
        return None if self.ready.pauses.is_total else self._timers.next_at
