"""What a claim keeps of attempts that begin late: what each has waited for last, and since when."""

from collections.abc import Mapping
from datetime import datetime

from booper.model.job import Job
from booper.model.waiting import KEPT_AFTER, KeptWait, Reason, Wait
from booper.store.transaction import Transaction
from booper.store.values import Claims


def of_predecessor(run: Job, now: datetime) -> Mapping[int, Wait]:
    """Return by its number what a run that begins has waited for, if it was its predecessor."""
    since = run.held_since
    if since is None or now - since <= KEPT_AFTER:
        return {}
    return {run.id: Wait(Reason.PREDECESSOR, since)}


def keep_waits(
    transaction: Transaction, claims: Claims, waits: Mapping[int, Wait], now: datetime
) -> None:
    """Keep what the attempts that begin late have waited for, by the numbers of their jobs.

    Where the file is damaged, nothing more than is needed is written.
    """
    begun = [attempt.job for attempt in claims.begun if attempt.job.id in waits]
    if begun and not transaction.is_damaged:
        transaction.waits.add([KeptWait(job.id, job.attempt, waits[job.id], now) for job in begun])
