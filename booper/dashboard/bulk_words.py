"""What can be done to many jobs, and a filter and a number of them in words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from booper.errors import FieldError, InvalidRequest
from booper.model.job import State

MAX_COUNT: Final = 10_000
"""How many jobs are counted at most."""

MAX_LOOKED: Final = 5_000
"""How many jobs are looked at to count them, where no index leads to just those that match."""


class Action(msgspec.Struct, frozen=True):
    """Something that can be done to many jobs, and the states in which a job must be for it.

    `verb` and `rest` stand around a number of jobs: "Run 3 jobs now".
    """

    name: str
    notice: str
    states: Sequence[State]
    verb: str
    rest: str = ""
    is_dangerous: bool = False

    def suits(self, states: Sequence[str]) -> bool:
        """Return whether it can be done to jobs in one of these states; of none given, in any."""
        return not states or any(state in states for state in self.states)


_UNFINISHED: Final = (State.SCHEDULED, State.AVAILABLE, State.EXECUTING, State.RETRYABLE)

ACTIONS: Final[Mapping[str, Action]] = {
    each.name: each
    for each in (
        Action("run", "many-run", (State.SCHEDULED, State.RETRYABLE), "Run", " now"),
        Action("retry", "many-retried", (State.DISCARDED, State.CANCELLED), "Retry"),
        Action("cancel", "many-cancelled", _UNFINISHED, "Cancel", is_dangerous=True),
    )
}
"""In the order in which their buttons stand."""

LABELS: Final[Mapping[str, str]] = {
    "state": "State",
    "tag": "Tag",
    "schedule_id": "Schedule",
    "host": "Host",
    "text": "Text",
    "url_prefix": "URL begins with",
    "after": "Scheduled after",
    "before": "Scheduled before",
}
"""The filters of the list, and what they are called beside their fields."""


def action_of(name: str) -> Action:
    """Return an action by its name. Raises: InvalidRequest, there is none."""
    if name not in ACTIONS:
        expected = ", ".join(ACTIONS)
        raise InvalidRequest(
            [FieldError("/action", f"expected one of {expected}, got {name[:40]!r}")]
        )
    return ACTIONS[name]


def filter_in_words(action: Action, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
    """Return which jobs an action changes that a filter matches, by the names of its fields."""
    states = [each for each in action.states if not wanted.get("state") or each in wanted["state"]]
    given = {**wanted, "state": states}
    return {label: " or ".join(given[name]) for name, label in LABELS.items() if name in given}


def most_counted(wanted: Mapping[str, Sequence[str]]) -> int:
    """Return how many jobs are looked at to count those that match a filter."""
    return MAX_LOOKED if wanted.keys() - {"state"} else MAX_COUNT


def count_in_words(counted: Any) -> str:
    """Return how many jobs a dry run has counted: "1 job", "10,000 or more jobs"."""
    number = counted["matched"]
    if not counted.get("is_partial"):
        return "1 job" if number == 1 else f"{number:,} jobs"
    if not number:
        return "all jobs that match"
    return f"{number:,} or more jobs"
