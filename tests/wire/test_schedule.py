"""Schedules as the contract shows them (§6)."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from booper.model.schedule import Schedule
from booper.wire.redaction import Redaction
from booper.wire.schedule import ScheduleResource, schedule_detail, schedule_resource

AT = datetime(2030, 1, 1, 12, 0, 0, 705_161, tzinfo=UTC)
URL = "https://target.test/hook"


def schedule(**fields: object) -> Schedule:
    """Return a schedule that was created with these fields."""
    return Schedule(
        id=UUID("5b0e3f0a-32a5-4c1f-9d57-0f6b1c5de8f1"),
        user_id=UUID("bd2aa099-6eb7-4dbb-9178-32141def1355"),
        idempotency_key=None,
        name="n",
        description=None,
        origin="https://target.test",
        args=json.dumps({"url": URL, **fields}),
        anchor=AT,
        next_at=AT,
        runs=0,
        inserted_at=AT,
    )


def shown(resource: ScheduleResource) -> dict[str, Any]:
    """Return a resource as a client reads it."""
    read: dict[str, Any] = json.loads(msgspec.json.encode(resource))
    return read


def test_a_schedule_has_the_keys_of_the_contract() -> None:
    """id, name, description, inserted_at, disabled_at, user_id, frequency, args; and booper's own.

    These are `ended_at` and `next_run_at`.
    """
    assert shown(schedule_resource(schedule(repeat_every=[2, "minutes"]), Redaction())) == {
        "id": "5b0e3f0a-32a5-4c1f-9d57-0f6b1c5de8f1",
        "name": "n",
        "description": None,
        "inserted_at": "2030-01-01T12:00:00",
        "disabled_at": None,
        "ended_at": None,
        "next_run_at": "2030-01-01T12:00:00.705161Z",
        "user_id": "bd2aa099-6eb7-4dbb-9178-32141def1355",
        "frequency": {"repeat_every": [2, "minutes"]},
        "args": {"url": URL, "repeat_every": [2, "minutes"]},
    }


@pytest.mark.parametrize(
    ("fields", "frequency"),
    [
        ({"repeat_every": 90}, {"repeat_every": 90}),
        ({"repeat_every": [1.5, "hours"]}, {"repeat_every": [1.5, "hours"]}),
        ({"cron": "0 9 * * *"}, {"cron": "0 9 * * *", "timezone": "UTC"}),
        (
            {"cron": "0 9 * * *", "timezone": "Europe/Berlin"},
            {"cron": "0 9 * * *", "timezone": "Europe/Berlin"},
        ),
    ],
)
def test_the_frequency_is_how_it_repeats(fields: dict[str, Any], frequency: dict[str, Any]) -> None:
    """As it was asked for; the zone of a cron is named also where nobody named it."""
    assert shown(schedule_resource(schedule(**fields), Redaction()))["frequency"] == frequency


def test_the_time_of_disabling_has_whole_seconds_and_a_zone() -> None:
    """Unlike `inserted_at`, which has no zone (§4)."""
    disabled = replace(schedule(repeat_every=60), disabled_at=AT)
    assert shown(schedule_resource(disabled, Redaction()))["disabled_at"] == "2030-01-01T12:00:00Z"


def test_a_schedule_that_cannot_be_planned_says_why() -> None:
    """Its zone was known to an older time zone database, for example."""
    lost = schedule(cron="0 9 * * *", timezone="Mars/Olympus")
    assert "Mars/Olympus" in shown(schedule_resource(lost, Redaction()))["error"]


@pytest.mark.parametrize("over", ["disabled_at", "ended_at"])
def test_only_a_schedule_that_goes_on_has_a_next_run(over: str) -> None:
    """While it is disabled, its next time is only remembered."""
    found = shown(schedule_resource(replace(schedule(repeat_every=60), **{over: AT}), Redaction()))
    assert found["next_run_at"] is None
    assert (found["ended_at"] is not None) is (over == "ended_at")


def test_secret_headers_are_hidden() -> None:
    """The args of a schedule are shown as those of a job (§4)."""
    secret = schedule(repeat_every=60, headers={"Authorization": "Bearer s3cret"})
    headers = shown(schedule_resource(secret, Redaction()))["args"]["headers"]
    assert headers == {"Authorization": "[redacted]"}


def test_the_next_times_are_shown_in_utc_and_in_the_zone_of_the_schedule() -> None:
    """Berlin is an hour before UTC in winter and two hours in summer."""
    times = [
        datetime(2030, 3, 30, 8, 0, 0, tzinfo=UTC),
        datetime(2030, 3, 31, 7, 0, 0, tzinfo=UTC),
    ]
    daily = schedule(cron="0 9 * * *", timezone="Europe/Berlin")
    detail = shown(schedule_detail(daily, Redaction(), times, ZoneInfo("Europe/Berlin")))
    assert detail["next_runs"] == ["2030-03-30T08:00:00.000000Z", "2030-03-31T07:00:00.000000Z"]
    assert detail["next_runs_local"] == ["2030-03-30T09:00:00+01:00", "2030-03-31T09:00:00+02:00"]


def test_one_schedule_shows_what_its_runs_have_left() -> None:
    """`$state` and `$previous`, numbers as they came."""
    left = replace(schedule(repeat_every=60), state='{"n":1.10}', previous='[{"a":1e2}]')
    text = msgspec.json.encode(schedule_detail(left, Redaction(), [], UTC)).decode()
    assert '"state":{"n":1.10},"previous":[{"a":1e2}]' in text
