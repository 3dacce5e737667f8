"""The loop: wait for the next due time, claim, deliver, settle.

It decides nothing about jobs: `lifecycle` says what an outcome means, the store says which claims
hold, and what an attempt raises ends that attempt alone.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from booper.clock import Clock, Signal
from booper.engine.agents import NO_AGENTS, Agent, run_beside
from booper.engine.backlog import Backlog
from booper.engine.executor import STORE_PAUSE, Executor
from booper.engine.in_flight import RECORDING_GRACE, InFlight
from booper.engine.loop_state import LoopState
from booper.engine.observer import Observers
from booper.engine.replanner import Replanner
from booper.engine.reports import Reports
from booper.engine.turns import Turns
from booper.errors import Shortage, StoreDamaged, StoreUnavailable
from booper.model.job import Attempt, Job
from booper.store.base import Store
from booper.store.sharing import Notice
from booper.store.values import Admit, DueJob, Suspect

log = logging.getLogger("booper")


class Scheduler:
    """The loop that sends jobs at their times until it is stopped."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        reports: Reports,
        clock: Clock,
        observers: Observers | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._reports = reports
        self._clock = clock
        self._observers = observers or Observers()
        self._backlog = Backlog(store, clock.now())
        self.breakers = self._backlog.breakers
        self.wait_of = self._backlog.wait_of
        self.pause_of = self._backlog.ready.pauses.of
        self.next_at = self._backlog.next_at
        self.skipped = self._backlog.put_off_reread
        self._in_flight = InFlight(self._sent, self._finished)
        self.cut = self._in_flight.cut
        self._wake = Signal()
        self.turns = Turns(self._wake)
        self._replanner = Replanner(store.queue, clock, self._wake)
        self._idle = asyncio.Event()
        self._ended = asyncio.Event()
        self._is_stopping = False
        self._is_looping = False
        # What kept the last step from being made.
        self._trouble: StoreUnavailable | None = None
        store.subscribe(self._arm)

    def use(self, executor: Executor) -> None:
        """Make attempts by another executor, from the next claim on."""
        self._executor = executor

    @property
    def is_running(self) -> bool:
        """Return whether the loop sends what falls due, and nothing that may go waits for long."""
        is_there = self._is_looping and not self._is_stopping
        return is_there and not self._backlog.is_behind(self._clock.now())

    def state(self) -> LoopState:
        """Return how the loop is doing now."""
        is_sending = self.is_running and self._trouble is None
        return self._backlog.state(
            self._clock.now(), age_seconds=self.turns.age_seconds, is_sending=is_sending
        )

    def check_sending(self) -> None:
        """Check that what is due can be found and claimed. Raises: StoreUnavailable, if not.

        What is accepted meanwhile would be kept and never sent.
        """
        if self._trouble is not None:
            raise StoreUnavailable(f"nothing can be sent now: {self._trouble}")

    def reread(self) -> None:
        """Read anew from the table what waits; the loop is idle only after that."""
        self._backlog.reread()
        self._wake.set()

    async def share(self) -> None:
        """Exchange with other nodes what holds for all of them. Raises: StoreUnavailable."""
        await self._backlog.share(self._clock.now())
        self._wake.set()

    def hear(self, notice: Notice) -> None:
        """Look for jobs that are due and that another node has not begun."""
        if self._backlog.hear(notice, self._clock.now()):
            self._wake.set()

    def pause(self, target: str, now: datetime) -> None:
        """Send nothing to a target (or to `ALL_TARGETS`) until it is resumed."""
        self._backlog.ready.pause(target, now)

    def resume(self, target: str) -> None:
        """Send to a target again, also to one that failed."""
        self._backlog.resume(target, self._clock.now())
        self._wake.set()

    def reset_breakers(self, target: str) -> list[str]:
        """Send to a target as if it had never failed; return the origins that were only probed."""
        origins = self._backlog.reset_breakers(target, self._clock.now())
        self._wake.set()
        return origins

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

    def start(self, agents: Mapping[str, Agent] = NO_AGENTS) -> asyncio.Task[None]:
        """Send what falls due until `stop`, from now on; return the loop, which ends then.

        It counts as running before its first turn. `agents`, by their names, run beside it.
        """
        self._is_looping = True
        return asyncio.create_task(self._run(agents), name="scheduler")

    async def stop(self, grace: timedelta) -> None:
        """Claim no more, give running attempts `grace` of real time, and give back the rest.

        What is given back is due again, its attempt not counted; with other nodes, which look most
        often at what fell due lately, from now on.
        """
        self._is_stopping = True
        self._wake.set()
        # A claim may be under way; what it begins is to have its grace as well.
        with suppress(TimeoutError):
            async with asyncio.timeout(max(grace, RECORDING_GRACE).total_seconds()):
                await self._ended.wait()
        if released := await self._in_flight.stop(grace):
            log.info("%d running attempts were given back", len(released))
            due_at = self._clock.now() if self._store.sharing else None
            await self._store.queue.release(released, due_at)

    async def _run(self, agents: Mapping[str, Agent]) -> None:
        """Run the loop, its own agents and others until `stop`."""
        own = {"clock watch": self._replanner.watch, "replanner": self._replanner.plan_forever}
        try:
            await run_beside(self._loop, {**own, **agents}, self._clock)
        finally:
            self._is_looping = False
            self._ended.set()
            self._idle.set()  # or `wait_idle` would never return

    async def _loop(self) -> None:
        """Turn until `stop`; first make due again what a crash cut off."""
        await self._begin()
        while not self._is_stopping:
            # Before the timers are looked at: a wake-up that comes while we look is kept, not lost.
            self.turns.begin()
            try:
                await self._step()
                self._trouble = None
            except StoreUnavailable as error:
                await self._wait_for_store(error)
            # No job and no row may stop the sending of all others.
            except Exception:
                log.exception("a turn of the loop failed; the loop goes on")
                await self._clock.pause(STORE_PAUSE)

    def _arm(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if self._backlog.arm(job):
                self._wake.set()
            self._observers.armed(job)

    async def _begin(self) -> None:
        """Read what the start needs; where that is damaged or away, wait: the rest can be used."""
        while not self._is_stopping:
            try:
                for pause in await self._backlog.ready.pauses.read(self._store.pauses):
                    self.pause(pause.target, pause.paused_at)
                await self.rescue()
                await self._replanner.start()
                self._backlog.waits.looking_since(self._clock.now())
            except StoreUnavailable as error:
                # A file that cannot be read will not be soon, a database server will.
                if self._store.sharing is None and not isinstance(error, StoreDamaged):
                    raise
                await self._wait_for_store(error)
            else:
                return

    async def _wait_for_store(self, error: StoreUnavailable) -> None:
        self._trouble = error
        self.turns.begin()  # whoever waits for a turn learns that the loop is not stuck
        log.error("the loop waits for the store: %s", error)
        await self._clock.pause(STORE_PAUSE)
        self._backlog.waits.looking_since(self._clock.now())

    async def rescue(self) -> None:
        """Make due again what processes have left that are gone. Raises: StoreUnavailable."""
        rescued = await self._store.queue.rescue(self._clock.now(), self._reports.cut_off)
        if rescued:
            log.warning("%d attempts were cut off by the end of booper and are due again", rescued)
            self.reread()

    async def _step(self) -> None:
        """Start everything that can start now; wait if that was nothing."""
        backlog, suspects = self._backlog, self._backlog.suspects
        if self._replanner.check():
            backlog.clock_set_back()
        await backlog.read(self._clock.now())
        now = self._clock.now()  # reading took time
        backlog.queue_due(now)
        if suspects.is_over(now):
            await self._store.queue.accompany()
            suspects.end(now)
        suspect = suspects.next(now)
        if suspect is not None and not (self._in_flight.jobs and suspects.is_patient(suspect, now)):
            await self._start_suspect(suspect, now)
        elif not suspects.stops_others(now) and (taken := backlog.ready.take()):
            await self._start(taken)
        elif not backlog.wants_read:
            if self._is_idle and suspect is None:
                self._idle.set()
            self._trouble = None
            await backlog.wait(self._clock, self._wake, now)

    @property
    def _is_idle(self) -> bool:
        is_busy = self._in_flight.jobs or self._replanner.is_busy
        return not is_busy and not self._backlog.ready.has_open()

    async def _start_suspect(self, suspect: Suspect, now: datetime) -> None:
        """Start a suspect, alone if the others have ended in time."""
        is_alone = not self._in_flight.jobs
        self._backlog.suspects.begin(suspect, now, is_alone=is_alone)
        self._backlog.ready.occupy(suspect.seen.due.origin)
        try:
            await self._start([suspect.seen], Admit.ALONE if is_alone else Admit.IN_COMPANY)
        finally:
            if not self._in_flight.jobs:  # it was cancelled meanwhile, or the store cannot be used
                self._backlog.suspects.end(self._clock.now())

    async def _start(self, taken: Sequence[DueJob], admit: Admit = Admit.NONE) -> None:
        """Claim jobs in one transaction and start an attempt of each."""
        now = self._clock.now()
        waits = self._backlog.claim_begins(taken, now, alone=admit is not Admit.NONE)
        announce = self._executor.announce
        try:
            claims = await self._store.queue.claim(taken, now, announce, admit, waits)
        except BaseException:
            self._backlog.return_claimed(taken)
            raise
        self._backlog.note(taken, claims, self._clock.now())
        for attempt in claims.begun:
            self._in_flight.begin(attempt.job, self._attempt(attempt))

    async def _attempt(self, attempt: Attempt) -> None:
        """Make one attempt and record what came of it."""
        task = asyncio.current_task()
        assert task is not None
        try:
            executed = await self._executor.execute(attempt)
            self._backlog.record(attempt.job, executed.outcome, self._clock.now())
        except Shortage as shortage:
            await self._executor.give_back(attempt, shortage)
            return
        finally:
            self._in_flight.has_outcome(task)
        await self._executor.record(executed)

    def _sent(self, job: Job) -> None:
        # The next claim is then written with this result.
        self._backlog.ready.free(job.origin)
        if self._backlog.wants_slot:
            self._wake.set()

    def _finished(self, job: Job, task: asyncio.Task[None]) -> None:
        if not self._in_flight.jobs:
            self._backlog.suspects.end(self._clock.now())
            self._wake.set()  # something may wait for the loop to be idle, such as a suspect
        if not task.cancelled() and (error := task.exception()) is not None:
            trace = None if isinstance(error, StoreDamaged) else error
            log.error("job %d: its attempt is not recorded: %s", job.id, error, exc_info=trace)
