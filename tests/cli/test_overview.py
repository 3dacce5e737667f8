"""`booper status`, as a person reads it."""

from typing import Any

from booper.cli.overview import overview_lines

FOUND: dict[str, Any] = {
    "status": "ready",
    "version": "1.2.3",
    "python": "3.11.7",
    "sqlite": "3.40.1",
    "jobs": {"scheduled": 12_345, "executing": 2, "completed": 0},
    "reports_waiting": 7,
    "due": {"count": 10_000, "are_more": True, "oldest_at": "2030-01-01T12:00:00.000000Z"},
    "last_hour": {
        "completed": 58,
        "failed": 1,
        "discarded": 0,
        "skipped": 0,
        "late_seconds": 0.05,
    },
    "slots": {"total": 64, "taken": 2, "origins": {"https://a.test": 2}},
    "pauses": [
        {"target": "*", "paused_at": "2030-01-01T12:00:00.000000Z"},
        {"target": "b.test", "paused_at": "2030-01-01T12:00:00.000000Z"},
    ],
    "breakers": [{"origin": "https://c.test", "opened_at": "2030-01-01T12:00:00.000000Z"}],
    "database_bytes": {"file": 999, "log": 1_000, "free": 2_500_000},
    "disk_free_bytes": 1_200_000_000_000_000,
    "backups": {
        "last_at": None,
        "is_late": True,
        "error": "no space",
    },
    "alerts": {
        "looked_at": "2030-01-01T12:00:00.000000Z",
        "error": "mail: refused",
        "open": [
            {
                "kind": "job.discarded",
                "subject": "billing",
                "since": "2030-01-01T12:00:00.000000Z",
                "detail": "job 7 was discarded",
                "count": 1_200,
            },
            {
                "kind": "disk.low",
                "subject": "disk",
                "since": "2030-01-01T12:00:00.000000Z",
                "detail": "9 bytes are free",
                "count": 1,
            },
        ],
    },
}


def test_everything_has_a_line() -> None:
    """Numbers with commas, sizes with units, times to the second."""
    assert overview_lines(FOUND, None) == [
        "version    1.2.3, Python 3.11.7, SQLite 3.40.1",
        "jobs       12,345 scheduled, 2 executing, 0 completed",
        "overdue    10,000+, since 2030-01-01 12:00:00Z",
        "last hour  58 completed, 1 failed, 0 discarded, 0 skipped, 99 % at most 0.05 s late",
        "in flight  2 of 64: https://a.test 2",
        "reports    7 waiting",
        "paused     everything, since 2030-01-01 12:00:00Z",
        "paused     b.test, since 2030-01-01 12:00:00Z",
        "failing    https://c.test, probed since 2030-01-01 12:00:00Z",
        "database   file 999 B, log 1.0 kB, free 2.5 MB; 1200.0 TB free on the disk",
        "backups    none yet, too old; no space",
        "alert      job.discarded billing, since 2030-01-01 12:00:00Z: job 7 was discarded "
        "(1,200 times)",
        "alert      disk.low disk, since 2030-01-01 12:00:00Z: 9 bytes are free",
        "alerts     cannot be sent: mail: refused",
    ]


def test_what_is_not_told_has_no_line() -> None:
    """A key that does not administer sees whether booper is ready."""
    assert overview_lines({"status": "ready"}, None) == []
