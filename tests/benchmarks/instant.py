"""`booper serve` over a store that answers creates at once: what all but the store costs.

Takes the same command line. The rest of the process is booper's own, down to its timers.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from random import Random
from typing import Any

from booper import holder
from booper.cli import main
from booper.errors import BooperError
from booper.model.identity import uuid7
from booper.model.job import Job, NewJob, State
from booper.store.base import Jobs, Store
from booper.store.sqlite import open_store
from booper.store.values import Created, Creation, Subscriber


class InstantJobs:
    """Jobs of which creates alone are not stored."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._ids = count(1)
        self._random = Random()
        self.subscriber: Subscriber = lambda jobs: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def create(self, creation: Creation, now: datetime) -> Created:
        """Answer at once."""
        return self._created(creation, now)

    async def create_many(
        self, creations: Sequence[Creation], now: datetime, *, atomic: bool
    ) -> Sequence[Created | BooperError]:
        """Answer at once."""
        return [self._created(creation, now) for creation in creations]

    def _created(self, creation: Creation, now: datetime) -> Created:
        new = creation.new
        assert isinstance(new, NewJob)
        job = Job(
            id=next(self._ids),
            uuid=uuid7(now, self._random),
            user_id=new.user_id,
            idempotency_key=new.idempotency_key,
            name=new.name,
            description=new.description,
            origin=new.origin,
            args=new.args,
            state=State.SCHEDULED,
            attempt=0,
            max_attempts=new.max_attempts,
            inserted_at=now,
            scheduled_at=new.scheduled_at,
            planned_at=new.planned_at,
        )
        self.subscriber([job])
        return Created(job, is_duplicate=False)


class InstantStore:
    """A store with `InstantJobs`, which announces them as it does what it commits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.jobs = InstantJobs(store.jobs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Subscribe to both."""
        self._store.subscribe(subscriber)
        self.jobs.subscriber = subscriber


@asynccontextmanager
async def open_instant_store(*arguments: Any) -> AsyncIterator[InstantStore]:
    """Open a database, and answer its creates at once."""
    async with open_store(*arguments) as store:
        yield InstantStore(store)


if __name__ == "__main__":
    vars(holder)["open_store"] = open_instant_store
    sys.exit(main())
