"""The one writing connection: what waits while a commit runs is committed together by the next.

A commit that waits for the disk costs the same for one change as for hundreds, so every change
that arrives meanwhile shares the next one: durable and fast at once. A change is a function over
the connection, undone alone if it fails. Changes of one kind can be made by one call for all of
them, which spares most of their statements; only if that fails is each made by itself. Groups
follow each other on the connection's thread: between two of them it need not see the event loop.
A group in which nothing has to be durable does not wait for the disk; the next one takes it along.

A commit that makes the log long enough checkpoints it, which takes many times as long as the commit
itself. What is done when nothing else waits makes no other change wait for that: its commits leave
the log alone, and a checkpoint of its own is done as such work, too.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, TypeVar

from booper.clock import monotonic
from booper.errors import StoreUnavailable
from booper.store.sqlite.changes import Change, Outcome, Work, alone, commit_together
from booper.store.sqlite.connection import Connection, unavailable
from booper.store.sqlite.damage import is_damage, note_damage
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.values import UserKey
from booper.store.vitals import Commits

log = logging.getLogger("booper.store")

T = TypeVar("T")
A = TypeVar("A")

# Bounds how long one transaction holds what arrives after it: about 25 ms of inserts.
MAX_TOGETHER = 500

GATHERING_TURNS = 4
"""How many turns of the event loop a commit waits for more changes.

A turn or two after a result comes the claim of the next job. Together they take one commit instead
of two, and the thread is called when the loop has little left to do (a burst: a tenth less CPU).
"""

MAX_PATIENCE = 0.1
"""How many seconds a change waits at most until nothing else is to be written."""

CHECKPOINT_EVERY = 10
"""After how many changes that waited for an idle moment a checkpoint does.

