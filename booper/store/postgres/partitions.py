"""Partitions of finished jobs: those of days to come are made, and old ones dropped whole.

A partition comes and goes under locks of tables that everybody uses. So each change is given a
transaction of its own, and waits for a lock for a moment only: what somebody is in the way of is
left for another time. What has ended on a day without a partition is in that of all other days, and
goes row by row (`pruning`).

A job that is looked for by its number, id or key is looked for in every partition, each with its
indexes. To plan that takes 17 ms with 140 partitions and 1 ms with a dozen. So a partition has
several days where jobs are kept for long.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Final, TypeVar

import msgspec
from psycopg.errors import CheckViolation, DeadlockDetected, LockNotAvailable

from booper.errors import PrunedElsewhere
from booper.model.job import State
from booper.model.retention import Span
from booper.store.postgres.job_columns import COLUMNS
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.stored import loaded, stored

T = TypeVar("T")

DAY: Final = timedelta(days=1)

DAYS_AHEAD: Final = 2
"""How many days before its first one a partition is made."""

MAX_PARTITIONS: Final = 8
"""About how many partitions of a state there are at a time."""

FOREVER_DAYS: Final = 180
"""How many days of jobs that are never deleted a partition has."""

LOCK_MILLISECONDS: Final = 100
"""How long a change waits for a lock, and others behind it."""

ALONE: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('booper partitions', 0))"

# Its bounds are numbers in quotes: FOR VALUES FROM ('0') TO ('86400000000').
BOUNDS: Final = r"""
SELECT bound[1]::bigint, bound[2]::bigint FROM pg_inherits
JOIN pg_class ON pg_class.oid = inhrelid,
    regexp_match(pg_get_expr(relpartbound, inhrelid), 'FROM \(''(.*)''\) TO \(''(.*)''\)') AS bound
