"""What the types cannot say in JSON Schema: the bounds and forms that the API checks on its own.

Nothing here checks anything. The limits come from the modules that do, so that they agree; what no
schema can say (it depends on the time, or on two numbers) is in a description.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import available_timezones

from booper.api import patterns
from booper.api.values import (
    KEY_ONLY,
    LONGEST_TAG,
    LONGEST_TIMEOUT,
    MAX_DESCRIPTION_LENGTH,
    MAX_KEY_LENGTH,
    MAX_NAME_LENGTH,
    MOST_ATTEMPTS,
    MOST_HEADERS,
    MOST_RUNS,
    MOST_TAGS,
    RECURRING_ONLY,
    SHORTEST_INTERVAL,
)
from booper.clock import EPOCH
from booper.engine.headers import MAX_NAME_BYTES, MAX_VALUE_BYTES
from booper.guard.target import MAX_URL_LENGTH
from booper.model.args import METHODS
from booper.model.duration import MAX_DURATION, UNITS
from booper.model.moment import MILLISECONDS_FROM
from booper.model.retry import EXPONENTIAL
from booper.model.schedule import Conflict, Misfire, Overlap

Schema = dict[str, Any]

NULL: Final[Schema] = {"type": "null"}
ANYTHING: Final[Schema] = {}
UUID: Final[Schema] = {"type": "string", "format": "uuid"}


def text(longest: int, shortest: int = 1) -> Schema:
    """Describe text by its number of characters."""
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def matching(pattern: str, **more: Any) -> Schema:
    """Describe text that a regular expression matches as a whole."""
    return {"type": "string", "pattern": f"^({pattern})$", **more}


def whole(low: int, high: int) -> Schema:
    """Describe an integer between bounds, both included."""
    return {"type": "integer", "minimum": low, "maximum": high}


def choice(words: Iterable[str]) -> Schema:
    """Describe a choice of words."""
    return {"type": "string", "enum": [str(word) for word in words]}


def listed(words: Iterable[str]) -> Schema:
    """Describe one word or several with commas between them."""
    word = "|".join(words)
    return matching(f"({word})(,({word}))*")


def optional(schema: Schema) -> Schema:
    """Describe a field that may be null, which counts as absent (contract §3)."""
    return {"anyOf": [schema, NULL]}


def reference(name: str) -> Schema:
    """Refer to a schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def duration(shortest: timedelta = timedelta(0), longest: timedelta = MAX_DURATION) -> Schema:
    """Describe seconds or `[n, unit]`, between bounds."""

    def amount(unit: timedelta) -> Schema:
        return {"type": "number", "minimum": shortest / unit, "maximum": longest / unit}

    pairs = [
        {
            "type": "array",
            "prefixItems": [amount(length), matching(f"({patterns.any_case([name])})[Ss]?")],
            "items": False,
            "minItems": 2,
            "maxItems": 2,
        }
        for name, length in UNITS.items()
    ]
    seconds = amount(timedelta(seconds=1))
    # The bounds of text, which a pattern cannot compare, are those of the widest durations.
    texts = [matching(patterns.DURATION)] if longest == MAX_DURATION else []
    return {
        "description": "Seconds, an amount and its unit, or text such as 90s, 5m, 1h30m, 2 days "
        "or ISO 8601's PT5M",
        "anyOf": [seconds, *pairs, *texts],
    }


def moment(now: datetime) -> Schema:
    """Describe a point in time: ISO 8601 text, or a Unix time, at most a century from `now`."""
    latest = (now + MAX_DURATION - EPOCH).total_seconds()
    seconds = {"type": "number", "minimum": 0, "maximum": latest}
    milliseconds = {"type": "number", "minimum": MILLISECONDS_FROM, "maximum": latest * 1000}
    return {
        "description": "ISO 8601, basic or extended; without a zone it is in `timezone`, or UTC. "
        "Or a Unix time, in seconds, or from 10^11 on in milliseconds; as text it has 9 or 10 "
        "digits of seconds or 13 of milliseconds",
        "anyOf": [matching(patterns.MOMENT), seconds, milliseconds],
    }


