"""The loop: wait for the next due time, claim, deliver, settle.

It owns which jobs are on their way. It decides nothing about them: `lifecycle` says what an outcome
means, the store says which claims hold, and what an attempt raises ends that attempt alone.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from booper.clock import EPOCH, Clock
from booper.engine.breakers import Breakers
from booper.engine.executor import STORE_PAUSE, Executor
from booper.engine.observer import Observers
from booper.engine.replanner import Replanner
from booper.engine.reports import Reports
from booper.engine.suspects import Suspects
from booper.engine.timers import Ready, Timers
from booper.errors import Shortage, StoreUnavailable
from booper.model.job import WAITING, Attempt, Job
from booper.store.base import ALL_HOSTS, Due, Seen, Store

log = logging.getLogger("booper")

# How long a stop waits for results to be written.
RECORDING_GRACE = timedelta(seconds=1)

# A due time that the loop has left in the timers for this long shows that it is stuck.
LATEST = timedelta(seconds=5)

# How often the table is asked again for what should have been in the timers: a create whose
# caller went away between its commit and its arming, a claim that was written but reported lost.
REREAD = timedelta(minutes=1)


class Scheduler:
    """Run jobs at their times until told to stop."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        reports: Reports,
        clock: Clock,
        *,
        concurrency: int,
        per_host: int,
        observers: Observers | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._reports = reports
        self._clock = clock
        self._observers = observers or Observers()
        self.breakers = Breakers()
        self._ready = Ready(concurrency, per_host, self.breakers)
        self._timers = Timers()
        self._suspects = Suspects()
        # When a job was first found due that then had to wait for its predecessor.
        self._first_seen: dict[int, datetime] = {}
        self._running: dict[asyncio.Task[None], Job] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._replanner = Replanner(store.queue, clock, self.arm, self._wake)
        self._idle = asyncio.Event()
        self._ended = asyncio.Event()
        self._reread_at = clock.now() + REREAD
        self._is_stopping = False
        self._is_looping = False

    @property
    def is_running(self) -> bool:
        """Say whether the loop is there to send what falls due, and does."""
        next_at = self._timers.next_at
        is_behind = next_at is not None and next_at < self._clock.now() - LATEST
        return self._is_looping and not self._is_stopping and not is_behind

    def arm(self, *jobs: Job) -> None:
        """Make the loop see jobs that were just written, those of them that wait."""
        for job in jobs:
            if job.state not in WAITING:
                continue
            if self._timers.arm(Due(job.scheduled_at, job.id, job.host)):
                self._wake.set()
            self._observers.armed(job)

    def reread(self) -> None:
        """Read anew from the table what waits, at the next step; only then the loop is idle."""
        self._reread_at = EPOCH
        self._wake.set()

    def skipped(self, duration: timedelta) -> None:
        """Do not count a duration by which the clock was moved on purpose towards a re-read.

        No call can have been lost in it, and with many waiting jobs a re-read costs more than a
        run.
        """
        self._reread_at += duration

    def pause(self, host: str) -> None:
        """Send nothing to a host (or to `ALL_HOSTS`) until it is resumed."""
        self._ready.pause(host)

    def resume(self, host: str) -> None:
        """Send to a host again, also to one that failed.

        What fell due during a pause counts as missed, not as late.
        """
        if host == ALL_HOSTS:
            self.breakers.close_all()
        else:
            self.breakers.close(host)
        self._ready.resume(host, self._clock.now())
        self._wake.set()

    async def wait_idle(self) -> None:
        """Return once nothing that may go is due now, and nothing is on its way.

        Raises: StoreUnavailable, if the loop ends before.
        """
        if not self._ended.is_set():
            self._idle.clear()
            self._wake.set()
            await self._idle.wait()
        if self._ended.is_set():
            raise StoreUnavailable("booper is stopping")

    def start(self) -> asyncio.Task[None]:
        """Send what falls due until `stop`, from now on; return the loop, which ends then.

        It is running before its first turn comes: a call may be answered earlier than that.
        """
        self._is_looping = True
        return asyncio.create_task(self._loop(), name="scheduler")

    async def stop(self, grace: timedelta) -> None:
        """Claim no more, give running attempts `grace` of real time, and give back the rest.

        What is given back is due again at the next start, its attempt not counted.
        """
        self._is_stopping = True
        self._wake.set()
        # A claim may be under way; what it begins is to have its grace as well.
        with suppress(TimeoutError):
            async with asyncio.timeout(max(grace, RECORDING_GRACE).total_seconds()):
                await self._ended.wait()
        await _wait(self._running, grace)
        left = {task: job for task, job in self._running.items() if task in self._sending}
        for task in left:
            task.cancel()
        # What has its outcome already is only being recorded; cutting that off would send the
        # request again. The bound is for a store that cannot write.
        await _wait(self._running, RECORDING_GRACE)
        for task in self._running:
            task.cancel()
        released = [job for task, job in left.items() if task.cancelled()]
        if released:
            log.info("%d running attempts were given back", len(released))
            await self._store.queue.release(released)

    async def _loop(self) -> None:
        """Go round until `stop`; first make due again what a crash cut off."""
        try:
            for host in await self._store.pauses.list():
                self._ready.pause(host)
            await self._rescue()
            await self._replanner.start()
            while not self._is_stopping:
                # Cleared before the timers are looked at: a wake-up that comes while we look
                # is then kept, not lost.
                self._wake.clear()
                try:
                    await self._step()
                except StoreUnavailable as error:
                    log.error("the loop waits for the store: %s", error)
                    await self._clock.pause(STORE_PAUSE)
        finally:
            self._is_looping = False
            await self._replanner.stop()
            self._ended.set()
            self._idle.set()  # or who waits for that would wait for ever

    async def _rescue(self) -> None:
        rescued = await self._store.queue.rescue(self._clock.now(), self._reports.cut_off)
        if rescued:
            log.warning("%d attempts were cut off by the last stop and are due again", rescued)

    async def _step(self) -> None:
        """Start everything that can start now; wait if that was nothing."""
        now = self._clock.now()
        self._look_at_clock(now)
        if self._timers.wants_refill:
            await self._refill()
        for host in self._ready.hungry():
            await self._refill_host(host)
        now = self._clock.now()
        for due in self._timers.pop_due(now):
            self._ready.put(Seen(due, self._first_seen.get(due.id, now)))
        suspects = self._suspects
        if suspects.stops_others(now):
            if suspects and not self._running:
                await self._start_suspect(now)
                return
        elif taken := self._ready.take(now):
            await self._start(taken)
            return
        is_blocked = self._ready.has_open(now) or suspects.stops_others(now)
        is_blocked = is_blocked or self._replanner.is_busy
        if not self._running and not is_blocked and now < self._reread_at:
            self._idle.set()
        next_at = self.next_at(now)
        until = self._reread_at if next_at is None else min(next_at, self._reread_at)
        await self._clock.wait(self._wake, until)

    def _look_at_clock(self, now: datetime) -> None:
        """Read the table anew once a minute, and whenever the clock was set back."""
        if self._replanner.check():
            self._first_seen = {number: min(at, now) for number, at in self._first_seen.items()}
            self._ready.forget()
            self._reread_at = now
        if not self._reread_at - REREAD <= now < self._reread_at:
            self._timers.forget()
            self._reread_at = now + REREAD

    def next_at(self, now: datetime) -> datetime | None:
        """Return when there may be something to send next, None if nothing waits for a time."""
        # A suspect whose turn has come waits for the last of the others to end, which wakes us;
        # to wait for a moment that has passed would be to go round without letting it end.
        suspects = self._suspects
        moments = (
            self._timers.next_at,
            None if suspects.stops_others(now) else suspects.turn_at,
            self._ready.next_probe_at(now),
        )
        return min((moment for moment in moments if moment is not None), default=None)

    async def _refill(self) -> None:
        after, limit = self._timers.refill_begins()
        found: Sequence[Due] | None = None
        try:
            found = await self._store.queue.due(after, limit)
        finally:
            self._timers.refill_ends(found)

    async def _refill_host(self, host: str) -> None:
        """Take a host's due jobs from the table, but for those that wait for a predecessor."""
        now = self._clock.now()
        held = self._first_seen
        # So many more that the held ones neither hide the others nor make the answer look short.
        found = await self._store.queue.due_of(host, now, self._ready.room + len(held))
        self._ready.refill(host, [due for due in found if due.id not in held], now)

    async def _start_suspect(self, now: datetime) -> None:
        """Set a suspect on its way, while nothing else is."""
        seen = self._suspects.take(now)
        self._ready.occupy(seen.due.host)
        try:
            await self._start([seen], alone=True)
        finally:
            if not self._running:  # it was cancelled meanwhile, or the store cannot be used
                self._suspects.ended(self._clock.now())

    async def _start(self, taken: Sequence[Seen], *, alone: bool = False) -> None:
        """Claim jobs in one transaction and set each on its way."""
        now = self._clock.now()
        try:
            claims = await self._store.queue.claim(taken, now, self._executor.announce, alone=alone)
        except StoreUnavailable:
            for seen in taken:
                self._ready.free(seen.due.host)
                self._timers.arm(seen.due)
            raise
        begun = {attempt.job.id for attempt in claims.begun}
        for seen in taken:
            self._first_seen.pop(seen.due.id, None)
            # A job that the timers named twice has begun once; its second slot is free again.
            if seen.due.id in begun:
                begun.remove(seen.due.id)
            else:
                self._ready.free(seen.due.host)
        self._first_seen |= {seen.due.id: seen.at for seen in claims.seen}
        for seen in claims.suspects:
            self._suspects.add(seen)
        self.arm(*claims.armed)
        for attempt in claims.begun:
            task = asyncio.create_task(self._attempt(attempt), name=f"job {attempt.job.id}")
            self._running[task] = attempt.job
            self._sending.add(task)
            task.add_done_callback(self._finished)

    async def _attempt(self, attempt: Attempt) -> None:
        """Make one attempt and record what came of it."""
        task = asyncio.current_task()
        assert task is not None
        try:
            executed = await self._executor.execute(attempt)
            self.breakers.record(attempt.job.host, executed.outcome, self._clock.now())
        except Shortage as shortage:
            self.arm(await self._executor.give_back(attempt, shortage))
            return
        finally:
            self._sending.discard(task)  # from here on a stop may not cut it off
            # The next job's claim is then written with this one's result.
            self._ready.free(attempt.job.host)
            self._wake.set()
        settled = await self._executor.record(executed)
        self.arm(settled.job, *settled.armed)

    def _finished(self, task: asyncio.Task[None]) -> None:
        job = self._running.pop(task)
        if not self._running:
            self._suspects.ended(self._clock.now())
            self._wake.set()  # somebody may wait for the loop to be idle, or a suspect
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("job %d: its attempt could not be recorded", job.id, exc_info=error)


async def _wait(tasks: Iterable[asyncio.Task[None]], at_most: timedelta) -> None:
    pending = set(tasks)
    if pending:
        await asyncio.wait(pending, timeout=at_most.total_seconds())