Where they move pages it then takes 3 to 7 ms of CPU time, after 20 of them up to 15.
"""


class Writer:
    """Collect changes and commit them in groups, in the order in which they came.

    `check` raises a StoreUnavailable where nothing may be written now. `committed` is given the
    results of the changes that were committed together.
    """

    def __init__(
        self,
        connection: Connection,
        check: Callable[[], None] = lambda: None,
        committed: Callable[[Sequence[object]], None] = lambda results: None,
    ) -> None:
        self._connection = connection
        self._check = check
        self._committed = committed
        self.commits = Commits()
        self._waiting: deque[Change] = deque()
        self._idle_work: deque[Change] = deque()
        self._patient_until = 0.0
        self._until_checkpoint = CHECKPOINT_EVERY
        self.changes = 0
        self._awaited = 0
        self._have_come = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_committing = False
        self._closed = asyncio.Event()

    @property
    def damage(self) -> str | None:
        """Return what damage of the file its changes have met, None if they have met none."""
        return self._connection.damage

    async def run(
        self,
        work: Callable[[SQLiteTransaction], T],
        *,
        is_durable: bool = True,
        keys: Sequence[UserKey] = (),
    ) -> T:
        """Make a change; returns when it is durable, raises what it raised or what kept it out.

        One that need not be durable reaches the disk with the next one that must be, at the
        latest. Until then a power loss can take it; the death of this process cannot.

        Where one of those that are committed with it raises, all are undone and made again, so
        `work` may do nothing but write.

        Cancelling the caller never tears a transaction: a change is made whole or not at all.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        return await self.run_together(alone, work, is_durable=is_durable)

    async def run_together(
        self,
        work: Work[A, T],
        item: A,
        *,
        is_statement: bool = False,
        is_durable: bool = True,
        keys: Sequence[UserKey] = (),
    ) -> T:
        """Make a change as `run` does, by one call with the others that wait for this `work`.

        They are made where the first of them stands. A call with several items that raises is
        undone and made again for each item by itself, so `work` may do nothing but write.
        `is_statement` promises that it writes up to `MAX_ROWS` items by one statement.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        future: asyncio.Future[T] = self._future()
        self._waiting.append(Change(work, item, future, is_statement, is_durable))
        self._begin_committing()
        return await future

    async def run_when_idle(self, work: Callable[[SQLiteTransaction], T]) -> T:
        """Make a change that others do not wait for, by itself, once no other waits.

        After `MAX_PATIENCE` it is made anyway. It need not be durable. Of many of them some return
        only after a checkpoint.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        result: T = await self._when_idle(alone, work)
        self._until_checkpoint -= 1
        if self._until_checkpoint <= 0:
            self._until_checkpoint = CHECKPOINT_EVERY
            with suppress(StoreUnavailable):  # the change is made
                await self._when_idle(_checkpoint, None)
        return result

    async def _when_idle(self, work: Work[A, T], item: A) -> T:
        future: asyncio.Future[T] = self._future()
        self._patient_until = monotonic() + MAX_PATIENCE
        change = Change(
            work, item, future, is_statement=work is _checkpoint, is_durable=False, is_patient=True
        )
        self._idle_work.append(change)
        self._begin_committing()
        return await future

    def _future(self) -> asyncio.Future[Any]:
        """Return a future for a change. Raises: StoreUnavailable, none may be made now."""
        if self._closed.is_set():
            raise StoreUnavailable("booper is stopping")
        self._check()
        return asyncio.get_running_loop().create_future()

    async def wait_for_changes(self, number: int) -> None:
        """Return when so many changes have been made in all; one may wait at a time."""
        self._awaited = number
        self._have_come.clear()
        if self.changes < number:
            await self._have_come.wait()

    async def commit_forever(self) -> None:
        """Commit group after group, until `close` and nothing is left."""
        self._loop = asyncio.get_running_loop()
        self._begin_committing()
        await self._closed.wait()
        await self._connection.run(self._commit_waiting)

    def close(self) -> None:
        """Accept no more changes; those that wait are still committed."""
        self._closed.set()

    def _begin_committing(self) -> None:
        """Start to commit what waits, with what comes in the loop's next turns.

        Nothing is to be done where that goes on already, or may not begin yet.
        """
        if not self._is_committing and self._loop is not None:
            self._is_committing = True
            turns = 1 if self._connection.is_inline else GATHERING_TURNS
            self._loop.call_soon(self._gather, self._loop, turns)

    def _gather(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns > 1:
            loop.call_soon(self._gather, loop, turns - 1)
        else:
            self._post()

    def _post(self) -> None:
        try:
            self._connection.post(self._commit_waiting)
        except Exception as error:  # the connection did not begin
            self._is_committing = False
            self._tell(_all_failed(self._next_group(), error))
            if self._waiting or self._idle_work:
                self._begin_committing()

    def _commit_waiting(self, connection: SQLiteTransaction) -> None:
        """Commit on the connection's thread until nothing waits; report each group at once.

        The thread gets the interpreter's lock when the event loop has nothing to do, so it takes
        the next group then, and does not go to the loop for it and wait once more.
        """
        assert self._loop is not None
        is_inline = self._connection.is_inline
        call_soon = self._loop.call_soon if is_inline else self._loop.call_soon_threadsafe
        while True:
            while self._waiting or self._idle_work:
                self._is_committing = True
                group = self._next_group()
                began = monotonic()
                outcomes = _commit_group(group, connection)
                call_soon(self._tell, outcomes, monotonic() - began)
            self._is_committing = False
            # What came just before that has not called for this thread; what comes after it does,
            # and then this is called once more, which finds nothing or goes on.
            if not (self._waiting or self._idle_work):
                return

    def _tell(self, outcomes: Sequence[Outcome], seconds: float = 0.0) -> None:
        """Resolve the futures of changes, on their event loop, and announce what was committed.

        Callers go on only after this. What was committed is announced also where they have gone.
        """
        results, failures = list[object](), 0
        for change, result, problem in outcomes:
            future = change.future
            if problem is None:
                results.append(result)
                if not future.done():
                    future.set_result(result)
            else:
                failures += isinstance(problem, StoreUnavailable)
                if not future.done():
                    future.set_exception(problem)
        self.commits.note(seconds, len(outcomes), failures)
        self.changes += len(outcomes)
        if self.changes >= self._awaited > 0:
            self._have_come.set()
        self._committed(results)

    def _next_group(self) -> list[Change]:
        waiting = self._waiting
        if self._idle_work and (not waiting or monotonic() >= self._patient_until):
            group = [self._idle_work.popleft()]
        elif len(waiting) == 1:
            group = [waiting.popleft()]
        else:
            group = [waiting.popleft() for _ in range(min(len(waiting), MAX_TOGETHER))]
        return [change for change in group if not change.future.cancelled()]


def _all_failed(group: Sequence[Change], error: Exception) -> list[Outcome]:
    problem = unavailable(error) if isinstance(error, sqlite3.Error | MemoryError) else error
    log.error("%d changes were not written: %s", len(group), problem)
    return [(change, None, problem) for change in group]


def _commit_group(group: Sequence[Change], connection: SQLiteTransaction) -> list[Outcome]:
    """Commit changes together; where a damaged page is in the way, each by itself.

    Even a change that was undone alone, for what it met there, keeps its transaction from being
    committed.
    """
    try:
        connection.wait_for_disk(any(map(_is_durable, group)))
        connection.checkpoint_with_commits(not any(map(_is_patient, group)))
        return commit_together(group, connection)
    # A change may end its transaction and raise anything; that must not end the writer.
    except Exception as error:
        note_damage(connection, error)
        if len(group) == 1 or not is_damage(error):
            return _all_failed(group, error)
    return [outcome for change in group for outcome in _commit_group([change], connection)]


_is_durable = attrgetter("is_durable")
_is_patient = attrgetter("is_patient")


def _checkpoint(connection: SQLiteTransaction, items: Sequence[None]) -> Sequence[None]:
    """Write what is in the log to the database, as far as no reader needs the log for that."""
    if not connection.in_transaction:  # as it is in a damaged database, where it has time
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return items
