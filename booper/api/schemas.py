"""What the types cannot say in JSON Schema: the bounds and forms of values.

Nothing here checks anything. A schema takes all that the API takes, and is one that a person can
read: where it cannot say a rule (it depends on the time, or on two fields), its description does.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from booper.api.values import MAX_TAG_LENGTH
from booper.engine.headers import MAX_NAME_BYTES, MAX_VALUE_BYTES
from booper.guard.target import MAX_URL_LENGTH
from booper.model.args import METHODS
from booper.model.duration import MAX_DURATION, UNITS
from booper.model.fields import CREATE_FIELDS, Field, FieldKind, Needs, fields_that_need
from booper.model.retry import EXPONENTIAL

Schema = dict[str, Any]

NULL: Final[Schema] = {"type": "null"}
ANYTHING: Final[Schema] = {}
UUID: Final[Schema] = {"type": "string", "format": "uuid"}

NOT_BLANK: Final = r"\S"
NO_CONTROL: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""A regular expression of text without control characters."""

_MAX_TEXT: Final = 64
_MAX_CRON: Final = 500


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
    return matching(f" *({word}) *(, *({word}) *)*")


def optional(schema: Schema) -> Schema:
    """Describe a field that may be null, which counts as absent (contract §3)."""
    return {"anyOf": [schema, NULL]}


