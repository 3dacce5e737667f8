"""Changes of a database, and making several in one transaction: each is undone by itself."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec
from psycopg.errors import (
    DeadlockDetected,
    LockNotAvailable,
    SerializationFailure,
    UniqueViolation,
)

from booper.store.postgres.connections import OF_THE_STORE, unavailable
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.transaction import LostRace, Taken
from booper.store.values import UserKey

log = logging.getLogger("booper.store")

T = TypeVar("T")
A = TypeVar("A")
Work = Callable[[PostgresTransaction, Sequence[A]], Sequence[T]]
"""Make a change for each of these items; return the result of each, in order."""

MET_OTHERS: Final = (
    DeadlockDetected,
    LockNotAvailable,
    SerializationFailure,
    UniqueViolation,
    LostRace,
    Taken,
)
"""What a change may raise because another node's was faster; alone it does so for itself."""

# The changes after one that has waited in vain: 500 of them wait for ten seconds in all.
WAIT_BRIEFLY: Final = "SET LOCAL lock_timeout = 20"


class Change(msgspec.Struct, frozen=True, eq=False):
    """One change that waits: what makes it, what it is made for, and who is told.

    `keys` are the idempotency keys that it looks for.
    """

    work: Work[Any, Any]
    item: Any
    future: asyncio.Future[Any]
    is_durable: bool
    is_last: bool = False
    keys: Sequence[UserKey] = ()


Outcome = tuple[Change, Any, BaseException | None]


def alone(
    transaction: PostgresTransaction, works: Sequence[Callable[[PostgresTransaction], T]]
) -> Sequence[T]:
    """Make a change that is the only one of its kind."""
    return [work(transaction) for work in works]


def by_kind(group: Sequence[Change]) -> list[list[Change]]:
    """Put changes of one kind together, each kind where its first change stands."""
    kinds: dict[object, list[Change]] = {}
    for change in sorted(group, key=_is_last):
        kinds.setdefault(change if change.work is alone else change.work, []).append(change)
    return list(kinds.values())


_is_last = attrgetter("is_last")


def made_together(changes: Sequence[Change], transaction: PostgresTransaction) -> list[Outcome]:
    """Make changes of one kind. Raises: whatever one of them raises."""
    results = changes[0].work(transaction, [change.item for change in changes])
    return [(change, result, None) for change, result in zip(changes, results, strict=True)]


def isolated(
    changes: Sequence[Change], transaction: PostgresTransaction, *, is_last: bool
) -> list[Outcome]:
    """Make changes of one kind so that those which raise are undone alone.

    Raises: what tells that another node was faster, unless this is the last try.
    """
    try:
        with transaction.savepoint():
            return made_together(changes, transaction)
    except OF_THE_STORE as error:
        if not (is_last and isinstance(error, MET_OTHERS)):
            raise
        transaction.execute(WAIT_BRIEFLY)
        problem: Exception = unavailable(error)
    except Exception as error:
        if isinstance(error, MET_OTHERS) and not is_last:
            raise
        problem = error
    if len(changes) == 1:
        return [(changes[0], None, problem)]
    make = partial(isolated, transaction=transaction, is_last=is_last)
    return [outcome for one in changes for outcome in make([one])]


def all_failed(changes: Sequence[Change], problem: Exception) -> list[Outcome]:
    """Return that a problem kept all these changes from being made, and log it."""
    if changes:
        log.error("%d changes were not written: %s", len(changes), problem)
    return [(change, None, problem) for change in changes]
