"""Changes of a database, and making several in one transaction: each is undone alone if it fails.

Changes of one kind can be made by one call for all of them, which spares most of their statements.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard, TypeVar

import msgspec

from booper.store.sqlite.bulk import MAX_ROWS
from booper.store.sqlite.connection import unavailable
from booper.store.sqlite.damage import is_damage, note_damage
from booper.store.sqlite.transaction import SQLiteTransaction

T = TypeVar("T")
A = TypeVar("A")
Work = Callable[[SQLiteTransaction, Sequence[A]], Sequence[T]]
"""Make a change for each of these items; return the result of each, in order."""


class Change(msgspec.Struct, frozen=True, eq=False):
    """One change that waits: what makes it, what it is made for, and who is told.

    `is_statement` says that `work` makes it, and others with it, by a single statement;
    `is_durable` that it must be on the disk before its caller is told; `is_patient` that no other
    may wait for more than itself on its account.
    """

    work: Work[Any, Any]
    item: Any
    future: asyncio.Future[Any]
    is_statement: bool = False
    is_durable: bool = True
    is_patient: bool = False


Outcome = tuple[Change, Any, BaseException | None]


def alone(
    connection: SQLiteTransaction, works: Sequence[Callable[[SQLiteTransaction], T]]
) -> Sequence[T]:
    """Make a change that is the only one of its kind."""
    return [work(connection) for work in works]


def _by_kind(group: Sequence[Change]) -> list[list[Change]]:
    """Put changes of one kind together, each kind where its first change stands."""
    if len(group) == 1:
        return [[*group]]
    kinds: dict[object, list[Change]] = {}
    for change in group:
        kinds.setdefault(change if change.work is alone else change.work, []).append(change)
    return list(kinds.values())


def commit_together(group: Sequence[Change], connection: SQLiteTransaction) -> list[Outcome]:
    """Make changes in one transaction; each has its result or its error, none both.

    Nearly all succeed, so they are first made without savepoints: each step of one waits for the
    event loop to give up the interpreter's lock. If any raises, all are made again with savepoints.
    """
    kinds = _by_kind(group)
    try:
        is_statement = len(kinds) == 1 and kinds[0][0].is_statement
        if is_statement and len(kinds[0]) <= MAX_ROWS and not connection.is_damaged:
            return _made(kinds[0], connection)  # a statement is a transaction by itself
        return _transaction(kinds, connection, _made)
    except _Undone:
        return _transaction(kinds, connection, _isolated)


class _Undone(Exception):
    """A change raised, for the reason that is its cause, and none is written."""


def _transaction(
    kinds: Sequence[Sequence[Change]],
    connection: SQLiteTransaction,
    make: Callable[[Sequence[Change], SQLiteTransaction], list[Outcome]],
) -> list[Outcome]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        outcomes = [outcome for kind in kinds for outcome in make(kind, connection)]
        connection.execute("COMMIT")
    except BaseException:
        connection.jobs.undone()
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _made(changes: Sequence[Change], connection: SQLiteTransaction) -> list[Outcome]:
    """Make changes of one kind. Raises: _Undone."""
    try:
        results = changes[0].work(connection, [change.item for change in changes])
    except Exception as error:  # a change may raise anything; it must not take the others along
        raise _Undone from error
    return [(change, result, None) for change, result in zip(changes, results, strict=True)]


def _isolated(changes: Sequence[Change], connection: SQLiteTransaction) -> list[Outcome]:
    """Make changes of one kind so that those which raise are undone alone."""
    connection.execute("SAVEPOINT change")
    try:
        outcomes = _made(changes, connection)
    except _Undone as undone:
        error = undone.__cause__
        assert error is not None
        # A full disk or an I/O error ends the whole transaction by itself
        # (https://www.sqlite.org/lang_transaction.html §3); then all of the group failed. After a
        # damaged page the others could only fail as well, and be taken for damaged themselves.
        if not connection.in_transaction or is_damage(error):
            raise error from None
        connection.execute("ROLLBACK TO change")
        connection.execute("RELEASE change")
        connection.jobs.undone()
        if len(changes) > 1:
            return [outcome for change in changes for outcome in _isolated([change], connection)]
        note_damage(connection, error)
        problem = unavailable(error) if _is_of_the_store(error) else error
        return [(changes[0], None, problem)]
    connection.execute("RELEASE change")
    return outcomes


def _is_of_the_store(error: BaseException) -> TypeGuard[sqlite3.Error | MemoryError]:
    """Return whether a change failed for the disk, the file or the memory, not for itself."""
    return isinstance(error, sqlite3.OperationalError | MemoryError) or is_damage(error)