URL: Final[Schema] = {
    **matching(patterns.URL),
    "maxLength": MAX_URL_LENGTH,
    "description": "https, or http where the operator allows it. The pattern leaves out hosts that "
    "are no names in ASCII: addresses such as https://192.0.2.1/ and international names.",
}
CRON: Final[Schema] = {
    **matching(patterns.CRON),
    "description": "Minute, hour, day of month, month, day of week. The pattern leaves out "
    "lists of ranges, ranges with a step, ranges of minutes, and names in small letters.",
}
HEADERS: Final[Schema] = {
    "type": "object",
    "propertyNames": matching(patterns.TOKEN, maxLength=MAX_NAME_BYTES),
    "additionalProperties": {
        "anyOf": [
            matching(patterns.FIELD_VALUE, maxLength=MAX_VALUE_BYTES),
            {"type": "number"},
            {"type": "boolean"},
        ]
    },
    "maxProperties": MOST_HEADERS,
    "description": "Names that frame or route the message are refused: Connection, "
    "Content-Length, Expect, Host, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade. "
    "Names that differ only in letter case are one header, and refused.",
}

_AT, _WAIT, _URL = reference("Moment"), reference("Duration"), reference("Url")

CREATE: Final[Mapping[str, Schema]] = {
    "method": matching(patterns.any_case(METHODS), default="get"),
    "url": _URL,
    "query": {"type": "object"},
    "headers": HEADERS,
    "body": {"description": "Any JSON; a run may refer to $previous, $state and $job in it"},
    "schedule_in": _WAIT,
    "scheduled_at": _AT,
    "idempotency_key": {
        **text(MAX_KEY_LENGTH),
        "description": "While a job with this key has not finished, a create with it makes none: "
        "the response is 200, with that job. Once it has finished or is cancelled, the key is free "
        "again, and a create with it makes a new job, whose requests have another Idempotency-Key "
        "header. idempotency_ttl keeps it taken for longer. A schedule holds its key until it is "
        "deleted or has ended.",
    },
    "callback_url": _URL,
    "webhook_url": _URL,
    "repeat_every": duration(SHORTEST_INTERVAL),
    "cron": reference("Cron"),
    "timezone": {
        **reference("Timezone"),
        "description": "The zone of cron, and of scheduled_at, starts_at and ends_at where they "
        "name none. It does not govern schedule_in and repeat_every, which count real time",
    },
    "starts_at": {
        **_AT,
        "description": "No run is before it. It anchors the grid of repeat_every, also in the past",
    },
    "ends_at": {**_AT, "description": "Must leave time for at least one run"},
    "max_runs": whole(1, MOST_RUNS),
    "jitter": {
        **_WAIT,
        "description": "Must be shorter than repeat_every, or than the shortest time between two "
        "runs of a cron, at most a day",
    },
    "metadata": {"type": "boolean"},
    "follow_redirects": {"type": "boolean"},
    "overlap": choice(Overlap),
    "misfire": choice(Misfire),
    "on_conflict": {
        **choice(Conflict),
        "default": Conflict.IGNORE.value,
        "description": "What a create does whose key is taken: ignore makes none, replace changes "
        "the waiting job or the schedule in its place, reject answers 409",
    },
    "idempotency_ttl": {
        **_WAIT,
        "description": "How long the key stays taken, counted from the create, even if the job has "
        "finished before; a cancelled job frees it. By default what the server's setting says, "
        "which is not at all. A schedule's key needs none.",
    },
    "tags": {"type": "array", "items": text(LONGEST_TAG), "maxItems": MOST_TAGS},
    "name": text(MAX_NAME_LENGTH),
    "description": text(MAX_DESCRIPTION_LENGTH),
    "max_attempts": whole(1, MOST_ATTEMPTS),
    "backoff": {
        "description": "A wait shorter than a second counts as a second, after the hundredth "
        "attempt one shorter than a minute as a minute",
        "anyOf": [{"const": EXPONENTIAL}, {"type": "array", "items": _WAIT, "minItems": 1}],
    },
    "timeout": duration(timedelta.resolution, LONGEST_TIMEOUT),
    "expect_status": {
        "type": "array",
        "items": {"anyOf": [whole(100, 599), matching("[1-5][Xx][Xx]")]},
        "minItems": 1,
    },
}
"""The fields of a create, where they are not null."""


def absent(*fields: str) -> Schema:
    """Describe an object in which these fields are null or not there."""
    return {"properties": dict.fromkeys(fields, NULL)}


