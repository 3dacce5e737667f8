"""Times as clients read them, in the three styles of contract §4."""

from datetime import UTC, datetime

import pytest

from booper.model.moment import parse_moment
from booper.wire.timestamps import bare, precise, zoned

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)

# The first is the contract's example of the inner `inserted_at`; its outer one is that, cut.
STAMPS = [
    (
        datetime(2023, 9, 1, 18, 25, 49, 705_161, tzinfo=UTC),
        ("2023-09-01T18:25:49", "2023-09-01T18:25:49.705161Z", "2023-09-01T18:25:49Z"),
    ),
    (
        datetime(2030, 1, 2, 3, 4, 5, 0, tzinfo=UTC),
        ("2030-01-02T03:04:05", "2030-01-02T03:04:05.000000Z", "2030-01-02T03:04:05Z"),
    ),
    (
        datetime(2030, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ("2030-12-31T23:59:59", "2030-12-31T23:59:59.999999Z", "2030-12-31T23:59:59Z"),
    ),
]


@pytest.mark.parametrize(("at", "written"), STAMPS)
def test_each_place_has_its_own_style(at: datetime, written: tuple[str, str, str]) -> None:
    """Outer times have no zone, inner ones six digits always, schedules' seconds; none rounds."""
    assert (bare(at), precise(at), zoned(at)) == written


def test_what_is_written_precisely_can_be_posted_again() -> None:
    """A client may send back a time it was given and means the same instant."""
    at = datetime(2030, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
    assert parse_moment(precise(at), NOW) == at
