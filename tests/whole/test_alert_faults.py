"""The torture of alerts finds out whatever is broken on purpose, and has a fault of each kind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from booper.model.alert import AlertKind
from tests.torture.alert_faults import FAULTS, Fault, a_run_is_paused, a_tagged_job_is_discarded
from tests.torture.guarantees.alerts import healthy, tried

pytestmark = pytest.mark.anyio

# What is broken, as SQL that does it behind booper's back -> a fault that shows it, what is told.
SABOTAGES: dict[str, tuple[str, Callable[..., object], str]] = {
    "an alert is forgotten at a restart": (
        "CREATE TRIGGER sabotage AFTER INSERT ON alerts BEGIN DELETE FROM alerts; END;",
        a_tagged_job_is_discarded,
        "in the end told [('alert.opened', 'job.discarded', 'billing')]",
    ),
    "what was told is told again after a restart": (
        "CREATE TRIGGER sabotage AFTER INSERT ON alerts WHEN new.told <> 'nothing' BEGIN "
        "UPDATE alerts SET told = 'nothing', told_at = NULL WHERE key = new.key; END;",
        a_run_is_paused,
        "after that told [('alert.opened', 'schedule.late', 'nightly'), ('alert.opened',",
    ),
    "an incident is lost": (
        "CREATE TRIGGER sabotage AFTER INSERT ON incidents BEGIN DELETE FROM incidents; END;",
        a_tagged_job_is_discarded,
        "at first told []",
    ),
}


def test_there_are_twenty_faults_and_one_of_each_kind() -> None:
    """A new kind needs a fault."""
    assert len(FAULTS) == 20
    assert {fault.kind for fault in FAULTS} == set(AlertKind)


@pytest.mark.parametrize("what", SABOTAGES)
async def test_what_is_broken_is_found_out(tmp_path: Path, what: str) -> None:
    """A database that does what it may not makes the fault fail, and the line says how."""
    sabotage, inject, told = SABOTAGES[what]
    [fault] = [each for each in FAULTS if each.inject is inject]
    found = await tried(fault, tmp_path, sabotage)
    assert any(told in each for each in found), found


async def test_days_that_are_not_healthy_are_told_of(tmp_path: Path) -> None:
    """Where every request fails, schedules fail before the first hour is over."""
    _, told = await healthy(1 / 24, fails_each=1)
    assert ("alert.opened", "schedule.failed") in {each[:2] for each in told}


async def test_a_fault_that_is_not_made_is_not_told_of(tmp_path: Path) -> None:
    """The other side of the twins: a short late run is none."""
    [fault] = [each for each in FAULTS if each.inject is a_run_is_paused]
    patient = Fault(fault.inject, fault.kind, {"late": 3_600})
    assert "at first told []" in await tried(patient, tmp_path)
