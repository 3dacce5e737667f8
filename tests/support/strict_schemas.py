"""Schemas that generate: all that fits them is accepted, and nearly all that does not is refused.

The published document takes all that the API takes, so much that it takes is refused for reasons
that no schema can say. What makes up requests needs more than that. `strict` puts these schemas in
the place of the published ones.
"""

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import available_timezones

from booper.api.schemas import (
    NOT_BLANK,
    Schema,
    any_case,
    choice,
    matching,
    optional,
    reference,
    refined,
    text,
    whole,
)
from booper.api.values import (
    MAX_ATTEMPTS,
    MAX_DESCRIPTION_LENGTH,
    MAX_HEADERS,
    MAX_KEY_LENGTH,
    MAX_NAME_LENGTH,
    MAX_RUNS,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    MAX_TIMEOUT,
    MIN_INTERVAL,
)
from booper.clock import EPOCH
from booper.engine.headers import MAX_NAME_BYTES, MAX_VALUE_BYTES
from booper.guard.target import MAX_URL_LENGTH
from booper.model.args import METHODS
from booper.model.duration import MAX_DURATION, UNITS
from booper.model.fields import FIXED_FIELDS
from booper.model.moment import MILLISECONDS_FROM
from booper.model.retry import EXPONENTIAL
from booper.model.schedule import Conflict, Misfire, Overlap
from tests.support import strict_patterns as patterns


def duration(shortest: timedelta = timedelta(0), longest: timedelta = MAX_DURATION) -> Schema:
    """Describe seconds or `[n, unit]`, between bounds."""

    def amount(unit: timedelta) -> Schema:
        return {"type": "number", "minimum": shortest / unit, "maximum": longest / unit}

    pairs = [
        {
            "type": "array",
            "prefixItems": [amount(length), matching(f"({any_case([name])})[Ss]?")],
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
    "maxProperties": MAX_HEADERS,
    "description": "Names that frame or route the message are refused: Connection, "
    "Content-Length, Expect, Host, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade. "
    "Names that differ only in letter case are one header, and refused.",
}

_AT, _WAIT, _URL = reference("Moment"), reference("Duration"), reference("Url")

CREATE: Final[Mapping[str, Schema]] = {
    "method": matching(any_case(METHODS), default="get"),
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
    "repeat_every": duration(MIN_INTERVAL),
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
    "max_runs": whole(1, MAX_RUNS),
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
    "keep_for": {
        **_WAIT,
        "description": "How long the job is kept after its end, with its log and its reports. By "
        "default what the server's settings say for its state. Each run of a schedule is kept for "
        "that long, and the newest runs for longer.",
    },
    "tags": {"type": "array", "items": text(MAX_TAG_LENGTH), "maxItems": MAX_TAGS},
    "name": text(MAX_NAME_LENGTH),
    "description": text(MAX_DESCRIPTION_LENGTH),
    "max_attempts": whole(1, MAX_ATTEMPTS),
    "backoff": {
        "description": "A wait shorter than a second counts as a second, after the hundredth "
        "attempt one shorter than a minute as a minute",
        "anyOf": [{"const": EXPONENTIAL}, {"type": "array", "items": _WAIT, "minItems": 1}],
    },
    "timeout": duration(timedelta.resolution, MAX_TIMEOUT),
    "expect_status": {
        "type": "array",
        "items": {"anyOf": [whole(100, 599), matching("[1-5][Xx][Xx]")]},
        "minItems": 1,
    },
}
"""The fields of a create, where they are not null."""


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
        "tags[]": {"anyOf": [text(MAX_TAG_LENGTH), {**CREATE["tags"], "minItems": 1}]},
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


FIELDS: Final[Mapping[str, Mapping[str, Schema]]] = {
    "Args": CREATE,
    "TargetBody": {
        "host": matching(f"{patterns.HOST_OR_ADDRESS}|::1?|[*]"),
        "origin": matching(f"https?://{patterns.HOST_OR_ADDRESS}"),
    },
}


def strict(document: Schema, now: datetime) -> Schema:
    """Return a document of the API with these schemas in the place of the published ones."""
    made: Any = deepcopy(document)
    schemas = made["components"]["schemas"]
    schemas.update(referred(now))
    schemas.update(refined({name: schemas[name] for name in FIELDS}, FIELDS, {}))
    paths = made["paths"]
    change = paths["/api/schedules/{schedule_id}"]["patch"]["requestBody"]["content"]
    change["application/json"]["schema"]["properties"] = {
        name: schema if name == "url" else optional(schema)
        for name, schema in CREATE.items()
        if name not in FIXED_FIELDS
    }
    form = paths["/api/jobs"]["post"]["requestBody"]["content"]
    form["application/x-www-form-urlencoded"]["schema"] = FORM_OF_CREATE
    for operation in (operation for item in paths.values() for operation in item.values()):
        for parameter in operation["parameters"]:
            if parameter["schema"] == reference("Moment"):
                parameter["schema"] = matching(patterns.MOMENT)
    replaced: Schema = _with_strict_blanks(made)
    return replaced


def _with_strict_blanks(part: Any) -> Any:
    """Return a part of a document in which a blank is what Python takes for one."""
    match part:
        case dict():
            return {name: _with_strict_blanks(value) for name, value in part.items()}
        case list() | tuple():
            return [_with_strict_blanks(value) for value in part]
        case _:
            return patterns.NOT_BLANK if part == NOT_BLANK else part
