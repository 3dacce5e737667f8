"""Times and durations that were typed: read as options, and checked for what would be ignored."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

import click

from booper.model.duration import InvalidDuration, parse_duration
from booper.model.moment import parse_moment

_NUMBER = re.compile(r"[0-9]+([.][0-9]+)?")
_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)

# Typing a command and its way to the server take a while.
_GRACE: Final = timedelta(minutes=1)


if TYPE_CHECKING:
    _Type = click.ParamType[float]
else:  # older releases of click take no parameter there
    _Type = click.ParamType


class Seconds(_Type):
    """A duration between bounds, given to the command in seconds."""

    name = "duration"

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest = shortest
        self._longest = longest

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds. Raises: BadParameter, it is no duration or beyond the bounds."""
        text = str(value).strip()
        try:
            seconds = float(text) if _NUMBER.fullmatch(text) else parse_duration(text) / _SECOND
        except InvalidDuration as error:
            self.fail(str(error), param, ctx)
        if not self._shortest <= seconds <= self._longest:
            bounds = f"{self._shortest:g} to {self._longest:g} seconds"
            self.fail(f"must be from {bounds}, got {text!r}", param, ctx)
        return seconds


def check_governed(fields: Mapping[str, Any], now: datetime) -> None:
    """Check that what was typed has an effect: a zone some time, a time that is not past.

    `fields` are those of a create, its times checked already.

    Raises:
        UsageError: the request would go at another time than somebody meant.
    """
    at, is_cron = fields.get("scheduled_at"), fields.get("cron") is not None
    is_local = at is not None and parse_moment(at, None, UTC) != parse_moment(at, None, _ELSEWHERE)
    if fields.get("timezone") is not None and not is_cron and not is_local:
        raise click.UsageError(
            "--timezone applies to --cron, and to an --at without a zone; there is neither"
        )
    if at is None or is_cron:
        return
    # In which zone a local time is meant, the server knows.
    late = now - parse_moment(at, None, UTC)
    if late > (_DAY if is_local else _GRACE):
        raise click.UsageError(f"--at: {at} has passed; leave --at out to send the request now")


_ELSEWHERE: Final = timezone(timedelta(hours=1))
