"""What OpenAPI says of types beyond what their annotations say: of their fields, and as a whole."""

from collections.abc import Mapping
from typing import Final

from booper.api import channels
from booper.api.batch import MAX_JOBS_OF_BATCH
from booper.api.filters import MAX_PREFIX_LENGTH, MAX_TEXT_LENGTH
from booper.api.schemas import (
    ANYTHING,
    CREATE,
    NO_CONTROL,
    NOT_BLANK,
    NULL,
    RULES_OF_CREATE,
    UUID,
    Schema,
    absent,
    choice,
    listed,
    matching,
    reference,
    text,
)
from booper.model.job import State
from booper.model.key import MAX_NAME_LENGTH, Scope
from booper.model.origin import APP_NAME

_STATES = listed(State)
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_NAME = {
    **text(MAX_NAME_LENGTH),
    "pattern": NO_CONTROL,
    "allOf": [{"pattern": NOT_BLANK}],
    "description": "Printable characters",
}
_FILTER: Final[Mapping[str, Schema]] = {
    "state": {"anyOf": [_STATES, {"type": "array", "items": _STATES}]},
    "tag": text(MAX_PREFIX_LENGTH),
    "schedule_id": UUID,
    "url_prefix": text(MAX_PREFIX_LENGTH),
    "host": text(MAX_PREFIX_LENGTH),
    "text": text(MAX_TEXT_LENGTH),
    "before": reference("Moment"),
    "after": reference("Moment"),
}

FIELDS: Final[Mapping[str, Mapping[str, Schema]]] = {
    "Args": CREATE,
    "Batch": {
        "jobs": {"type": "array", "items": ANYTHING, "minItems": 1, "maxItems": MAX_JOBS_OF_BATCH}
    },
    "Broadcast": {**channels.FIELDS, "channel": matching(channels.CHANNEL.pattern)},
    "FilterBody": _FILTER,
    "TargetBody": {
        "host": {**matching(r"[^\s/@?#\\]+|app:/"), "description": "A host, a host:port, or *"},
        "origin": matching(rf"([Hh][Tt][Tt][Pp][Ss]?://[^\s@?#\\]+|app:(//{APP_NAME.pattern})?/?)"),
    },
    "JobState": {
        "attempted_at": _TIME,
        "cancelled_at": _TIME,
        "completed_at": _TIME,
        "discarded_at": _TIME,
        "inserted_at": _TIME,
        "scheduled_at": _TIME,
        "state": choice(State),
    },
    "KeyRequest": {"name": _NAME, "user": _NAME, "scope": choice(Scope)},
    "Post": channels.FIELDS,
}
"""What is said of the fields of types, by their names, where they are not null."""

_ALL: Final[Schema] = {"required": ["all"], "properties": {"all": {"const": True}}}
_SOME: Final[Schema] = {
    "type": "object",
    "anyOf": [
        {"required": [name], "properties": {name: {"not": {"enum": [None, []]}}}}
        for name in _FILTER
    ],
}
_OWN_KEYS: Final[Schema] = {"patternProperties": {"^[$]": {}}}
RULES: Final[Mapping[str, Schema]] = {
    "Args": {"allOf": RULES_OF_CREATE},
    "Broadcast": _OWN_KEYS,
    "Post": _OWN_KEYS,
    "TargetBody": {"anyOf": [absent("host"), absent("origin")]},
    "ManyBody": {
        "anyOf": [
            _ALL,
            {"required": ["filter"], "properties": {"filter": _SOME}},
            {
                "required": ["filter"],
                "properties": {"filter": {**_ALL, "type": "object"}, "all": NULL},
            },
        ]
    },
}
"""What is said of types as a whole: what their fields allow each other."""
