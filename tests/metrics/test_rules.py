"""The alert rules, as Prometheus's own tool evaluates them: each fires in time, and clears."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.documents import ROOT

RULES = ROOT / "booper" / "metrics" / "rules.yml"
LABELS = {"instance": "a:2667", "job": "booper"}
BUILD = "booper_build_info"
ATTEMPTS = "booper_attempts_total"
COMMITS = "booper_commit_duration_seconds_bucket"
GIB = 1024**3


class Case(NamedTuple):
    """An alert: series by name and labels, a value a minute, and what it says.

    It is not there at `quiet`, fires at `fires`, and is gone at `clears`: minutes from the start.
    """

    alert: str
    severity: str
    series: dict[str, str]
    quiet: int
    fires: int
    clears: int
    summary: str
    description: str
    labels: dict[str, str] = LABELS


CASES = (
    Case(
        "BooperDown",
        "critical",
        {BUILD: "1 _x14 1x9"},
        *(6, 12, 15),  # of a series that ended, Prometheus knows the last value for 5 minutes
        "No booper is scraped.",
        "The process is not running, or Prometheus cannot reach /metrics.",
        {},
    ),
    Case(
        "BooperNotSending",
        "critical",
        {"booper_sending": "0x3 1x3"},
        *(1, 2, 4),
        "booper on a:2667 sends nothing.",
        "The loop does not run, or cannot use the database. The log says why.",
    ),
    Case(
        "BooperStoreUnreadable",
        "critical",
        {BUILD: "1x20", "booper_overdue_jobs": "0 _x9 0x9"},
        *(6, 8, 12),
        "The database of booper on a:2667 cannot be read.",
        "It does not respond in time, or is damaged. Try `booper check`.",
    ),
    Case(
        "BooperCommitsFail",
        "critical",
        {"booper_commit_failures_total": "0 0 2x20"},
        *(1, 3, 9),
        "booper on a:2667 cannot write to its database.",
        "The disk is full, or the file cannot be used. The log says which.",
    ),
    Case(
        "BooperLoopStuck",
        "critical",
        {"booper_loop_age_seconds": "150 151 211 0"},
        *(1, 2, 3),
        "The loop of booper on a:2667 is stuck.",
        "It last looked at what is due 3m 31s ago.",
    ),
    Case(
        "BooperLate",
        "critical",
        {"booper_oldest_ready_seconds": "61x2 0"},
        *(1, 2, 3),
        "booper on a:2667 is late.",
        "A job that nothing holds back has waited for 1m 1s.",
    ),
    Case(
        "BooperOverdue",
        "warning",
        {"booper_oldest_due_seconds": "3601x15 3600"},
        *(14, 15, 16),
        "Jobs of booper on a:2667 wait for over an hour.",
        "The first was due 1h 0m 1s ago. It waits for a slot, a pause, a breaker or another job.",
    ),
    Case(
        "BooperPaused",
        "warning",
        {"booper_paused": "1x60 0"},
        *(59, 60, 61),
        "booper on a:2667 is paused.",
        "`booper resume --all` sends again.",
    ),
    Case(
        "BooperBreakerOpen",
        "warning",
        {'booper_breaker_open{origin="https://x.test"}': "1x10 0"},
        *(9, 10, 11),
        "https://x.test fails again and again.",
        "It is only probed; jobs for it wait.",
        LABELS | {"origin": "https://x.test"},
    ),
    # 4 attempts a minute, of which 3 fail until minute 30.
    Case(
        "BooperAttemptsFail",
        "warning",
        {
            f'{ATTEMPTS}{{outcome="retried"}}': "0+3x30 90x60",
            f'{ATTEMPTS}{{outcome="completed"}}': "0+1x30 30+4x60",
        },
        *(10, 30, 60),
        "Most attempts of booper on a:2667 fail.",
        "75% of them in the last 15 minutes.",
    ),
    Case(
        "BooperJobsDiscarded",
        "warning",
        {f'{ATTEMPTS}{{outcome="discarded"}}': "0 0 1x30"},
        *(1, 3, 19),
        "booper on a:2667 has given up on jobs.",
        "`booper jobs list --state discarded` lists them.",
    ),
    # Prometheus's clock begins at 0 here: 26 hours are 1,560 minutes.
    Case(
        "BooperScheduleNoSuccess",
        "warning",
        {
            'booper_schedule_last_success_timestamp_seconds{schedule="nightly"}': (
                "0x1566 93960x10"  # minute 1566
            )
        },
        *(1_560, 1_566, 1_567),
        "The schedule nightly has not completed for over 26 hours.",
        "A run last completed 1d 2h 6m 0s ago; decades mean that none has.",
        LABELS | {"schedule": "nightly"},
    ),
    Case(
        "BooperSlotsFull",
        "warning",
        {
            "booper_slots": "64x20",
            'booper_in_flight{origin="https://x.test"}': "16x20",
            'booper_in_flight{origin="other"}': "48x15 47",
        },
        *(14, 15, 16),
        "All slots of booper on a:2667 are taken.",
        "`[delivery] concurrency` allows more.",
    ),
    Case(
        "BooperReportsWaiting",
        "warning",
        {"booper_reports_waiting": "1001x30 1000"},
        *(29, 30, 31),
        "Callbacks and webhook events of booper on a:2667 wait.",
        "1001 of them. Their receivers fail, or are slow.",
    ),
    # Of 100 commits a minute, 50 take from 1 to 2.5 seconds: the 99th of them 1 + 1.5 * 49/50.
    Case(
        "BooperCommitsSlow",
        "warning",
        {
            f'{COMMITS}{{le="1.0"}}': "0+50x20 1000+100x40",
            f'{COMMITS}{{le="2.5"}}': "0+100x20 2000+100x40",
            f'{COMMITS}{{le="+Inf"}}': "0+100x20 2000+100x40",
        },
        *(9, 15, 40),
        "Commits of booper on a:2667 are slow.",
        "One in a hundred takes 2.47s.",
    ),
    Case(
        "BooperReaderOld",
        "warning",
        {"booper_oldest_reader_seconds": "61x2 0"},
        *(1, 2, 3),
        "A read of booper's database on a:2667 does not end.",
        "SQLite's log cannot shrink meanwhile.",
    ),
    Case(
        "BooperLogLarge",
        "warning",
        {'booper_database_bytes{part="log"}': f"{GIB // 2}x15 {GIB // 4}"},
        *(14, 15, 16),
        "SQLite's log of booper on a:2667 grows.",
        "It has 512MiB. Another program may hold the database open, such as a sqlite3 shell.",
        LABELS | {"part": "log"},
    ),
    Case(
        "BooperDiskLow",
        "critical",
        {"booper_disk_free_bytes": f"{GIB // 2}x5 {GIB}x5"},
        *(4, 5, 6),
        "The disk of booper on a:2667 is nearly full.",
        "512MiB are free.",
    ),
    # 100 GB, and 1 GB less each 10 minutes: full after 1,000 minutes.
    Case(
        "BooperDiskFills",
        "warning",
        {"booper_disk_free_bytes": "100e9-1e8x120 88e9x720"},
        *(30, 120, 700),
        "The disk of booper on a:2667 will be full within three days.",
        "That is by its growth in the last six hours.",
    ),
    Case(
        "BooperRestarts",
        "warning",
        {BUILD: "1x120", "process_start_time_seconds": "0 60 120 180 240x100"},
        *(3, 4, 64),
        "booper on a:2667 starts again and again.",
        "It started 4 times within an hour.",
    ),
    # 2 a minute, of which the first 15 minutes are extrapolated to 30.
    Case(
        "BooperErrors",
        "warning",
        {'booper_api_requests_total{status="500"}': "0+2x15 30x30"},
        *(3, 15, 35),
        "The API of booper on a:2667 fails.",
        "30 requests in the last 15 minutes got a status of 500 or more.",
    ),
)


def test_every_rule_is_tried() -> None:
    """A rule that nobody has seen fire may never fire."""
    rules = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert rules == [case.alert for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_each_alert_fires_and_clears(case: Case, tmp_path: Path) -> None:
    """Not before its time, and no longer than what it tells of."""
    promtool = shutil.which("promtool")
    if promtool is None and "CI" not in os.environ:
        pytest.skip("needs promtool (Debian: prometheus); the checks on a new machine install it")
    assert promtool is not None
    tests = tmp_path / "rules_test.yml"
    tests.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [described(case)]}))
    done = subprocess.run(
        [promtool, "test", "rules", str(tests)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def described(case: Case) -> dict[str, Any]:
    """Return a case as promtool takes it; JSON is YAML too."""
    expected = {
        "exp_labels": case.labels | {"severity": case.severity},
        "exp_annotations": {"summary": case.summary, "description": case.description},
    }
    return {
        "interval": "1m",
        "input_series": [
            {"series": with_labels(name), "values": values} for name, values in case.series.items()
        ],
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": case.alert, "exp_alerts": alerts}
            for minute, alerts in (
                (case.quiet, []),
                (case.fires, [expected]),
                (case.clears, []),
            )
        ],
    }


def with_labels(series: str) -> str:
    """Return a series with the labels that Prometheus adds to what it scrapes."""
    name, _, own = series.partition("{")
    labels = [f'{label}="{value}"' for label, value in LABELS.items()]
    return f"{name}{{{','.join([*labels, *filter(None, [own.removesuffix('}')])])}}}"
