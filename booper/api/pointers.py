"""Where a create is wrong: its errors, each with the JSON Pointer of its field (RFC 6901)."""

from collections.abc import Callable
from typing import Any, TypeVar

from booper.api.budget import ErrorBudget
from booper.errors import FieldError, InvalidRequest, TargetRefused
from booper.model.duration import InvalidDuration
from booper.model.timezones import InvalidTimezone

T = TypeVar("T")


class Findings:
    """The errors of a create, collected field by field, as far as its request's budget goes."""

    def __init__(self, budget: ErrorBudget | None = None) -> None:
        self.errors: list[FieldError] = []
        self._budget = budget

    @property
    def budget(self) -> ErrorBudget:
        """Return what is left for the errors of the request."""
        if self._budget is None:
            self._budget = ErrorBudget()
        return self._budget

    def refusal(self) -> InvalidRequest:
        """Return the errors as one, spending the budget."""
        error = InvalidRequest(self.errors, self.budget.errors)
        self.budget.spend(len(error.errors))
        return error

    def add(self, pointer: str, detail: str) -> None:
        """Note an error."""
        self.errors.append(FieldError(pointer, detail))

    def read(self, pointer: str, reading: Callable[..., T], *values: Any) -> T | None:
        """Return what `reading` makes of the values, or note its error and return None."""
        try:
            return reading(*values)
        except InvalidDuration as error:
            part = "" if error.part is None else f"/{error.part}"
            self.add(pointer + part, str(error))
        except InvalidTimezone as error:
            self.add(pointer, error.text(suggests=self.budget.has_hint()))
        except (ValueError, TargetRefused) as error:
            self.add(pointer, str(error))
        return None
