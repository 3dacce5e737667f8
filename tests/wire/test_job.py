"""Jobs as the contract shows them (§4)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from booper.model.job import Job, State
from booper.wire.job import HeldBy, JobResource, job_resource, new_job_resource
from booper.wire.redaction import Redaction
from tests.support.jobs import executing

INSERTED = datetime(2023, 9, 1, 18, 25, 49, 705_161, tzinfo=UTC)
SCHEDULED = datetime(2023, 9, 1, 18, 26, 19, 707_539, tzinfo=UTC)
EXAMPLE = replace(
    executing(INSERTED, method="post", headers={}, schedule_in=[30, "seconds"]),
    state=State.SCHEDULED,
    scheduled_at=SCHEDULED,
    planned_at=SCHEDULED,
    attempted_at=None,
    attempt=0,
)


def shown(resource: JobResource) -> dict[str, Any]:
    """Return a resource as a client reads it."""
    text: dict[str, Any] = json.loads(msgspec.json.encode(resource))
    return text


def test_the_example_of_the_contract() -> None:
    """Its keys and its formats of times, and the three keys that booper adds to `job`."""
    assert shown(new_job_resource(EXAMPLE, INSERTED)) == {
        "id": "41d7f28b-dfbe-44b8-b716-b91898bb0ce0",
        "idempotency_key": None,
        "inserted_at": "2023-09-01T18:25:49",
        "name": None,
        "description": None,
        "user_id": "bd2aa099-6eb7-4dbb-9178-32141def1355",
        "schedule_id": None,
        "job_id": 29180,
        "job": {
            "attempted_at": None,
            "cancelled_at": None,
            "completed_at": None,
            "discarded_at": None,
            "has_confict": False,
            "id": 29180,
            "inserted_at": "2023-09-01T18:25:49.705161Z",
            "scheduled_at": "2023-09-01T18:26:19.707539Z",
            "state": "scheduled",
            "attempt": 0,
            "max_attempts": 15,
            "last_error": None,
        },
        "args": {
            "url": "https://target.test/hook",
            "method": "post",
            "headers": {},
            "schedule_in": [30, "seconds"],
        },
    }


@pytest.mark.parametrize(
    ("late", "state"),
    [
        (timedelta(microseconds=-1), "scheduled"),
        (timedelta(0), "available"),
        (timedelta(days=1), "available"),
    ],
)
def test_a_scheduled_job_whose_time_has_come_is_available(late: timedelta, state: str) -> None:
    """The state is derived when the job is read."""
    assert shown(job_resource(EXAMPLE, SCHEDULED + late, Redaction()))["job"]["state"] == state


@pytest.mark.parametrize("name", ["completed", "discarded", "cancelled"])
def test_the_end_of_a_job_has_its_own_time(name: str) -> None:
    """Six digits and `Z`, in the one field of that end."""
    ended: Job = replace(EXAMPLE, state=State(name), **{f"{name}_at": SCHEDULED})
    job = shown(job_resource(ended, SCHEDULED, Redaction()))["job"]
    ends = {end: job[f"{end}_at"] for end in ("completed", "discarded", "cancelled")}
    assert ends == dict.fromkeys(ends) | {name: "2023-09-01T18:26:19.707539Z"}


def test_secrets_are_shown_to_the_creator_alone() -> None:
    """The create's response echoes what was sent; after it the values are hidden."""
    job = executing(INSERTED, headers={"Authorization": "Bearer s3cret"})
    created = shown(new_job_resource(job, INSERTED))["args"]["headers"]
    stored = shown(job_resource(job, INSERTED, Redaction()))["args"]["headers"]
    assert created == {"Authorization": "Bearer s3cret"}
    assert stored == {"Authorization": "[redacted]"}


def test_what_holds_a_job_back_is_shown_where_there_is_something() -> None:
    """`held_by` is absent otherwise: the documented keys are always the same."""
    held_by = HeldBy("pause", "example.com", "2023-09-01T18:25:49.705161Z")
    held = shown(job_resource(EXAMPLE, INSERTED, Redaction(), held_by=held_by))["job"]
    free = shown(job_resource(EXAMPLE, INSERTED, Redaction()))["job"]
    assert held == free | {
        "held_by": {
            "reason": "pause",
            "target": "example.com",
            "since": "2023-09-01T18:25:49.705161Z",
        }
    }
