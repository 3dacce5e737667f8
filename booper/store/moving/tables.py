"""What is moved: tables with their columns, in an order in which each can be written.

A row in between two databases has the same values for both: numbers, texts as users gave them, and
the 16 bytes of a UUID. What a database makes of its rows itself is not here: counts of jobs, what
is due, planned times, partitions.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final

import msgspec

Row = tuple[Any, ...]
"""The values of a table's columns, in their order."""

Key = tuple[Any, ...]
"""The values of those columns by which a table is read in order."""


class Values(Enum):
    """What a column has."""

    NUMBER = auto()
    PLAIN = auto()
    """Text that both databases hold alike: words of booper, JSON, origins."""
    TEXT = auto()
    """Text that users gave, in which there may be NUL."""
    UUID = auto()
    BYTES = auto()
    TAGS = auto()
    """A list of texts that users gave, each once and in order."""


class Table(msgspec.Struct, frozen=True):
    """A table of both databases; `key` names the columns by which its rows have an order."""

    name: str
    columns: Mapping[str, Values]
    key: Sequence[str]

    @property
    def names(self) -> list[str]:
        """Return the names of the columns in order."""
        return list(self.columns)

    def key_of(self, row: Row) -> Key:
        """Return the key of a row."""
        return tuple(row[self.names.index(name)] for name in self.key)

    def written(self, key: Key) -> str:
        """Return a key as text, for `read`."""
        return msgspec.json.encode(key).decode()

    def read(self, text: str) -> Key:
        """Return the key that `written` made a text of."""
        kinds = tuple(_TYPES.get(self.columns[name], bytes) for name in self.key)
        key: Key = msgspec.json.decode(text, type=tuple.__class_getitem__(kinds))
        return key


_TYPES: Final[Mapping[Values, type]] = {
    Values.NUMBER: int,
    Values.PLAIN: str,
    Values.TEXT: str,
}

_NUMBER, _PLAIN, _TEXT = Values.NUMBER, Values.PLAIN, Values.TEXT
_UUID, _BYTES = Values.UUID, Values.BYTES


def _table(name: str, key: str, /, **columns: Values) -> Table:
    return Table(name, columns, key.split())


def _numbers(names: str) -> dict[str, Values]:
    return dict.fromkeys(names.split(), _NUMBER)


USERS: Final = _table("users", "id", id=_UUID, name=_TEXT, inserted_at=_NUMBER)

KEYS: Final = _table(
    "keys",
    "id",
    id=_UUID,
    user_id=_UUID,
    name=_TEXT,
    scope=_PLAIN,
    digest=_BYTES,
    **_numbers("inserted_at revoked_at last_used_at"),
)

SESSIONS: Final = _table(
    "sessions", "digest", digest=_BYTES, key_id=_UUID, **_numbers("inserted_at last_used_at")
)

SCHEDULES: Final = _table(
    "schedules",
    "id",
    id=_UUID,
    user_id=_UUID,
    idempotency_key=_TEXT,
    name=_TEXT,
    description=_TEXT,
    origin=_PLAIN,
    args=_PLAIN,
    state=_PLAIN,
    previous=_PLAIN,
    gap=_PLAIN,
    **_numbers("anchor next_at runs inserted_at disabled_at ended_at"),
)

JOBS: Final = _table(
    "jobs",
    "id",
    id=_NUMBER,
    uuid=_UUID,
    user_id=_UUID,
    kind=_PLAIN,
    schedule_id=_UUID,
    idempotency_key=_TEXT,
    name=_TEXT,
    description=_TEXT,
    origin=_PLAIN,
    args=_PLAIN,
    state=_PLAIN,
    last_error=_TEXT,
    **_numbers(
        """
        parent_id path attempt max_attempts interruptions inserted_at scheduled_at planned_at
        retry_until attempted_at completed_at discarded_at cancelled_at owner epoch held_since
        key_until keep_for
        """
    ),
    tags=Values.TAGS,
)
"""A job that is executing keeps its owner, who is gone: the next start rescues it."""

LOGS: Final = _table(
    "logs",
    "seq",
    seq=_NUMBER,
    id=_UUID,
    user_id=_UUID,
    job_id=_NUMBER,
    kind=_PLAIN,
    event=_PLAIN,
    payload=_PLAIN,
    request=_PLAIN,
    **_numbers("inserted_at requested_at"),
)

ALONE: Final = _table("alone", "job_id", job_id=_NUMBER, attempt=_NUMBER)
"""The attempt that may be blamed for a crash; a job that is executing has it, or there is none."""

PAUSES: Final = _table("pauses", "target", target=_TEXT, paused_at=_NUMBER)

BUCKETS: Final = _table(
    "buckets",
    "user_id origin begins_at",
    user_id=_UUID,
    origin=_PLAIN,
    **_numbers("begins_at completed failed discarded skipped late_sum took_sum"),
    **_numbers(" ".join(f"late_{place} took_{place}" for place in range(15))),
)

PRUNING: Final = _table("pruning", "id", **_numbers("id begins_at"))

WAITS: Final = _table(
    "waits",
    "job_id attempt",
    reason=_PLAIN,
    target=_PLAIN,
    **_numbers("job_id attempt since until"),
)

AUDIT: Final = _table(
    "audit",
    "id",
    key_id=_UUID,
    user_id=_UUID,
    action=_PLAIN,
    kind=_PLAIN,
    object=_TEXT,
    detail=_TEXT,
    **_numbers("id at jobs"),
)

AUDIT_JOBS: Final = _table("audit_jobs", "job_id audit_id", **_numbers("job_id audit_id"))

INCIDENTS: Final = _table(
    "incidents",
    "id",
    kind=_PLAIN,
    schedule_id=_UUID,
    name=_TEXT,
    origin=_PLAIN,
    tags=_PLAIN,
    reason=_TEXT,
    **_numbers("id job_id count"),
)

ALERTS: Final = _table(
    "alerts",
    "kind key",
    kind=_PLAIN,
    key=_TEXT,
    id=_UUID,
    subject=_TEXT,
    detail=_TEXT,
    path=_TEXT,
    told=_PLAIN,
    **_numbers("since last_at count closed_at told_at told_count"),
)

TABLES: Final = (
    *(USERS, KEYS, SESSIONS, SCHEDULES, JOBS, LOGS, ALONE, PAUSES, BUCKETS, PRUNING, WAITS),
    *(AUDIT, AUDIT_JOBS, INCIDENTS, ALERTS),
)
"""All that is moved; what a row refers to comes before it."""
