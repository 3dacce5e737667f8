"""The one writing connection: what waits while a commit runs is committed together by the next.

A commit that waits for the disk costs the same for one change as for hundreds, so every change
that arrives meanwhile shares the next one: durable and fast at once. Each change is a function
over the connection, isolated by a savepoint: one that fails is undone alone.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from booper.errors import StoreUnavailable
from booper.store.sqlite.connection import Connection, unavailable

log = logging.getLogger("booper.store")

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

# Bounds how long one transaction holds what arrives after it: about 25 ms of inserts.
MOST_TOGETHER = 500


class Writer:
    """Collect changes and commit them in groups, in the order in which they came."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._arrived = asyncio.Event()
        self._is_closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a change; returns when it is durable, raises what it raised or what kept it out.

        Cancelling the caller never tears a transaction: a change is made whole or not at all.

        Raises:
            StoreUnavailable: nothing was changed.
        """
        if self._is_closed:
            raise StoreUnavailable("booper is stopping")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        self._arrived.set()
        return await future

    async def commit_forever(self) -> None:
        """Commit group after group, until `close` and nothing is left."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                group, self._waiting = (
                    self._waiting[:MOST_TOGETHER],
                    self._waiting[MOST_TOGETHER:],
                )
                await self._commit([item for item in group if not item[1].cancelled()])
            if self._is_closed:
                return

    def close(self) -> None:
        """Take no more changes; those that wait are still committed."""
        self._is_closed = True
        self._arrived.set()

    async def _commit(self, group: Sequence[tuple[Work, asyncio.Future[Any]]]) -> None:
        works = [work for work, _ in group]
        try:
            outcomes = await self._connection.run(partial(_commit_together, works))
        # A change may end its transaction and raise anything; that must not end the writer.
        except Exception as error:
            log.error("%d changes were not written: %s", len(works), error)
            outcomes = [(None, error)] * len(works)
        for (_, future), (result, problem) in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if problem is None:
                future.set_result(result)
            else:
                future.set_exception(problem)


Change = tuple[Any, BaseException | None]


def _commit_together(works: Sequence[Work], connection: sqlite3.Connection) -> list[Change]:
    """Run changes in one transaction; each has its result or its error, none both."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [_isolated(work, connection) for work in works]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _isolated(work: Work, connection: sqlite3.Connection) -> Change:
    connection.execute("SAVEPOINT change")
    try:
        result = work(connection)
    except Exception as error:  # a change may raise anything; it must not take the others along
        # A full disk or an I/O error ends the whole transaction by itself
        # (https://www.sqlite.org/lang_transaction.html §3); then all of the group failed.
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO change")
        connection.execute("RELEASE change")
        return None, unavailable(error) if isinstance(error, sqlite3.OperationalError) else error
    connection.execute("RELEASE change")
    return result, None
