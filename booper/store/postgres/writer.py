"""The writing connection of a node: what waits during a commit is committed by the next one.

A commit costs a round trip and a sync of the log whatever is in it, so every change that arrives
meanwhile shares the next one. A change is a function over the transaction. If one of those that are
committed together raises, all are undone and made again, each kind within a savepoint; a change
that meets another node's (a deadlock, a row or a key that was just taken) is made again as well.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar

import psycopg

from booper.clock import monotonic
from booper.errors import StoreUnavailable
from booper.store.limits import NO_LIMITS, LimitOf
from booper.store.postgres.changes import (
    MET_OTHERS,
    Change,
    Outcome,
    Work,
    all_failed,
    alone,
    by_kind,
    isolated,
    made_together,
)
from booper.store.postgres.claim_numbers import OldestClaim
from booper.store.postgres.connections import OF_THE_STORE, Connector, Kept, unavailable
from booper.store.postgres.fates import NUMBER, Begun, Fate, Fates, InDoubt
from booper.store.postgres.silence import PatientConnection
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.waiting import Waiting
from booper.store.values import UserKey
from booper.store.vitals import Commits

log = logging.getLogger("booper.store")

T = TypeVar("T")
A = TypeVar("A")
MAX_TOGETHER: Final = 500
"""Bounds how long one transaction holds what arrives after it."""

GATHERING_TURNS: Final = 4
"""How many turns of the event loop a commit waits for more changes."""

MAX_TRIES: Final = 5
"""How often a group is made that meets changes of other nodes."""

# A process that is stopped in the middle must not keep others from what it has locked for long.
BEGIN: Final = f"""
BEGIN; SET LOCAL lock_timeout = 2000; SET LOCAL statement_timeout = 30000;
SET LOCAL idle_in_transaction_session_timeout = 4000;
{NUMBER}
"""
UNSYNCED: Final = "SET LOCAL synchronous_commit = off"


class Writer:
    """Collect changes and commit them in groups, in the order in which they came.

    `committed` is given the results of the changes that were committed together. `owner` returns
    the number under which this node claims now, `limit_of` how many attempts may be on their way.
    `in_doubt` is called, on another thread, where it is not known whether claims were committed.
    """

    def __init__(
        self,
        connector: Connector,
        owner: Callable[[], int],
        limit_of: LimitOf = NO_LIMITS.of,
        committed: Callable[[Sequence[object]], None] = lambda results: None,
        in_doubt: Callable[[], None] = lambda: None,
    ) -> None:
        self._fates = Fates(connector)
        self._oldest_claim = OldestClaim()
        self._in_doubt = in_doubt
        self._kept = Kept(connector)
        self._owner = owner
        self._limit_of = limit_of
        self._committed = committed
        self._thread = ThreadPoolExecutor(1, "store writer")
        self.commits = Commits()
        self.changes = 0
        self._response_seconds = connector.patience.response
        self._waiting = Waiting(self._response_seconds, self._expire)
        self._awaited = 0
        self._have_come = asyncio.Event()
        self._is_committing = False
        self._is_closed = False

    async def run(
        self,
        work: Callable[[PostgresTransaction], T],
        *,
        is_durable: bool = True,
        keys: Sequence[UserKey] = (),
    ) -> T:
        """Make a change; returns when it is durable, raises what it raised or what kept it out.

        Cancelling the caller never tears a transaction: a change is made whole or not at all.
        The `keys` of those that are committed together are locked before anything else.

        Raises:
            StoreUnavailable: nothing was changed; or it says that this is not known.
        """
        return await self._made(alone, work, is_durable=is_durable, keys=keys)

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

        Raises:
            StoreUnavailable: nothing was changed.
        """
        return await self._made(work, item, is_durable=is_durable, keys=keys)

    async def run_last(self, work: Callable[[PostgresTransaction], T]) -> T:
        """Make a change as `run` does, behind all that are committed with it."""
        return await self._made(alone, work, is_durable=True, is_last=True)

    async def run_when_idle(self, work: Callable[[PostgresTransaction], T]) -> T:
        """Make a change that need not be durable, and that others do not wait for."""
        return await self.run(work, is_durable=False)

    async def wait_for_changes(self, number: int) -> None:
        """Return when so many changes have been made in all; one may wait at a time."""
        self._awaited = number
        self._have_come.clear()
        if self.changes < number:
            await self._have_come.wait()

    async def close(self) -> None:
        """Accept no more changes; those that wait are still committed."""
        self._is_closed = True
        self._fates.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._commit_waiting, loop)
        await loop.run_in_executor(self._thread, self._kept.drop)
        self._thread.shutdown()

    async def _made(
        self,
        work: Work[A, T],
        item: A,
        *,
        is_durable: bool,
        is_last: bool = False,
        keys: Sequence[UserKey] = (),
    ) -> T:
        if self._is_closed:
            raise StoreUnavailable("booper is stopping")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.add(Change(work, item, future, is_durable, is_last, keys))
        if not self._is_committing:
            self._is_committing = True
            loop.call_soon(self._gather, loop, GATHERING_TURNS)
        return await future

    def _gather(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns > 1:
            loop.call_soon(self._gather, loop, turns - 1)
        else:
            self._thread.submit(self._commit_waiting, loop)

    def _commit_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        """Commit on the writing thread until nothing waits; report each group at once."""
        while True:
            while self._waiting:
                self._is_committing = True
                began = monotonic()
                outcomes = self._commit()
                loop.call_soon_threadsafe(self._tell, outcomes, monotonic() - began)
            self._is_committing = False
            # What came just before that has not called for this thread; what comes after it does.
            if not self._waiting:
                return

    def _tell(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Resolve the futures of changes, on their event loop, and announce what was committed."""
        results, failures = list[object](), 0
        for change, result, problem in outcomes:
            if problem is None:
                results.append(result)
            failures += isinstance(problem, StoreUnavailable)
            if change.future.done():
                continue
            if problem is None:
                change.future.set_result(result)
            else:
                change.future.set_exception(problem)
        self.commits.note(seconds, len(outcomes), failures)
        self.changes += len(outcomes)
        if self.changes >= self._awaited > 0:
            self._have_come.set()
        self._committed(results)

    def _expire(self, late: Sequence[Change]) -> None:
        """Refuse changes that this thread has not taken, so that they are surely not written."""
        seconds = self._response_seconds
        problem = StoreUnavailable(f"the database took no change within {seconds:g} s")
        self._tell(all_failed(late, problem), seconds)

    def _commit(self) -> list[Outcome]:
        """Commit together what waits. Whatever that raises must not end the writer.

        Without a transaction nothing can be written: then all that waits is refused.
        """
        group = list[Change]()
        for tried in range(MAX_TRIES):
            is_last = tried == MAX_TRIES - 1
            make = partial(isolated, is_last=is_last) if tried else made_together
            try:
                return self._transaction(group, make)
            except OF_THE_STORE as error:
                self._kept.drop_broken()
                if not isinstance(error, MET_OTHERS):
                    return all_failed(group or self._waiting.take(), unavailable(error))
                met: Exception = unavailable(error)
            except InDoubt as error:
                return all_failed(group, StoreUnavailable(str(error)))
            except Exception as error:
                met = error
        return all_failed(group or self._waiting.take(), met)

    def _transaction(
        self,
        group: list[Change],
        make: Callable[[Sequence[Change], PostgresTransaction], list[Outcome]],
    ) -> list[Outcome]:
        """Make the changes of a group; one that is empty is filled as the transaction has begun."""
        connection = self._kept.get()
        try:
            with connection.within(self._response_seconds):
                begun = self._fates.begin(connection, BEGIN)
            if not group:
                group += self._waiting.take(MAX_TOGETHER)
            transaction = PostgresTransaction(
                connection,
                self._owner(),
                is_writing=True,
                limit_of=self._limit_of,
                oldest_claim=self._oldest_claim,
            )
            if not any(change.is_durable for change in group):
                transaction.execute(UNSYNCED)
            transaction.lock_keys(key for change in group for key in change.keys)
            outcomes = [outcome for kind in by_kind(group) for outcome in make(kind, transaction)]
            self._end(connection, transaction, begun)
        except BaseException:
            self._oldest_claim.forget()
            if not connection.closed:
                connection.rollback()
            raise
        return outcomes

    def _end(
        self, connection: PatientConnection, transaction: PostgresTransaction, begun: Begun
    ) -> None:
        """Commit. Raises: InDoubt, the connection broke and nobody knows what came of that."""
        try:
            with connection.within(self._response_seconds):
                connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            if not connection.closed:
                raise
            match self._fates.of(begun):
                case Fate.COMMITTED:
                    log.warning("the database committed, but could not tell so: %s", error)
                case Fate.ABORTED:
                    raise
                case Fate.UNKNOWN:
                    if transaction.has_claimed:
                        self._in_doubt()
                    raise InDoubt(
                        "the connection to the database broke during a commit, and whether that "
                        f"was made is not known: {' '.join(str(error).split())}"
                    ) from error


@asynccontextmanager
async def writing(writer: Writer) -> AsyncIterator[Writer]:
    """Yield a writer; at the end it commits what waits before its connection is closed."""
    try:
        yield writer
    finally:
        await asyncio.shield(writer.close())
