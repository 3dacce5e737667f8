"""The fields of a create, in one table: what kind of value each takes, its bounds, and its words.

The API checks, describes and decodes by it, the client writes by it, and the command line names its
options by it. The types are those of `booper.model.args.Args`, the choices those of
`booper.model.schedule`; it imports neither, since every command reads this first.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, auto
from typing import Final

import msgspec


class FieldKind(Enum):
    """The kind of value that a field takes."""

    METHOD = auto()
    URL = auto()
    OBJECT = auto()
    HEADERS = auto()
    JSON = auto()
    DURATION = auto()
    MOMENT = auto()
    CRON = auto()
    TIMEZONE = auto()
    TEXT = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    CHOICE = auto()
    TAGS = auto()
    BACKOFF = auto()
    STATUSES = auto()


class Needs(Enum):
    """The fields that another needs to have a meaning: alone it would be ignored in silence."""

    NOTHING = auto()
    RECURRENCE = auto()
    KEY = auto()


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a create.

    `maximum` bounds a number, the length of text, and how many tags or headers there are;
    `shortest` and `longest` bound a duration. `option` is how the command line spells it, None
    where it has no option. One that is fixed belongs to the create: a change may not touch it.
    """

    kind: FieldKind
    description: str = ""
    maximum: int = 0
    shortest: timedelta = timedelta(0)
    longest: timedelta | None = None
    choices: tuple[str, ...] = ()
    default: str | None = None
    needs: Needs = Needs.NOTHING
    is_fixed: bool = False
    option: str | None = None


CREATE_FIELDS: Final[Mapping[str, Field]] = {
    "method": Field(kind=FieldKind.METHOD, default="get", option="METHOD"),
    "url": Field(kind=FieldKind.URL, option="URL"),
    "query": Field(kind=FieldKind.OBJECT, option="--data"),
    "headers": Field(kind=FieldKind.HEADERS, maximum=100, option="--header"),
    "body": Field(
        kind=FieldKind.JSON,
        description="Any JSON; a run may refer to $previous, $state and $job in it",
        option="--data",
    ),
    "schedule_in": Field(kind=FieldKind.DURATION, option="--in"),
    "scheduled_at": Field(kind=FieldKind.MOMENT, option="--at"),
    "idempotency_key": Field(
        kind=FieldKind.TEXT,
        description="While a job with this key has not finished, another create with it makes no "
        "job: the response is 200 with the first job. Then the key is free: the same create makes "
        "a new job, with another Idempotency-Key header. idempotency_ttl keeps the key taken for "
        "longer. A schedule keeps its key until it is deleted or has ended.",
        maximum=255,
        is_fixed=True,
        option="--idempotency-key",
    ),
    "callback_url": Field(kind=FieldKind.URL, option="--callback"),
    "webhook_url": Field(kind=FieldKind.URL, option="--webhook"),
    "repeat_every": Field(kind=FieldKind.DURATION, shortest=timedelta(seconds=1), option="--every"),
    "cron": Field(kind=FieldKind.CRON, option="--cron"),
    "timezone": Field(
        kind=FieldKind.TIMEZONE,
        description="The zone of cron, and of scheduled_at, starts_at and ends_at if they name "
        "none. schedule_in and repeat_every count real time in every zone",
        option="--timezone",
    ),
    "starts_at": Field(
        kind=FieldKind.MOMENT,
        description="No run is before this time. The grid of repeat_every begins there, even if "
        "it has passed",
        needs=Needs.RECURRENCE,
    ),
    "ends_at": Field(
        kind=FieldKind.MOMENT,
        description="Must leave time for at least one run",
        needs=Needs.RECURRENCE,
    ),
    "max_runs": Field(kind=FieldKind.NUMBER, maximum=1_000_000_000, needs=Needs.RECURRENCE),
    "jitter": Field(
        kind=FieldKind.DURATION,
        description="Must be shorter than repeat_every, or than the shortest time between two "
        "runs of a cron, at most a day",
        needs=Needs.RECURRENCE,
    ),
    "overlap": Field(
        kind=FieldKind.CHOICE, choices=("skip", "queue", "allow"), needs=Needs.RECURRENCE
    ),
    "misfire": Field(
        kind=FieldKind.CHOICE, choices=("latest", "skip", "all"), needs=Needs.RECURRENCE
    ),
    "on_conflict": Field(
        kind=FieldKind.CHOICE,
        description="What a create does if its key is taken: ignore makes no job, replace changes "
        "the waiting job or the schedule in place, reject gets the response 409",
        choices=("ignore", "replace", "reject"),
        default="ignore",
        needs=Needs.KEY,
        is_fixed=True,
    ),
    "idempotency_ttl": Field(
        kind=FieldKind.DURATION,
        description="How long the key stays taken, counted from the create, even if the job has "
        "finished; cancelling the job frees it. The default is a setting of the server, 0 unless "
        "changed. The key of a schedule needs none.",
        needs=Needs.KEY,
        is_fixed=True,
        option="--idempotency-ttl",
    ),
    "keep_for": Field(
        kind=FieldKind.DURATION,
        description="How long the job is kept after its end, with its log and its reports. By "
        "default what the server's settings say for its state. Each run of a schedule is kept for "
        "that long, and the newest runs for longer.",
        option="--keep-for",
    ),
    "metadata": Field(kind=FieldKind.BOOLEAN),
    "tags": Field(kind=FieldKind.TAGS, maximum=20, option="--tag"),
    "name": Field(kind=FieldKind.TEXT, maximum=255, option="--name"),
    "description": Field(kind=FieldKind.TEXT, maximum=10_000),
    "max_attempts": Field(kind=FieldKind.NUMBER, maximum=10_000, option="--max-attempts"),
    "backoff": Field(
        kind=FieldKind.BACKOFF,
        description="A wait shorter than a second counts as a second; after the hundredth "
        "attempt, one shorter than a minute counts as a minute",
    ),
    "timeout": Field(
        kind=FieldKind.DURATION,
        shortest=timedelta.resolution,
        longest=timedelta(minutes=15),
        option="--timeout",
    ),
    "follow_redirects": Field(kind=FieldKind.BOOLEAN),
    "expect_status": Field(kind=FieldKind.STATUSES),
}


def fields_of(*kinds: FieldKind) -> tuple[str, ...]:
    """Return the names of the fields of these kinds."""
    return tuple(name for name, field in CREATE_FIELDS.items() if field.kind in kinds)


def fields_that_need(needs: Needs) -> tuple[str, ...]:
    """Return the names of the fields that mean nothing without this."""
    return tuple(name for name, field in CREATE_FIELDS.items() if field.needs is needs)


FIXED_FIELDS: Final = tuple(name for name, field in CREATE_FIELDS.items() if field.is_fixed)
"""The fields that a change may not touch."""
