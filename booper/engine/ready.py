"""Due jobs that wait for a slot: a queue for each origin, so that none waits for another's.

Origins with a free slot of their own take turns. Queues are bounded: what is due beyond its queue
stays in the table, and the origin is remembered as `partial`, so that one with a million overdue
jobs takes neither the memory nor the turn of another. A paused origin has no queue (`pauses`). One
whose breaker is open has its turn only by a probe (`probing`).
"""

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from booper.engine.breakers import Breakers
from booper.engine.elsewhere import Elsewhere
from booper.engine.pauses import Pauses
from booper.engine.probing import Probing
from booper.store.limits import LimitOf
from booper.store.values import Due, DueJob

MAX_QUEUE = 1_000
"""Most due jobs of one origin that are queued."""

MAX_QUEUED = 20_000
"""Most due jobs that are queued, roughly: with many origins each queue is shorter. 5 MB."""

MAX_IN_ROTATION = 10_000
"""Origins with something to send; the table is not asked for more meanwhile."""

MAX_REFILLS = 16
"""Origins that are refilled before the loop sends again."""

MAX_NAMED = 1_000
"""Origins that a read of the table can leave out by name."""


class Ready:
    """Queues by origin, slots, and whose turn it is."""

    def __init__(self, limit_of: LimitOf, breakers: Breakers, queue_limit: int = MAX_QUEUE) -> None:
        self.slots = self._free = limit_of("all", "")
        self._limit_of = limit_of
        self._breakers = breakers
        self.pauses = Pauses()
        self.probing = Probing(breakers, self.pauses)
        self.elsewhere = Elsewhere()
        self._max_queue_limit = self._queue_limit = queue_limit
        self._queues: dict[str, deque[DueJob]] = {}
        self._queued: set[Due] = set()
        self._busy: dict[str, int] = {}
        # Origins of which the table has more; those of them that run low; those whose turn comes.
        self._partial: dict[str, None] = {}
        self._to_refill: OrderedDict[str, None] = OrderedDict()
        self._rotation: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._queued)

    @property
    def busy(self) -> int:
        """Return how many slots are taken."""
        return sum(self._busy.values())

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Return how many slots each origin takes."""
        return self._busy

    @property
    def is_full(self) -> bool:
        """Return whether so many origins have something to send that more would not help."""
        return len(self._rotation) >= MAX_IN_ROTATION

    def has_open(self) -> bool:
        """Return whether something waits that may go once a slot is free."""
        return bool(self._rotation or self.probing.queue or self._to_refill)

    def oldest_at(self) -> datetime | None:
        """Return when the oldest job of an origin with a free slot was due, None if none is."""
        return min((self._queues[origin][0].at for origin in self._rotation), default=None)

    def partial(self) -> Sequence[str]:
        """Return origins of which the table has more than their queues."""
        return list(islice(self._partial, MAX_NAMED))

    # --- what comes in ---

    def put(self, seen: DueJob) -> None:
        """Queue a due job behind the others of its origin, once; leave it to the table if full."""
        due = seen.due
        origin = due.origin
        if due in self._queued:
            return
        if origin in self.probing.origins and self.probing.note_path(due):
            self.consider(origin)
        if origin in self._partial:
            return
        if self.pauses and self.pauses.include(origin):
            self._partial[origin] = None
            return
        queue = self._queues.get(origin)
        if queue is None:
            queue = self._queues[origin] = deque()
            self._share_limit()
        elif len(queue) >= self._queue_limit:
            self._partial[origin] = None
            self.consider(origin)
            return
        queue.append(seen)
        self._queued.add(due)
        if origin not in self._rotation:
            self.consider(origin)

    def origins_to_refill(self) -> Sequence[str]:
        """Return some origins whose queues run low while the table has more of their jobs."""
        return list(islice(self._to_refill, MAX_REFILLS)) if self._to_refill else []

    def wanted(self, origin: str) -> int:
        """Return how many more due jobs an origin's queue takes."""
        return max(0, self._queue_limit - len(self._queues.get(origin, ())))

    def queued_ids(self, origin: str) -> list[int]:
        """Return the numbers of an origin's queued jobs."""
        return [seen.due.id for seen in self._queues.get(origin, ())]

    def refill(self, origin: str, found: Sequence[Due], wanted: int, now: datetime) -> None:
        """Queue what the table has due for an origin; fewer than `wanted` are all it has."""
        self._partial.pop(origin, None)
        for due in found:
            self.put(DueJob(due, now))
        if len(found) >= wanted:
            self._partial[origin] = None
        self._to_refill.pop(origin, None)  # the others have their turn before this one again
        self.consider(origin)

    def forget(self) -> None:
        """Drop what is queued: the table has it."""
        for origin in list(self._queues):
            self._drop_queue(origin)
            self.consider(origin)

    # --- what goes out ---

    def take(self) -> list[DueJob]:
        """Take as many jobs as there are free slots: one of each origin in turn, on and on."""
        taken: list[DueJob] = []
        while self._free and self.probing.queue:
            probe = self.probing.queue.popleft()
            if not self.pauses.include(probe.due.origin):
                self.occupy(probe.due.origin)
                taken.append(probe)
        while self._free and self._rotation:
            origin, _ = self._rotation.popitem(last=False)
            taken.append(self._take_of(origin))
        return taken

    def _take_of(self, origin: str) -> DueJob:
        """Take the next job of an origin; the origin then goes to the end of the line."""
        queue = self._queues[origin]
        seen = queue.popleft()
        self._queued.discard(seen.due)
        if not queue:
            self._drop_queue(origin)
        busy = self._busy[origin] = self._busy.get(origin, 0) + 1
        self._free -= 1
        if origin in self._partial:
            self.consider(origin)
        elif queue and busy < self._limit_of("origin", origin):
            self._rotation[origin] = None
        return seen

    def put_back(self, seen: DueJob, now: datetime) -> None:
        """Queue a job in front, for which there was no slot: its origin is left alone for a while.

        A probe is found anew.
        """
        due, origin = seen.due, seen.due.origin
        self.elsewhere.refused(origin, now)
        if due not in self._queued and not self._breakers.is_open(origin):
            if origin not in self._queues:
                self._queues[origin] = deque()
                self._share_limit()
            self._queues[origin].appendleft(seen)
            self._queued.add(due)
        self.consider(origin)

    def ask_again(self, now: datetime) -> None:
        """Give those origins their turn again that were left alone for long enough."""
        for origin in self.elsewhere.pop_over(now):
            self.consider(origin)

    def occupy(self, origin: str) -> None:
        """Take a slot for a job of an origin."""
        self._busy[origin] = self._busy.get(origin, 0) + 1
        self._free -= 1
        self.consider(origin)

    def free(self, origin: str) -> None:
        """Free a slot; what is known of the origin's breaker may have changed."""
        self._free += 1
        busy = self._busy.pop(origin) - 1
        if busy:
            self._busy[origin] = busy
        if self.probing.under_way:
            self.probing.freed(origin)
        self.consider(origin)

    def may_go(self, origin: str, now: datetime) -> bool:
        """Return whether an origin is not paused and has a slot, or is to be probed, at `now`."""
        if self.pauses.include(origin) or not self._has_slot(origin):
            return False
        return self.probing.may_go(origin, now)

    def probe(self, origin: str, due: Due | None, now: datetime) -> None:
        """Send this job as a probe as soon as there is a slot; None if the table has none due."""
        if due is None:
            self._drop_queue(origin)
            self._partial.pop(origin, None)
            return
        queue = self._queues.get(origin, deque())
        queued = next((seen for seen in queue if seen.due == due), None)
        if queued is not None:
            queue.remove(queued)
            self._queued.discard(due)
            if not queue:
                self._drop_queue(origin)
        self.probing.add(queued or DueJob(due, now))

    def pause(self, target: str, now: datetime) -> None:
        """Keep back a target's jobs until it is resumed; those in the queue stay in the table."""
        self.pauses.begin(target, now)
        for origin in [origin for origin in self._queues if self.pauses.include(origin)]:
            self._drop_queue(origin)
            self._partial[origin] = None
        for origin in self._known():
            self.consider(origin)

    def resume(self, target: str) -> None:
        """Release a target's jobs again; they count as found due then."""
        self.pauses.end(target)
        for origin in self._known():
            self.consider(origin)

    # --- whose turn it is ---

    def consider(self, origin: str) -> None:
        """Update what an origin waits for: a turn, a refill, a probe, or nothing."""
        queue = self._queues.get(origin)
        is_open = self._breakers.is_open(origin)
        if is_open:
            self.probing.begin(origin)
        elif origin in self.probing.origins:
            self.probing.end(origin)
        may_go = not is_open and origin not in self.elsewhere
        may_go = may_go and not (self.pauses and self.pauses.include(origin))
        if queue and may_go and self._has_slot(origin):
            self._rotation.setdefault(origin)
        else:
            self._rotation.pop(origin, None)
        is_partial = origin in self._partial
        if is_partial and may_go and (not queue or 2 * len(queue) < self._queue_limit):
            self._to_refill.setdefault(origin)
        elif self._to_refill:
            self._to_refill.pop(origin, None)
        if is_open and origin in self.elsewhere:
            self.probing.disarm(origin)
        elif is_open and (queue or is_partial) and self._limit_of("origin", origin):
            self.probing.arm(origin)

    def _has_slot(self, origin: str) -> bool:
        return self._busy.get(origin, 0) < self._limit_of("origin", origin)

    def _known(self) -> list[str]:
        return list({**dict.fromkeys(self._queues), **self._partial})

    def _share_limit(self) -> None:
        """Share the queue's limit among the origins that have queues."""
        fair = MAX_QUEUED // (len(self._queues) or 1)
        self._queue_limit = max(1, min(self._max_queue_limit, fair))

    def _drop_queue(self, origin: str) -> None:
        dropped = self._queues.pop(origin, ())
        self._queued.difference_update([seen.due for seen in dropped])
        self._share_limit()
