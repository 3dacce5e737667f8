"""How much of one request's errors is worked out: a batch can have a hundred thousand."""

from typing import Final

MAX_ERRORS: Final = 100
"""How many errors the response to one create has."""

MAX_BATCH_ERRORS: Final = 1_000
"""How many errors the response to a batch has; a further item that is wrong has one."""

MAX_HINTS: Final = 10
"""How many words are compared with the known ones: each takes up to some milliseconds."""


class ErrorBudget:
    """The number of errors that one request may still report, be it one create or many."""

    def __init__(self, errors: int = MAX_ERRORS, hints: int = MAX_HINTS) -> None:
        self._errors = errors
        self._hints = hints

    @property
    def errors(self) -> int:
        """Return how many errors the next create may have, at least one."""
        return max(1, min(MAX_ERRORS, self._errors))

    def spend(self, errors: int) -> None:
        """Count errors that were found."""
        self._errors -= errors

    def has_hint(self) -> bool:
        """Return whether one more word may be compared, and count it."""
        self._hints -= 1
        return self._hints >= 0
