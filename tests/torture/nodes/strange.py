"""`booper` with oddities, named by the first argument: most break a guarantee, for its twin."""

import os
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from booper import fence
from booper.cli import main
from booper.clock import SystemClock
from booper.database_clock import DatabaseClock
from booper.engine.delivery import Delivery
from booper.http import client
from booper.http.request import encode_request
from booper.model.job import Job, Outcome
from booper.store.nouns.queue import RuledQueue
from booper.store.postgres import cancelled_claims, connections, job_moves, job_rows, lease, sharing
from booper.store.postgres.claim_numbers import OldestClaim
from booper.store.postgres.job_columns import COLUMNS, job_of
from booper.store.postgres.job_rows import JobRows
from booper.store.postgres.notifier import Notifier
from booper.store.postgres.queue import PostgresQueue
from booper.store.stored import stored
from booper.store.values import AnnounceRescue, Due, Scan
from tests.torture.nodes.sink import NODE


def no_locks() -> None:
    """Claim what was seen to be due without a lock, and without comparing what it was."""

    def find_all(rows: JobRows, job_ids: Sequence[int]) -> dict[int, Job]:
        found = rows._execute(job_rows.FIND_ALL, [list(job_ids)])
        return {row[0]: job_of(row) for row in found}

    setattr(JobRows, "find_all", find_all)  # noqa: B010
    vars(job_moves)["_IS_SAME"] = "id = number AND was_state <> '' AND was_owner + was_epoch >= 0"


def unlocked() -> None:
    """Count what is on its way, without a lock, a while before a claim: two nodes take one slot."""
    counted = (
        f"WITH known AS ({sharing.KNOWN}) SELECT known.* FROM known, pg_sleep({COUNT_SECONDS})"
    )
    vars(sharing).update(LOCK="SELECT 1", KNOWN=counted)


def forgetful() -> None:
    """Forget a job that is cancelled, though its request goes on."""
    vars(cancelled_claims)["KEEP"] = "SELECT %s, %s, %s, %s"


COUNT_SECONDS: Final = 0.05


def unclaimed() -> None:
    """Probe a failing origin when this node takes it to be time, whoever else has done so."""

    def claim_probe(slots: sharing.SharedSlots, due: Due) -> bool:
        return True

    setattr(sharing.SharedSlots, "_claim_probe", claim_probe)  # noqa: B010


def by_age() -> None:
    """Make due again what was claimed long ago, whether its node is gone or not."""

    async def rescue(queue: PostgresQueue, now: datetime, announce: AnnounceRescue) -> int:
        return await RuledQueue.rescue(queue, now, announce)

    def find_left(rows: JobRows) -> list[Job]:
        values = {"since": stored(SystemClock().now() - AGE)}
        return [job_of(row) for row in rows._execute(OLD, values)]

    setattr(PostgresQueue, "rescue", rescue)  # noqa: B010
    setattr(JobRows, "find_left", find_left)  # noqa: B010


AGE: Final = timedelta(seconds=4)
OLD: Final = f"""
SELECT {COLUMNS} FROM live_jobs
WHERE state = 'executing' AND attempted_at < %(since)s ORDER BY id FOR UPDATE
"""


def named() -> None:
    """Give the node the name of its folder, in the database and in its requests."""
    name = Path.cwd().name
    setattr(socket, "gethostname", lambda: name)  # noqa: B010
    encode = encode_request

    def encode_named(*args: Any, **more: Any) -> tuple[bytes, bool]:
        data, keep_alive = encode(*args, **more)
        line, end, rest = data.partition(b"\r\n")
        return line + end + f"{NODE}: {name}\r\n".encode() + rest, keep_alive

    vars(client)["encode_request"] = encode_named


def slow() -> None:
    """Send a while after the claim, as where a name is looked up for long."""
    send = Delivery.send

    async def later(*args: Any, **more: Any) -> Outcome:
        await SystemClock().pause(LOOKUP)
        return await send(*args, **more)

    setattr(Delivery, "send", later)  # noqa: B010


LOOKUP: Final = timedelta(seconds=0.3)
STEP: Final = timedelta(hours=1)
STEP_FILE: Final = "step"
"""While there is a file of this name in the node's folder, its wall clock is behind."""


def stepped() -> None:
    """Use a wall clock that can be set back by an hour; the monotonic one goes on."""
    now = SystemClock.now

    def stepped_now(clock: SystemClock) -> datetime:
        return now(clock) - STEP if os.path.exists(STEP_FILE) else now(clock)

    setattr(SystemClock, "now", stepped_now)  # noqa: B010


def by_wall() -> None:
    """Count the lease by the wall clock."""
    vars(fence)["since_boot"] = vars(lease)["since_boot"] = lambda: SystemClock().now().timestamp()


def deaf() -> None:
    """Send no notice of due jobs."""
    setattr(Notifier, "note_waiting", lambda notifier, jobs: None)  # noqa: B010


def by_machine() -> None:
    """Go by the machine's wall clock, not by the database's."""
    setattr(DatabaseClock, "now", SystemClock.now)  # noqa: B010


def head() -> None:
    """Look at the first of what is due, whoever it goes to, and no further."""
    due = PostgresQueue.due

    async def first_due(queue: PostgresQueue, *args: Any) -> Scan:
        return Scan((await due(queue, None, HEAD)).found, None)

    setattr(PostgresQueue, "due", first_due)  # noqa: B010


HEAD: Final = 1_000


def from_first() -> None:
    """Count claims from the first one on, though they have ended long ago."""
    setattr(OldestClaim, "note", lambda oldest, known: True)  # noqa: B010


def unsynced() -> None:
    """Acknowledge changes before they are in the log of the database."""
    options = {"options": "-c synchronous_commit=off"}
    vars(connections)["KEEPALIVE"] = {**connections.KEEPALIVE, **options}


ODDITIES: Final[dict[str, Callable[[], None]]] = {
    function.__name__: function
    for function in (
        no_locks,
        unlocked,
        forgetful,
        unclaimed,
        by_age,
        named,
        slow,
        stepped,
        by_wall,
        deaf,
        by_machine,
        head,
        from_first,
        unsynced,
    )
}


if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        ODDITIES[name]()
    sys.exit(main())
