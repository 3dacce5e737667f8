"""The loop: wait for the next due time, claim, deliver, settle.

It owns which jobs are on their way. It decides nothing about them: `lifecycle` says what an outcome
means, the store says which claims hold, and what an attempt raises ends that attempt alone.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from booper.clock import Clock
from booper.engine.delivery import Delivery
from booper.engine.timers import Ready, Timers
from booper.errors import StoreUnavailable
from booper.model import lifecycle, outgoing
from booper.model.duration import parse_duration
from booper.model.event import NewEntry, entries_of
from booper.model.job import WAITING, Answered, Attempt, Failed, Job, Outcome, Refused
from booper.model.retry import Backoff
from booper.store.base import Due, Store

log = logging.getLogger("booper")

# How long to leave the store alone after it could not be used.
STORE_PAUSE = timedelta(seconds=1)

# How long a stop waits for results to be written.
RECORDING_GRACE = timedelta(seconds=1)

# Due jobs waiting for a slot that are kept in memory before the window is refilled again.
MOST_READY = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for every attempt unless its job says otherwise."""

    concurrency: int
    per_host: int
    timeout: timedelta
    backoff: Backoff
    user_agent: str


class Scheduler:
    """Run jobs at their times until told to stop."""

    def __init__(
        self, store: Store, delivery: Delivery, clock: Clock, random: Random, limits: Limits
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._clock = clock
        self._random = random
        self._limits = limits
        self._timers = Timers()
        self._ready = Ready(limits.concurrency, limits.per_host)
        self._running: dict[asyncio.Task[None], Job] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_stopping = False
        self._is_looping = False

    @property
    def is_running(self) -> bool:
        """Say whether the loop is there to send what falls due."""
        return self._is_looping and not self._is_stopping

    def arm(self, job: Job) -> None:
        """Make the loop see a job that was just written, if it waits."""
        if job.state in WAITING:
            self._timers.arm(Due(job.scheduled_at, job.id, job.host))
            self._wake.set()

    async def wait_idle(self) -> None:
        """Return once nothing is due at the clock's present time and nothing is on its way."""
        self._idle.clear()
        self._wake.set()
        await self._idle.wait()

    async def run(self) -> None:
        """Send what falls due until `stop`; first make due again what a crash cut off."""
        self._is_looping = True
        try:
            await self._rescue()
            while not self._is_stopping:
                # Cleared before the timers are looked at: a wake-up that comes while we look
                # is then kept, not lost.
                self._wake.clear()
                try:
                    await self._step()
                except StoreUnavailable as error:
                    log.error("the loop waits for the store: %s", error)
                    await self._clock.wait(asyncio.Event(), self._clock.now() + STORE_PAUSE)
        finally:
            self._is_looping = False

    async def stop(self, grace: timedelta) -> None:
        """Claim no more, give running attempts `grace` of real time, and give back the rest.

        What is given back is due again at the next start, its attempt not counted.
        """
        self._is_stopping = True
        self._wake.set()
        await _wait(self._running, grace)
        left = {task: self._running[task] for task in self._sending}
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
            await self._store.jobs.release(released)

    async def _rescue(self) -> None:
        rescued = await self._store.jobs.rescue(self._clock.now())
        if rescued:
            log.warning("%d attempts were cut off by the last stop and are due again", rescued)

    async def _step(self) -> None:
        """Start everything that can start now; wait if that was nothing."""
        if self._timers.wants_refill and len(self._ready) < MOST_READY:
            await self._refill()
        for due in self._timers.pop_due(self._clock.now()):
            self._ready.put(due)
        taken = self._ready.take()
        if taken:
            await self._start(taken)
            return
        if not self._running and not self._ready:
            self._idle.set()
        await self._clock.wait(self._wake, self._timers.next_at)

    async def _refill(self) -> None:
        after, limit = self._timers.refill_begins()
        found: Sequence[Due] | None = None
        try:
            found = await self._store.jobs.due(after, limit)
        finally:
            self._timers.refill_ends(found)

    async def _start(self, taken: Sequence[Due]) -> None:
        """Claim jobs in one transaction and set each on its way."""
        try:
            claimed = await self._store.jobs.claim(taken, self._clock.now())
        except StoreUnavailable:
            for due in taken:
                self._ready.free(due.host)
                self._timers.arm(due)
            raise
        begun = {job.id for job in claimed}
        for due in taken:
            # A job that the timers named twice has begun once; its second slot is free again.
            if due.id in begun:
                begun.remove(due.id)
            else:
                self._ready.free(due.host)
        for job in claimed:
            task = asyncio.create_task(self._attempt(job), name=f"job {job.id}")
            self._running[task] = job
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        job = self._running.pop(task)
        self._ready.free(job.host)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("job %d: its attempt could not be recorded", job.id, exc_info=error)

    async def _attempt(self, job: Job) -> None:
        """Make one attempt and record what came of it."""
        attempt = Attempt.of(job)
        try:
            outcome = await self._send(attempt)
            decision = self._decide(attempt, outcome)
        # Whatever a job makes our own code raise must end that attempt only, never the loop.
        except Exception as error:
            log.exception("job %d: attempt %d failed inside booper", job.id, job.attempt)
            outcome = Failed("internal", f"{type(error).__name__}: {error}", timedelta(0))
            decision = self._decide(attempt, outcome)
        written = await self._record(job, *decision)
        _report(attempt, outcome, written)
        self.arm(written)

    async def _send(self, attempt: Attempt) -> Outcome:
        """Send an attempt's request; only here may a stop cut the attempt off."""
        request = outgoing.render(attempt, self._limits.user_agent)
        task = asyncio.current_task()
        assert task is not None
        self._sending.add(task)
        try:
            return await self._delivery.send(request, self._timeout(attempt))
        finally:
            self._sending.discard(task)

    def _timeout(self, attempt: Attempt) -> timedelta:
        own = attempt.args.timeout
        return parse_duration(own) if own is not None else self._limits.timeout

    def _decide(self, attempt: Attempt, outcome: Outcome) -> tuple[Job, Sequence[NewEntry]]:
        """Say what an outcome makes of the job, and what is logged of it."""
        now = self._clock.now()
        backoff, random = self._limits.backoff, self._random
        settled = lifecycle.settle(attempt, outcome, now=now, backoff=backoff, random=random)
        return settled, entries_of(attempt, outcome, now)

    async def _record(self, claimed: Job, settled: Job, entries: Sequence[NewEntry]) -> Job:
        """Write a result; a store that cannot write now is asked again until it can."""
        while True:
            try:
                return await self._store.jobs.settle(claimed, settled, entries)
            except StoreUnavailable as error:
                log.error("job %d: its result waits for the store: %s", claimed.id, error)
                await self._clock.wait(asyncio.Event(), self._clock.now() + STORE_PAUSE)


async def _wait(tasks: Iterable[asyncio.Task[None]], at_most: timedelta) -> None:
    pending = set(tasks)
    if pending:
        await asyncio.wait(pending, timeout=at_most.total_seconds())


def _report(attempt: Attempt, outcome: Outcome, written: Job) -> None:
    """Log one line per attempt; no URL, header or body, for they may hold secrets."""
    match outcome:
        case Answered(response=response, duration=duration):
            what, took = f"answered {response.status}", duration
        case Failed(error=error, duration=duration):
            what, took = f"failed ({error})", duration
        case Refused():
            what, took = "refused", timedelta(0)
    log.info(
        "job %d attempt %d: %s in %.0f ms, now %s",
        written.id,
        attempt.job.attempt,
        what,
        took.total_seconds() * 1000,
        written.state,
    )
