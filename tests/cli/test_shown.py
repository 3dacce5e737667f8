"""Schedules as the command line shows them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from booper.cli.shown import schedules_table
from booper.client import Schedule

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ID = UUID("41d7f28b-dfbe-44b8-b716-b91898bb0ce0")


def schedule(**fields: Any) -> Schedule:
    """Return a schedule that runs every minute."""
    return Schedule(
        id=ID,
        args={"url": "https://example.com/"},
        frequency={"repeat_every": 60},
        inserted_at=NOW,
        user_id=ID,
        **fields,
    )


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "enabled"),
        ({"disabled_at": NOW}, "disabled"),
        ({"error": "timezone 'Moon/Base' is unknown"}, "error"),
        ({"disabled_at": NOW, "error": "timezone 'Moon/Base' is unknown"}, "disabled"),
    ],
)
def test_a_schedule_is_enabled_or_disabled_or_in_error(fields: dict[str, Any], state: str) -> None:
    """One whose runs cannot be planned is not shown as if it were about to run."""
    heads, row = schedules_table([(schedule(**fields), None)], None)
    assert row.split()[1] == state
    assert heads.split()[1] == "state"
