"""Jobs as values, for tests of what is done with them."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from booper.model.job import Job, State

USER = UUID("bd2aa099-6eb7-4dbb-9178-32141def1355")
UNIQUE = UUID("41d7f28b-dfbe-44b8-b716-b91898bb0ce0")
URL = "https://target.test/hook"

CREATE_FIELDS = (
    "method",
    "url",
    "query",
    "headers",
    "body",
    "schedule_in",
    "scheduled_at",
    "idempotency_key",
    "name",
    "description",
    "max_attempts",
    "backoff",
    "timeout",
    "expect_status",
    "callback_url",
    "webhook_url",
    "repeat_every",
    "cron",
    "timezone",
    "starts_at",
    "ends_at",
    "max_runs",
    "jitter",
    "overlap",
    "misfire",
    "on_conflict",
    "idempotency_ttl",
    "keep_for",
    "metadata",
    "follow_redirects",
    "tags",
)
"""The fields of a create (contract §3)."""


def executing(at: datetime, **fields: Any) -> Job:
    """Return a job that was created with these fields; its first attempt began at `at`."""
    return Job(
        id=29180,
        uuid=UNIQUE,
        user_id=USER,
        idempotency_key=fields.get("idempotency_key"),
        name=None,
        description=None,
        origin="target.test",
        args=json.dumps({"url": URL, **fields}),
        state=State.EXECUTING,
        attempt=1,
        max_attempts=15,
        inserted_at=at,
        scheduled_at=at,
        planned_at=at,
        attempted_at=at,
    )