def given(field: str) -> Schema:
    """Describe an object in which this field is there and not null."""
    return {"required": [field], "properties": {field: {"not": NULL}}}


RULES_OF_CREATE: Final = [
    {"anyOf": [absent("schedule_in"), absent("scheduled_at")]},
    {"anyOf": [absent("repeat_every"), absent("cron")]},
    {"anyOf": [given("repeat_every"), given("cron"), absent(*RECURRING_ONLY)]},
    {"anyOf": [given("idempotency_key"), absent(*KEY_ONLY)]},
]
"""What the fields of a create allow each other."""

_NUMBER = "[1-9][0-9]{0,8}"
_BOOLEAN = choice(["true", "false"])
_PAIR: Final[Schema] = {
    "type": "array",
    "prefixItems": [matching("[1-9][0-9]{0,2}"), matching(f"({'|'.join(UNITS)})s?")],
    "items": False,
    "minItems": 2,
    "maxItems": 2,
}

FORM_OF_CREATE: Final[Schema] = {
    "type": "object",
    "description": "The fields of a create in bracket notation: a[b]=1 is an object; "
    "a[]=1&a[]=2 is a list, and so is a[0]=1&a[1]=2. "
    "What is not shown here is written in the same way.",
    "properties": {
        **{name: CREATE[name] for name in ("method", "url", "idempotency_key", "cron", "timezone")},
        **{name: CREATE[name] for name in ("callback_url", "webhook_url", "name", "description")},
        "schedule_in": matching(f"{_NUMBER}|{patterns.DURATION}"),
        "schedule_in[]": _PAIR,
        "scheduled_at": matching(patterns.MOMENT),
        "repeat_every": matching(f"{_NUMBER}|{patterns.DURATION}"),
        "repeat_every[]": _PAIR,
        "max_attempts": matching("[1-9][0-9]{0,3}"),
        "timeout": matching("[1-8]?[0-9]?[1-9]"),
        "metadata": _BOOLEAN,
        "follow_redirects": _BOOLEAN,
        "tags[]": {"anyOf": [text(LONGEST_TAG), {**CREATE["tags"], "minItems": 1}]},
    },
    "patternProperties": {
        r"^(body|query)\[[^\[\]]+\]$": {"type": "string"},
        rf"^headers\[{patterns.TOKEN}\]$": matching(patterns.FIELD_VALUE),
    },
    "additionalProperties": False,
    "required": ["url"],
    "allOf": [
        {"not": {"required": list(pair)}}
        for pair in (
            ("schedule_in", "schedule_in[]"),
            ("schedule_in", "scheduled_at"),
            ("schedule_in[]", "scheduled_at"),
            ("repeat_every", "repeat_every[]"),
            ("repeat_every", "cron"),
            ("repeat_every[]", "cron"),
        )
    ],
}


def referred(now: datetime) -> dict[str, Schema]:
    """Return the schemas that others refer to; a moment is at most a century after `now`."""
    return {
        "Cron": CRON,
        "Duration": duration(),
        "Moment": moment(now),
        "Timezone": timezone(),
        "Url": URL,
    }


def timezone() -> Schema:
    """Describe a time zone: IANA's names, without their abbreviations."""
    return choice(sorted(name for name in available_timezones() if "/" in name or name == "UTC"))


def refined(
    components: Mapping[str, Schema],
    fields: Mapping[str, Mapping[str, Schema]],
    rules: Mapping[str, Schema],
) -> dict[str, Schema]:
    """Return the schemas of types, with what is said of their fields and of each as a whole.

    Whether a field may be null stays as its type has it. Null as a default is left out.
    """
    known = {name: _without_defaults(schema) for name, schema in components.items()}
    for name, described in fields.items():
        for field, schema in described.items():
            properties = known[name]["properties"]
            is_optional = NULL in properties[field].get("anyOf", ())
            properties[field] = optional(schema) if is_optional else schema
    return {name: {**schema, **rules.get(name, {})} for name, schema in known.items()}


def _without_defaults(schema: Schema) -> Schema:
    properties = {
        name: {key: value for key, value in shape.items() if (key, value) != ("default", None)}
        for name, shape in schema["properties"].items()
    }
    return {**schema, "properties": properties}
