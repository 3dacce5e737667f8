"""How a database is written and read by the nouns: a change or a read is a function over it."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from booper.store.transaction import Transaction
from booper.store.values import UserKey

T = TypeVar("T")
A = TypeVar("A")


class Reader(Protocol):
    """What reads, as it is at one moment."""

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Return what a read returns. Raises: StoreUnavailable, or what it raised."""


class Writer(Protocol):
    """What writes. A change may be made again from its start, so it does nothing but write."""

    async def run(
        self,
        work: Callable[[Transaction], T],
        *,
        is_durable: bool = True,
        keys: Sequence[UserKey] = (),
    ) -> T:
        """Make a change; return when it is durable. Raises: StoreUnavailable, or what it raised.

        Where it need not be durable, a power loss can take it until the next one that must be.
        `keys` are the idempotency keys that it looks for.
        """

    async def run_together(
        self,
        work: Callable[[Transaction, Sequence[A]], Sequence[T]],
        item: A,
        *,
        is_statement: bool = False,
        keys: Sequence[UserKey] = (),
    ) -> T:
        """Make a change by one call with the others that wait for this `work`.

        `is_statement` promises that it writes its items by one statement.
        """
