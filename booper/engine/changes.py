"""Changes: which jobs and schedules of a user have changed, for whoever looks at them now.

Nothing is kept and nothing is queued: a feed has the ids that have changed since it was read last,
a bounded number of them. While nobody listens, the store shows its commits to nobody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from booper.clock import Clock, monotonic
from booper.engine.feeds import Feeds
from booper.errors import StoreUnavailable
from booper.model.job import OWN_KINDS, Job, State
from booper.model.schedule import Schedule
from booper.store.base import Store
from booper.store.sharing import Followed, Mark

log = logging.getLogger("booper")

EVERY_SECONDS: Final = 0.5
"""How much time lies between two items of a feed: somebody looks at them."""

FOLLOW_PAUSE: Final = timedelta(seconds=1)
"""How often is looked for what other processes have changed."""

MAX_IDS: Final = 100
"""How many jobs an item names; where more have changed, everything is to be read anew."""


class Wanted(msgspec.Struct, frozen=True):
    """Which changes: of a job and its reports, of a schedule and its runs, into some states."""

    job_id: int | None = None
    schedule_id: UUID | None = None
    states: frozenset[State] = frozenset()

    def takes(self, job: Job, now: datetime) -> bool:
        """Return whether the change of a job is one of these."""
        return (
            (self.job_id is None or self.job_id in (job.id, job.parent_id))
            and (self.schedule_id is None or self.schedule_id == job.schedule_id)
            and (not self.states or not self.states.isdisjoint((job.state, job.state_at(now))))
        )


class Change(msgspec.Struct, frozen=True):
    """What has changed since the item before: ids of jobs and schedules, and the user's numbers.

    A schedule has changed when one of its runs has. Where there `are_more`, others have changed
    that are not listed. `counts` are the user's requests and runs by their states as stored.
    """

    jobs: Sequence[int]
    schedules: Sequence[UUID]
    are_more: bool
    counts: Mapping[State, int]


class ChangeFeed:
    """The changes for one subscriber: iterate it, in one task; it ends when booper stops.

    The first item comes at once: what changed before is not known, so `are_more` is set.
    """

    def __init__(
        self,
        wanted: Wanted,
        counts: Callable[[], Awaitable[Mapping[State, int]]],
        every_seconds: float,
    ) -> None:
        self._wanted = wanted
        self._counts = counts
        self._every_seconds = every_seconds
        self._jobs: dict[int, None] = {}
        self._schedules: dict[UUID, None] = {}
        self._are_more = True
        self._not_before = 0.0
        self._changed, self._ended = asyncio.Event(), asyncio.Event()
        self._changed.set()

    def note(self, written: Sequence[Job | Schedule], now: datetime) -> None:
        """Note what a commit has written of the user's."""
        if self._are_more:
            return  # everything is read anew
        for each in written:
            if isinstance(each, Schedule):
                self._note_schedule(each.id)
            elif self._wanted.takes(each, now):
                self._note_job(each)
            if self._are_more:
                break
        if self._jobs or self._schedules or self._are_more:
            self._changed.set()

    def note_more(self) -> None:
        """Note that something has changed, whatever it is."""
        self._are_more = True
        self._changed.set()

    def end(self) -> None:
        """End the iteration now, even if changes are unread."""
        self._ended.set()
        self._changed.set()

    def __aiter__(self) -> "ChangeFeed":
        """Return the feed: what was read once is gone."""
        return self

    async def __anext__(self) -> Change:
        """Wait for the next item; a cancelled wait loses nothing."""
        await self._changed.wait()
        if (seconds := self._not_before - monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ended.wait()
        if self._ended.is_set():
            raise StopAsyncIteration
        jobs, schedules, are_more = [*self._jobs], [*self._schedules], self._are_more
        self._forget()
        try:
            counts = await self._counts()
        except StoreUnavailable:
            raise StopAsyncIteration from None  # whoever connects again is told why
        except asyncio.CancelledError:
            self._are_more = True
            self._changed.set()
            raise
        self._not_before = monotonic() + self._every_seconds
        return Change(jobs, schedules, are_more, counts)

    def _note_schedule(self, schedule_id: UUID) -> None:
        """Note a change of a schedule, which may have cancelled its waiting run."""
        wanted = self._wanted.schedule_id
        if wanted is None or wanted == schedule_id:
            self._schedules[schedule_id] = None
            self._are_more = True

    def _note_job(self, job: Job) -> None:
        if len(self._jobs) == MAX_IDS and job.id not in self._jobs:
            self._are_more = True
            return
        self._jobs[job.id] = None
        if job.schedule_id is not None:
            self._schedules[job.schedule_id] = None

    def _forget(self) -> None:
        self._jobs, self._schedules, self._are_more = {}, {}, False
        if not self._ended.is_set():
            self._changed.clear()


class Changes:
    """The changes of all users, for those who listen."""

    def __init__(
        self, store: Store, feeds: Feeds, clock: Clock, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._store = store
        self._feeds = feeds
        self._clock = clock
        self._every_seconds = every_seconds
        self._by_user: dict[UUID, set[ChangeFeed]] = {}
        self._mark: Mark | None = None
        self._own: dict[int | UUID, Hashable] = {}
        self._own_before: dict[int | UUID, Hashable] = {}
        """What this process has committed since the last look at all, and before that."""

    async def follow(self, sharing: Followed) -> None:
        """Look for what other processes have committed again and again, until cancelled."""
        while True:
            await self.look(sharing)
            await self._clock.pause(FOLLOW_PAUSE)

    async def look(self, sharing: Followed) -> None:
        """Announce what other processes have committed since the last look."""
        try:
            changed = await sharing.changed(self._mark)
        except StoreUnavailable as error:
            log.debug("what other processes have changed is not known: %s", error)
            return
        self._mark = changed.mark
        known = self._own_before | self._own
        self._own, self._own_before = {}, self._own
        if changed.are_more:
            for feed in (feed for feeds in self._by_user.values() for feed in feeds):
                feed.note_more()
        else:
            self._note([each for each in changed.written if known.get(each.id) != _as_is(each)])

    @contextmanager
    def subscribe(
        self,
        user_id: UUID,
        wanted: Wanted,
        key_id: Hashable | None = None,
        session: Hashable | None = None,
    ) -> Iterator[ChangeFeed]:
        """Subscribe to changes of a user's jobs and schedules from now on.

        The feed ends with the key or the session that asked for it.

        Raises:
            FeedUnavailable, Unauthenticated: as `Feeds.open`.
        """

        async def counts() -> Mapping[State, int]:
            found = await self._store.counters.jobs(user_id)
            return {
                state: sum(found.get((kind, state), 0) for kind in OWN_KINDS)
                for state in State
                if state is not State.AVAILABLE
            }

        feed = ChangeFeed(wanted, counts, self._every_seconds)
        with self._feeds.open(feed, key_id, session):
            of_user = self._by_user.setdefault(user_id, set())
            of_user.add(feed)
            self._store.watch(self._committed)
            try:
                yield feed
            finally:
                of_user.discard(feed)
                if not of_user:
                    self._by_user.pop(user_id, None)
                if not self._by_user:
                    self._store.watch(None)

    def _committed(self, written: Sequence[Job | Schedule]) -> None:
        if self._mark is not None:
            self._own |= {each.id: _as_is(each) for each in written}
        self._note(written)

    def _note(self, written: Sequence[Job | Schedule]) -> None:
        now = self._clock.now()
        for user_id, feeds in self._by_user.items():
            own = [each for each in written if each.user_id == user_id]
            if own:
                for feed in feeds:
                    feed.note(own, now)


def _as_is(each: Job | Schedule) -> Hashable:
    """Return what is another after a change that somebody looks for."""
    if isinstance(each, Schedule):
        return each
    return each.state, each.attempt, each.epoch, each.scheduled_at
