"""Which jobs a list has, and in which order: the terms of its SQL, and their values.

A list is a merge of streams, one for each kind and stored state that is asked for
(`listing_sources`). What no index leaves out (a tag, a URL, a span of time in a list by id) is
passed over on the way, so many jobs at a time as the query is told (`search`); unless it is known
to leave few jobs, which are then sorted.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from booper.model.job import State
from booper.store.postgres.listing_filters import apart, filter_values, is_apart
from booper.store.stored import stored
from booper.store.values import JobFilter

EARLIEST: Final = -(2**63)
LATEST: Final = 2**63 - 1
UNCLAIMED: Final = frozenset({State.SCHEDULED, State.AVAILABLE})


class Listing(msgspec.Struct, frozen=True):
    """Which of a user's jobs are listed, in which order, from where on; states are those at `now`.

    One that `is_behind` begins behind a job, one that `has_end` (by rising id) ends at one.
    """

    user_id: UUID
    wanted: JobFilter
    order: tuple[str, bool]
    now: datetime
    is_behind: bool = False
    has_end: bool = False

    @property
    def is_by_time(self) -> bool:
        """Return whether the order is that of `scheduled_at`; all others are that of ids.

        Jobs are numbered as they are inserted, so that of `inserted_at` is as well.
        """
        return self.order[0] == "scheduled_at"

    @property
    def is_falling(self) -> bool:
        """Return whether the newest is the first."""
        return self.order[1]

    @property
    def direction(self) -> str:
        """The SQL of the order's direction."""
        return "DESC" if self.is_falling else "ASC"

    @property
    def ordering(self) -> str:
        """The SQL of the order; that of ids is written as only the indexes of lists have it."""
        if self.is_by_time:
            return f"scheduled_at {self.direction}, id {self.direction}"
        return f"id {'DESC NULLS LAST' if self.is_falling else 'ASC NULLS FIRST'}"

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of jobs that are wanted, each once, by the names of their values."""
        return {str(n): str(kind) for n, kind in enumerate(dict.fromkeys(self.wanted.kinds))}

    @property
    def spans(self) -> dict[str, tuple[int, int]]:
        """The stored states that are wanted: from when on, and before when, they may be due."""
        states = self.wanted.states or frozenset(State)
        low = stored(self.wanted.after) if self.wanted.after else EARLIEST
        high = stored(self.wanted.before) if self.wanted.before else LATEST
        spans = {str(state): (low, high) for state in sorted(states - UNCLAIMED)}
        if states & UNCLAIMED:
            to_come = stored(self.now) + 1
            begin = low if State.AVAILABLE in states else max(low, to_come)
            end = high if State.SCHEDULED in states else min(high, to_come)
            spans[str(State.SCHEDULED)] = (begin, end)
        return spans

    def span(self, state: str) -> str:
        """Return the SQL of the times that are wanted in a stored state, '' if all are."""
        low, high = self.spans[state]
        begin = "" if low == EARLIEST else f"AND scheduled_at >= %(low_{state})s"
        end = "" if high == LATEST else f"AND scheduled_at < %(high_{state})s"
        return f"{begin} {end}".strip()

    @property
    def matches(self) -> str:
        """The SQL of whether a job is wanted, but for a text; whatever led to it."""
        spans = " OR ".join(f"(state = '{state}' {self.span(state)})" for state in self.spans)
        among = f"user_id = %(user_id)s AND kind = ANY(%(kinds)s) AND ({spans})"
        return f"{among} {apart(self.wanted)}"

    @property
    def values(self) -> Mapping[str, object]:
        """The values of all the SQL of this list but its page's."""
        kinds = self.kinds
        return {
            "user_id": self.user_id,
            "kinds": list(kinds.values()),
            **{f"kind_{name}": kind for name, kind in kinds.items()},
            **{f"low_{state}": low for state, (low, _) in self.spans.items()},
            **{f"high_{state}": high for state, (_, high) in self.spans.items()},
            **filter_values(self.wanted),
        }

    @property
    def is_exact(self) -> bool:
        """Return whether the streams lead to just what is wanted."""
        has_bounds = any(self.span(state) for state in self.spans)
        return not is_apart(self.wanted) and (self.is_by_time or not has_bounds)
