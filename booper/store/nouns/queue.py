"""Jobs as the loop sees them: claims, results, and what a stop or a crash left, by the rules."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from random import Random

from booper.errors import StoreDamaged
from booper.model.job import Job
from booper.model.waiting import Wait
from booper.store.nouns.access import Writer
from booper.store.rules import claiming, replanning, settling
from booper.store.transaction import Transaction
from booper.store.values import (
    Admit,
    Ahead,
    Announce,
    AnnounceRescue,
    Claims,
    DueJob,
    Settled,
    Settlement,
)


class RuledQueue:
    """All of `booper.store.queue.Queue` but its looks at what waits, which are a database's own."""

    def __init__(self, writer: Writer, random: Random) -> None:
        self._written = writer
        self._random = random
        # One and the same for all, so that they are written together.
        self._settle = partial(settling.settle_all, random=random)

    async def claim(
        self,
        due: Sequence[DueJob],
        now: datetime,
        announce: Announce,
        admit: Admit = Admit.NONE,
        waits: Mapping[int, Wait] = {},
    ) -> Claims:
        """Begin an attempt of each of these jobs that still waits for just that time and origin."""
        is_retry = False

        def change(transaction: Transaction) -> Claims:
            nonlocal is_retry
            is_isolated, is_retry = is_retry, True  # the writer makes again what has raised
            return claiming.claim(
                transaction, due, now, announce, self._random, admit, waits, is_isolated=is_isolated
            )

        for _ in due:  # a try that meets a damaged page sets the job there aside
            with suppress(StoreDamaged):
                return await self._write_claim(change)
        return await self._write_claim(change)

    async def _write_claim(self, change: Callable[[Transaction], Claims]) -> Claims:
        """Make a claim. It need not reach the disk before its requests leave.

        A power loss then takes the fact that the attempts began, and they are made again.
        """
        return await self._written.run(change, is_durable=False)

    async def settle(self, settlement: Settlement) -> Settled:
        """Replace a claimed job by what its attempt made of it, with all that reports it."""
        return await self._written.run_together(self._settle, settlement)

    async def release(self, claimed: Sequence[Job], due_at: datetime | None = None) -> None:
        """Release claimed jobs whose attempts were not made, not counting them."""

        await self._written.run(lambda transaction: settling.release(transaction, claimed, due_at))

    async def replan(self, ahead: Ahead, now: datetime) -> Sequence[Job]:
        """Plan these schedules and retries by the clock as it is; return the jobs moved."""

        def change(transaction: Transaction) -> Sequence[Job]:
            return replanning.replan(transaction, ahead, now, self._random)

        return await self._written.run(change)

    async def rescue(self, now: datetime, announce: AnnounceRescue) -> int:
        """Make due again what owners that are gone have left; return how many jobs there were."""
        return await self._written.run(
            lambda transaction: settling.rescue(transaction, now, announce, self._random)
        )