def reference(name: str) -> Schema:
    """Refer to a schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def duration(shortest: timedelta = timedelta(0), longest: timedelta = MAX_DURATION) -> Schema:
    """Describe seconds, `[n, unit]`, or text, between bounds."""
    bounds = {"minimum": shortest.total_seconds(), "maximum": longest.total_seconds()}
    return {
        "description": "Seconds, an amount and its unit, or text such as 90s, 5m, 1h30m, 2 days "
        "or ISO 8601's PT5M",
        "anyOf": [
            {"type": "number", **bounds},
            {
                "type": "array",
                "prefixItems": [{"type": "number", "minimum": 0}, matching(_UNIT)],
                "items": False,
                "minItems": 2,
            },
            matching(_DURATION, maxLength=_MAX_TEXT),
        ],
    }


def any_case(words: Iterable[str]) -> str:
    """Return a regular expression of words in any letter case."""
    return "|".join("".join(f"[{c.upper()}{c.lower()}]" for c in word) for word in words)


# Spaces around text do not matter.
_WORD: Final = "([DHSWdhsw][A-Za-z]{0,6}|m|[Mm][Ii][Nn][A-Za-z]{0,4})"
_ISO_DURATION: Final = "P([0-9.,]+[DW])?(T([0-9.,]+[HMS])+)?"
_DURATION: Final = rf" *({_ISO_DURATION}|([0-9]+(\.[0-9]+)? *{_WORD} *)+)"
_UNIT: Final = f"({any_case(UNITS)})[Ss]?"

_CRON: Final = r"\s*(@[A-Za-z]+|([0-9*,/-]+\s+){3}[0-9A-Za-z*,/-]+\s+[0-9A-Za-z*,/-]+)\s*"
_HALF_AN_ITEM: Final = r"(^|[\s,/-])[,/-]|[,/-](\s|$)|\*[0-9*-]|/0*([\s,]|$)"

_DATE: Final = "(0[1-9]|1[0-2])-?[0-3][0-9]|W[0-5][0-9]-?[1-7]|[0-3][0-9]{2}"
_TIME: Final = "[0-2][0-9](:?[0-5][0-9](:?[0-6][0-9]([.,][0-9]+)?)?)?"
_ZONE: Final = "([Zz]|[+-][0-2][0-9](:?[0-5][0-9])?)"
_UNIX_TIME: Final = r"([0-9]{9,10}|[0-9]{13})(\.[0-9]+)?"

_SEEN: Final = r"[^\u0000-\u0020\u007f-\u009f\\]"
_HOST: Final = r"(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\\\[\]]+)(:[0-9]{1,5})?"

COMPONENTS: Final[Mapping[str, Schema]] = {
    "Cron": matching(
        _CRON,
        maxLength=_MAX_CRON,
        **{"not": {"pattern": _HALF_AN_ITEM}},
        description="Minute, hour, day of month, month and day of week, or one of @hourly, @daily, "
        "@midnight, @weekly, @monthly, @yearly and @annually. A field is * or a list of numbers, "
        "ranges and steps; months and days have names as well",
        examples=["*/15 9-17 * * mon-fri", "0 9 1-7,15 * *", "@daily"],
    ),
    "Duration": duration(),
    "Moment": {
        "description": "ISO 8601, basic or extended, at most a century from now; without a zone it "
        "is in `timezone`, or UTC. Or a Unix time, in seconds, or from 10^11 on in milliseconds; "
        "as text it has 9 or 10 digits of seconds or 13 of milliseconds",
        "anyOf": [
            matching(
                f"[0-9]{{4}}-?({_DATE})([Tt ]{_TIME}{_ZONE}?)?|{_UNIX_TIME}", maxLength=_MAX_TEXT
            ),
            {"type": "number", "minimum": 0, "maximum": 10**14},
        ],
    },
    "Timezone": matching(
        "[A-Za-z][A-Za-z0-9_+/-]*",
        maxLength=_MAX_TEXT,
        description="A name of the IANA time zone database",
        examples=["Europe/Berlin", "UTC"],
    ),
    "Url": matching(
        rf"([Hh][Tt][Tt][Pp][Ss]?://{_HOST}([/?#]{_SEEN}*)?|app:/{_SEEN}*)",
        maxLength=MAX_URL_LENGTH,
        description="https, or http if the operator allows it. booper does not reach private "
        "networks or itself, unless the operator allows that too",
    ),
}
"""The schemas that others refer to."""

HEADERS: Final[Schema] = {
    "type": "object",
    "propertyNames": matching("[!#$%&'*+.^_`|~0-9A-Za-z-]+", maxLength=MAX_NAME_BYTES),
    "additionalProperties": {
        "anyOf": [
            matching(r"[\t\u0020-\u007e\u0080-\u00ff]*", maxLength=MAX_VALUE_BYTES),
            {"type": "number"},
            {"type": "boolean"},
        ]
    },
    "maxProperties": CREATE_FIELDS["headers"].maximum,
    "description": "Names that frame or route the message are refused: Connection, "
    "Content-Length, Expect, Host, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade. "
    "Two names that differ only in letter case are the same header, and refused.",
}
_KINDS: Final[Mapping[FieldKind, Schema]] = {
    FieldKind.METHOD: matching(any_case(METHODS)),
    FieldKind.URL: reference("Url"),
    FieldKind.OBJECT: {"type": "object"},
    FieldKind.HEADERS: HEADERS,
    FieldKind.JSON: ANYTHING,
    FieldKind.MOMENT: reference("Moment"),
    FieldKind.CRON: reference("Cron"),
    FieldKind.TIMEZONE: reference("Timezone"),
    FieldKind.BOOLEAN: {"type": "boolean"},
    FieldKind.BACKOFF: {
        "anyOf": [
            {"const": EXPONENTIAL},
            {"type": "array", "items": reference("Duration"), "minItems": 1, "maxItems": 100},
        ]
    },
    FieldKind.STATUSES: {
        "type": "array",
        "items": {"anyOf": [whole(100, 599), matching("[1-5][Xx][Xx]")]},
        "minItems": 1,
        "maxItems": 100,
    },
}


def of_field(field: Field) -> Schema:
    """Describe what a field of a create takes, where it is not null."""
    match field.kind:
        case FieldKind.DURATION if field.shortest or field.longest:
            schema = duration(field.shortest, field.longest or MAX_DURATION)
        case FieldKind.DURATION:
            schema = reference("Duration")
        case FieldKind.TEXT:
            schema = text(field.maximum)
        case FieldKind.NUMBER:
            schema = whole(1, field.maximum)
        case FieldKind.CHOICE:
            schema = choice(field.choices)
        case FieldKind.TAGS:
            items = text(MAX_TAG_LENGTH)
            schema = {"type": "array", "items": items, "maxItems": field.maximum}
        case kind:
            schema = _KINDS[kind]
    words = {"description": field.description, "default": field.default}
    return {**schema, **{name: word for name, word in words.items() if word}}


CREATE: Final[Mapping[str, Schema]] = {
    name: of_field(field) for name, field in CREATE_FIELDS.items()
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
    {
        "anyOf": [
            given("repeat_every"),
            given("cron"),
            absent(*fields_that_need(Needs.RECURRENCE)),
        ]
    },
    {"anyOf": [given("idempotency_key"), absent(*fields_that_need(Needs.KEY))]},
]
"""What the fields of a create allow each other."""

FORM_OF_CREATE: Final[Schema] = {
    "type": "object",
    "description": "The fields of a create in bracket notation, their values as text: a[b]=1 is an "
    "object; a[]=1&a[]=2 is a list, and so is a[0]=1&a[1]=2.",
    "patternProperties": {rf"^({'|'.join(CREATE_FIELDS)})(\[[^\[\]]*\])*$": ANYTHING},
    "additionalProperties": False,
    "required": ["url"],
}


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