WHERE inhparent = %(parent)s::regclass AND bound IS NOT NULL
"""

# To attach a table that is there leaves those alone who write to the other partitions.
CREATE: Final = "CREATE TABLE {name} (LIKE {parent} INCLUDING ALL)"
ATTACH: Final = "ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})"

LOCK: Final = "LOCK TABLE {logs}, {jobs} IN SHARE ROW EXCLUSIVE MODE"

_JOB: Final = f"{COLUMNS}, key_until, keep_for, tags, ended_at"

# What nothing may need but what goes by a rule of its own, and what a report is still to tell of.
MOVE_NEEDED: Final = f"""
WITH needed AS (
    DELETE FROM {{jobs}}
    WHERE key_until > %(now)s OR keep_for IS NOT NULL OR schedule_id IS NOT NULL
        OR id IN (SELECT parent_id FROM live_jobs WHERE parent_id IS NOT NULL)
    RETURNING *
)
INSERT INTO kept_jobs ({_JOB}, class) SELECT {_JOB}, 'kept' FROM needed RETURNING id
"""

_ENTRY: Final = (
    "seq, id, user_id, job_id, kind, event, inserted_at, payload, request, requested_at, ended_at"
)
MOVE_LOGS: Final = f"""
WITH needed AS (DELETE FROM {{logs}} WHERE job_id = ANY(%(ids)s) RETURNING *)
INSERT INTO kept_logs ({_ENTRY}, class) SELECT {_ENTRY}, 'kept' FROM needed
"""

COUNT: Final = """
WITH counted AS (
    SELECT user_id, kind, state, count(*) AS count FROM {jobs} GROUP BY user_id, kind, state
), noted AS (
    INSERT INTO job_counts (user_id, kind, state, count)
    SELECT user_id, kind, state, -count FROM counted
)
SELECT coalesce(sum(count), 0)::bigint FROM counted
"""
FORGET_WAITS: Final = "DELETE FROM waits WHERE job_id IN (SELECT id FROM {jobs})"
FORGET_AUDIT: Final = "DELETE FROM audit_jobs WHERE job_id IN (SELECT id FROM {jobs})"

DROP: Final = "DROP TABLE {logs}, {jobs}"

READ_PATIENCE: Final = "SELECT current_setting('lock_timeout')"
SET_PATIENCE: Final = "SELECT set_config('lock_timeout', %(patience)s, true)"


class Period(msgspec.Struct, frozen=True, order=True):
    """Whole days of UTC, and the jobs of a finished state that have ended in them, with their logs.

    `ends_at` is the first moment after them.
    """

    begins_at: datetime
    ends_at: datetime
    state: State

    @property
    def jobs(self) -> str:
        """Return the name of the partition of jobs."""
        return f"{self.state}_jobs_{self.begins_at:%Y%m%d}"

    @property
    def logs(self) -> str:
        """Return the name of the partition of logs."""
        return f"{self.state}_logs_{self.begins_at:%Y%m%d}"


def missing_periods(
    opened: PostgresTransaction, state: State, now: datetime, kept: Span
) -> list[Period]:
    """Return the periods for which partitions are to be made, in order.

    They go on where the last one ends, so that all of today and of `DAYS_AHEAD` later is in one.
    """
    days = FOREVER_DAYS if kept is None else -(-kept // (MAX_PARTITIONS * DAY))
    return uncovered_periods(opened, state, now, now + DAYS_AHEAD * DAY, max(days, 1))


def uncovered_periods(
    opened: PostgresTransaction, state: State, first: datetime, last: datetime, days: int
) -> list[Period]:
    """Return periods of so many days, or fewer, between those that have partitions already.

    With those the days of both times, and all between them, are covered.
    """
    known = known_periods(opened, state)
    missing = list[Period]()
    begin = datetime.combine(first.date(), time(), UTC)
    while begin <= last:
        end = begin + days * DAY
        covering = [each for each in known if each.begins_at <= begin < each.ends_at]
        if covering:
            end = covering[0].ends_at
        else:
            end = min([end, *(each.begins_at for each in known if each.begins_at > begin)])
            missing.append(Period(begin, end, state))
        begin = end
    return missing


def old_periods(opened: PostgresTransaction, state: State, before: datetime) -> list[Period]:
    """Return the periods with a partition that have ended by a time, the oldest first."""
    return [each for each in known_periods(opened, state) if each.ends_at <= before]


def known_periods(opened: PostgresTransaction, state: State) -> list[Period]:
    """Return the periods that have partitions of a state, in order."""
    rows = opened.execute(BOUNDS, {"parent": f"{state}_jobs"})
    return sorted(Period(loaded(begin), loaded(end), state) for begin, end in rows)


def make_partitions(transaction: PostgresTransaction, period: Period) -> bool:
    """Make the partitions of a period; return whether they are there.

    They are not if somebody is in the way, if another period has a part of that time, or if jobs of
    that time are in the partition for all other days already: then that has to do.
    """

    def change() -> bool:
        parents = {period.jobs: f"{period.state}_jobs", period.logs: f"{period.state}_logs"}
        begin, end = stored(period.begins_at), stored(period.ends_at)
        for name, parent in parents.items():
            transaction.execute(CREATE.format(name=name, parent=parent))
        for name, parent in parents.items():
            transaction.execute(ATTACH.format(name=name, parent=parent, begin=begin, end=end))
        return True

    if not _is_alone(transaction):
        return False
    known = known_periods(transaction, period.state)
    # Another node may have made them meanwhile, and by other settings.
    if any(each.begins_at < period.ends_at and period.begins_at < each.ends_at for each in known):
        return period in known
    return _try(transaction, change) is not None


def drop_partitions(transaction: PostgresTransaction, period: Period, now: datetime) -> int | None:
    """Drop the partitions of a period; return how many jobs went, None if somebody is in the way.

    What something still needs of it is kept from then on by the rules for such jobs.

    Raises:
        PrunedElsewhere: another node changes partitions.
    """

    def change() -> int:
        names = {"jobs": period.jobs, "logs": period.logs}
        # From here on nobody can make one of its jobs due again; everybody can read.
        transaction.execute(LOCK.format(**names))
        needed = transaction.execute(MOVE_NEEDED.format(**names), {"now": stored(now)}).fetchall()
        if needed:
            ids = [number for (number,) in needed]
            transaction.execute(MOVE_LOGS.format(**names), {"ids": ids})
        [(count,)] = transaction.execute(COUNT.format(**names))
        transaction.execute(FORGET_WAITS.format(**names))
        transaction.execute(FORGET_AUDIT.format(**names))
        # Last, since nobody can end a job of this state from here to the end of the transaction.
        transaction.execute(DROP.format(**names))
        return int(count)

    if not _is_alone(transaction):
        raise PrunedElsewhere("another node makes or drops partitions just now")
    if period not in known_periods(transaction, period.state):  # another node has dropped it
        return 0
    return _try(transaction, change)


def _is_alone(transaction: PostgresTransaction) -> bool:
    """Return whether no other node changes partitions before the end of this transaction."""
    [(is_alone,)] = transaction.execute(ALONE)
    return bool(is_alone)


def _try(transaction: PostgresTransaction, change: Callable[[], T]) -> T | None:
    """Make a change and return its result; None if it could not be made now, and was undone."""
    [(patience,)] = transaction.execute(READ_PATIENCE)
    transaction.execute("SAVEPOINT partitions")
    transaction.execute(SET_PATIENCE, {"patience": f"{LOCK_MILLISECONDS}ms"})
    try:
        result = change()
    except (LockNotAvailable, DeadlockDetected, CheckViolation):
        transaction.execute("ROLLBACK TO partitions")  # with the patience
        transaction.execute("RELEASE partitions")
        return None
    transaction.execute("RELEASE partitions")
    transaction.execute(SET_PATIENCE, {"patience": patience})
    return result
