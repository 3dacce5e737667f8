"""Numbers of rows: drawn in their order, committed in any.

Who follows a table by its numbers would miss a row that is committed late, with a number lower than
others that are there. So each transaction shows, by a shared lock, which number was the last before
it drew its own; the lock ends with it. Below the lowest of these nothing can come any more.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from msgspec.structs import replace

from booper.store.values import Page, Part, Place

if TYPE_CHECKING:
    from booper.store.postgres.transaction import PostgresTransaction


T = TypeVar("T")


class Numbers(NamedTuple):
    """What numbers the rows of a table, and the locks by which that is shown."""

    sequence: str
    space: int


LOG: Final = Numbers("log_numbers", 1)
JOBS: Final = Numbers("job_numbers", 2)
AUDIT: Final = Numbers("audit_id_seq", 3)
MESSAGES: Final = Numbers("message_numbers", 4)

_LAST: Final = "last_value - (NOT is_called)::int"

# A lock of two halves has no more room; what differs by so much cannot be in flight at once.
_HALF: Final = 1 << 31

LAST: Final = f"SELECT {_LAST} FROM {{sequence}}"
IN_FLIGHT: Final = """
SELECT objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND classid = %s AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def drawing(numbers: Numbers) -> str:
    """Return the condition of an INSERT that draws numbers, by which that is shown before.

    It depends on no row, so it is evaluated once for all: a lock for each would be too many.
    """
    last = f"mod({_LAST}, {_HALF})::int"
    return f"""(
    SELECT pg_advisory_xact_lock_shared({numbers.space}, {last}) FROM {numbers.sequence}
) IS NOT NULL"""


def settled_until(opened: "PostgresTransaction", numbers: Numbers) -> int:
    """Return the number up to which all rows are there that will ever be, for a later transaction.

    This one may not see all of them.
    """
    # In this order: whoever begins to draw between the two draws what is behind the last.
    ((last,),) = opened.execute(LAST.format(sequence=numbers.sequence)).fetchall()
    shown = opened.execute(IN_FLIGHT, [numbers.space]).fetchall()
    behind = [(last - half) % _HALF for (half,) in shown]
    # Whoever began after the last was read is ahead of it, and that is no long way.
    return int(last - max((count for count in behind if count < _HALF // 2), default=0))


def settled_part(part: Part[T], page: Page, until: int, number_of: Callable[[T], int]) -> Part[T]:
    """Return a part of a rising list, without what is behind `until` if others follow it.

    What comes in between is then in the next part. The last part has all that is there, and so has
    one that leaves some out at its beginning: nobody follows a list by that.
    """
    if part.rest is None or part.rest.id <= until or page.place.skip:
        return part
    end = max(until, page.place.id)
    items = [each for each in part if number_of(each) <= end]
    return replace(part, items=items, rest=Place(is_behind=True, value=end, id=end))
