"""The audit as it is shown: who changed what, and when."""

from uuid import UUID

import msgspec

from booper.model.audit import Change
from booper.wire.timestamps import precise


class AuditEntry(msgspec.Struct, frozen=True):
    """A change: by which key (None: the administrator of the machine), of what, when.

    `object` is the number of a job, the id of a schedule or a key, or a target; None for many jobs.
    `jobs` counts the jobs that it has changed, and `user_id` is whose they are.
    """

    id: int
    at: str
    key_id: UUID | None
    key_name: str | None
    action: str
    kind: str
    object: str | None
    user_id: UUID | None
    jobs: int
    detail: msgspec.Raw


def audit_entry(change: Change) -> AuditEntry:
    """Return a change as it is shown."""
    return AuditEntry(
        change.id,
        precise(change.at),
        change.key_id,
        change.key_name,
        change.action,
        change.kind,
        change.object or None,
        change.user_id,
        change.jobs,
        msgspec.Raw(change.detail),
    )
