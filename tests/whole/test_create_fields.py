"""The fields of a create in each place that spells them, against the one table of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, Final, Literal, Required, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import click
import msgspec
import pytest
from msgspec.structs import replace

from booper.api.bodies import FORM, JSON
from booper.api.intake import Rules, read_args, read_creation
from booper.api.pointers import Findings
from booper.cli.run import METHODS as TYPED_METHODS
from booper.cli.run import run
from booper.client import fields as client
from booper.errors import InvalidRequest
from booper.guard.policy import Guard
from booper.model.args import METHODS, Args
from booper.model.duration import UNITS, Duration
from booper.model.fields import CREATE_FIELDS, FIXED_FIELDS, Field, FieldKind, Needs
from booper.model.moment import Moment
from booper.model.schedule import Conflict, Misfire, Overlap

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
USER: Final = UUID("bd2aa099-6eb7-4dbb-9178-32141def1355")
URL: Final = "https://target.test/hook"
GUARD: Final = Guard(require_https=True, allow_private_networks=False, allow=(), own=())
RULES: Final = Rules(GUARD.check, 15, timedelta(0))

Types = Mapping[FieldKind, Any]

STORED: Final[Types] = {
    FieldKind.METHOD: str,
    FieldKind.URL: str,
    FieldKind.OBJECT: dict[str, Any],
    FieldKind.HEADERS: dict[str, str | int | float | bool],
    FieldKind.JSON: msgspec.Raw | msgspec.UnsetType,
    FieldKind.DURATION: Duration,
    FieldKind.MOMENT: Moment,
    FieldKind.CRON: str,
    FieldKind.TIMEZONE: str,
    FieldKind.TEXT: str,
    FieldKind.NUMBER: int,
    FieldKind.BOOLEAN: bool,
    FieldKind.CHOICE: str,
    FieldKind.TAGS: list[str],
    FieldKind.BACKOFF: str | list[Duration],
    FieldKind.STATUSES: list[int | str],
}
"""What each kind of field is in the type that reads a create."""

# Typed dictionaries keep their own words for the rest: these are those of the client.
GIVEN: Final[Types] = {
    **STORED,
    FieldKind.METHOD: client.Method,
    FieldKind.OBJECT: Mapping[str, Any],
    FieldKind.HEADERS: Mapping[str, str | float | bool],
    FieldKind.JSON: Any,
    FieldKind.DURATION: client.Duration,
    FieldKind.MOMENT: client.Moment,
    FieldKind.TAGS: Sequence[str],
    FieldKind.BACKOFF: Literal["exponential"] | Sequence[client.Duration],
    FieldKind.STATUSES: Sequence[client.Status],
}
"""What each kind of field is in the client; a choice is one of its words."""

VALID: Final[Mapping[FieldKind, Any]] = {
    FieldKind.METHOD: "post",
    FieldKind.URL: URL,
    FieldKind.OBJECT: {"a": "b"},
    FieldKind.HEADERS: {"X-A": "b"},
    FieldKind.JSON: {"a": "b"},
    FieldKind.DURATION: [2, "seconds"],
    FieldKind.MOMENT: "2030-06-01T12:00:00Z",
    FieldKind.CRON: "0 9 * * *",
    FieldKind.TIMEZONE: "Europe/Berlin",
    FieldKind.TEXT: "text",
    FieldKind.NUMBER: 2,
    FieldKind.BOOLEAN: False,
    FieldKind.CHOICE: None,
    FieldKind.TAGS: ["a", "b"],
    FieldKind.BACKOFF: [1, [5, "minutes"]],
    FieldKind.STATUSES: [200, "3xx"],
}
"""A right value of each kind; of a choice it is its first word."""

BESIDE: Final[Mapping[Needs, dict[str, Any]]] = {
    Needs.NOTHING: {},
    Needs.RECURRENCE: {"repeat_every": [1, "hour"]},
    Needs.KEY: {"idempotency_key": "k"},
}


def unwrapped(kind: Any) -> Any:
    """Return a type without None, and without what a typed dictionary adds."""
    if get_origin(kind) is Required:
        return unwrapped(get_args(kind)[0])
    if get_origin(kind) not in (Union, UnionType):
        return kind
    return Union[tuple(each for each in get_args(kind) if each is not NoneType)]  # noqa: UP007


def expected(field: Field, types: Types) -> Any:
    """Return the type of a field, without None."""
    if field.kind is FieldKind.CHOICE and types is GIVEN:
        return Literal[field.choices]
    return unwrapped(types[field.kind])


def differences(table: Mapping[str, Field], spelled: Mapping[str, Any], types: Types) -> list[str]:
    """Return the fields that only one has, or that have another type than the table says."""
    found = sorted(table.keys() ^ spelled.keys())
    both = sorted(table.keys() & spelled.keys())
    return found + [
        each for each in both if unwrapped(spelled[each]) != expected(table[each], types)
    ]


def hints(kind: Any) -> dict[str, Any]:
    """Return the fields of a struct or a typed dictionary with their types."""
    return get_type_hints(kind, include_extras=True)


CHANGEABLE: Final = {name: field for name, field in CREATE_FIELDS.items() if not field.is_fixed}
SPELLED: Final = [
    ("the type that reads a create", CREATE_FIELDS, hints(Args), STORED),
    ("the client's creates", CREATE_FIELDS, hints(client.Creation), GIVEN),
    ("the client's changes", CHANGEABLE, hints(client.Change), GIVEN),
]


@pytest.mark.parametrize(
    ("where", "table", "spelled", "types"), SPELLED, ids=[s[0] for s in SPELLED]
)
def test_each_type_has_the_fields_of_the_table(
    where: str, table: Mapping[str, Field], spelled: Mapping[str, Any], types: Types
) -> None:
    """A field that is added to the table is added to every type that spells fields, and back."""
    assert differences(table, spelled, types) == []


@pytest.mark.parametrize(
    ("where", "table", "spelled", "types"), SPELLED, ids=[s[0] for s in SPELLED]
)
def test_a_missing_field_or_another_type_is_found(
    where: str, table: Mapping[str, Field], spelled: Mapping[str, Any], types: Types
) -> None:
    """A comparison that could not fail would be none."""
    more = {**table, "priority": Field(kind=FieldKind.NUMBER)}
    assert differences(more, spelled, types) == ["priority"]
    assert differences(table, {**spelled, "priority": int | None}, types) == ["priority"]
    for name in table:
        other = {**table, name: replace(table[name], kind=FieldKind.BOOLEAN)}
        if table[name].kind is not FieldKind.BOOLEAN:
            assert differences(other, spelled, types) == [name]
        assert differences(table, {**spelled, name: bytes}, types) == [name]


def test_a_choice_has_the_words_of_its_table_row() -> None:
    """The words of the table are those that a schedule and a create know."""
    known = {"overlap": Overlap, "misfire": Misfire, "on_conflict": Conflict}
    assert {name for name, field in CREATE_FIELDS.items() if field.choices} == set(known)
    for name, choices in known.items():
        assert CREATE_FIELDS[name].choices == tuple(choices)
    other = {**CREATE_FIELDS, "overlap": replace(CREATE_FIELDS["overlap"], choices=("skip",))}
    assert differences(other, hints(client.Creation), GIVEN) == ["overlap"]


def test_methods_and_units_are_the_same_everywhere() -> None:
    """The client and the command line take the methods and units that the API takes."""
    assert TYPED_METHODS == METHODS
    assert set(get_args(client.Method)) == {*METHODS, *map(str.upper, METHODS)}
    assert set(get_args(client.Unit)) == {*UNITS, *(f"{unit}s" for unit in UNITS)}


# Options of `booper run` that fill two fields, or one in pieces, and what click calls them.
SHARED: Final = {"--data": "data", "--header": "header"}
NO_FIELDS: Final = {"--url", "--key", "--config", "--json", "--schedule"}
"""Options that name the server and the output, and the older spelling of `--in`."""


def option_differences(table: Mapping[str, Field], command: click.Command) -> list[str]:
    """Return the options that only the table or only the command has, or of another type."""
    words = next(each.metavar or "" for each in command.params if isinstance(each, click.Argument))
    options = {each.opts[0]: each for each in command.params if isinstance(each, click.Option)}
    found = sorted(options.keys() - {field.option for field in table.values()} - NO_FIELDS)
    for name, field in table.items():
        option = options.get(field.option or "")
        if field.option is None or field.option in words:
            continue
        is_many = field.kind is FieldKind.TAGS or field.option in SHARED
        is_number = field.kind is FieldKind.NUMBER
        typed = option and (option.name, option.type is click.INT, option.multiple)
        if typed != (SHARED.get(field.option, name), is_number, is_many):
            found.append(name)
    return found


def test_the_command_line_has_the_options_of_the_table() -> None:
    """Each option of `booper run` is that of a field, which the table calls so, and back."""
    assert option_differences(CREATE_FIELDS, run) == []


def test_a_missing_option_is_found() -> None:
    """A comparison that could not fail would be none."""
    more = {**CREATE_FIELDS, "priority": Field(kind=FieldKind.NUMBER, option="--priority")}
    assert option_differences(more, run) == ["priority"]
    less = {name: field for name, field in CREATE_FIELDS.items() if name != "timeout"}
    assert option_differences(less, run) == ["--timeout"]
    other = {**CREATE_FIELDS, "name": replace(CREATE_FIELDS["name"], kind=FieldKind.TAGS)}
    assert option_differences(other, run) == ["name"]


def valid(field: Field) -> Any:
    """Return a right value of a field."""
    return field.choices[0] if field.choices else VALID[field.kind]


def pointers(body: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a create, as JSON Pointers."""
    try:
        read_creation(msgspec.json.encode(body), JSON, USER, RULES, NOW)
    except InvalidRequest as error:
        return [each.pointer for each in error.errors]
    return []


@pytest.mark.parametrize("name", CREATE_FIELDS)
def test_a_right_value_of_each_field_is_taken(name: str) -> None:
    """A value of the field's kind is accepted, together with what the field needs."""
    field = CREATE_FIELDS[name]
    assert pointers({"url": URL, **BESIDE[field.needs], name: valid(field)}) == []


@pytest.mark.parametrize(
    "name", [n for n, field in CREATE_FIELDS.items() if field.needs is not Needs.NOTHING]
)
def test_a_field_without_what_it_needs_is_refused(name: str) -> None:
    """It would be ignored in silence."""
    assert pointers({"url": URL, name: valid(CREATE_FIELDS[name])}) == [f"/{name}"]


def beyond(field: Field) -> list[Any]:
    """Return values just beyond the bounds that the table has for a field, and a wrong shape."""
    most = field.maximum
    values: list[Any] = []
    match field.kind:
        case FieldKind.NUMBER:
            values = [0, most + 1]
        case FieldKind.TEXT:
            values = ["", "x" * (most + 1)]
        case FieldKind.TAGS:
            values = [[f"t{n}" for n in range(most + 1)]]
        case FieldKind.HEADERS:
            values = [{f"X-{n}": "v" for n in range(most + 1)}]
        case FieldKind.CHOICE:
            values = [f"{field.choices[0]}x"]
        case FieldKind.DURATION:
            low = (
                [field.shortest.total_seconds() / 2]
                if field.shortest > timedelta.resolution
                else []
            )
            high = [field.longest.total_seconds() + 1] if field.longest is not None else []
            values = [-1, *low, *high]
    return values


BEYOND: Final = [(name, value) for name, field in CREATE_FIELDS.items() for value in beyond(field)]


@pytest.mark.parametrize(("name", "value"), BEYOND)
def test_a_value_beyond_the_bounds_of_the_table_is_refused(name: str, value: Any) -> None:
    """What the table says is what the API checks: the error points at the field."""
    body = {"url": URL, **BESIDE[CREATE_FIELDS[name].needs], name: value}
    found = pointers(body)
    assert found
    assert all(pointer.split("/")[1] == name for pointer in found)


@pytest.mark.parametrize(
    "name", [n for n, f in CREATE_FIELDS.items() if f.kind is not FieldKind.JSON]
)
def test_a_value_of_another_shape_is_refused(name: str) -> None:
    """A list of lists is right for no field but the body."""
    found = pointers({"url": URL, **BESIDE[CREATE_FIELDS[name].needs], name: [[[]]]})
    assert found
    assert all(pointer.split("/")[1] == name for pointer in found)


def form_of(name: str, value: Any) -> list[str]:
    """Return a value in bracket notation, as text (contract §3)."""
    match value:
        case dict():
            return [pair for key, item in value.items() for pair in form_of(f"{name}[{key}]", item)]
        case list():
            return [pair for n, item in enumerate(value) for pair in form_of(f"{name}[{n}]", item)]
        case bool():
            return [f"{name}={str(value).lower()}"]
        case _:
            return [f"{name}={value}"]


@pytest.mark.parametrize("name", CREATE_FIELDS)
def test_a_form_gives_each_field_what_json_gives_it(name: str) -> None:
    """A form's text becomes a number or a truth value where the field's kind is one."""
    body = {"url": URL, name: valid(CREATE_FIELDS[name])}
    form = "&".join(pair for field, value in body.items() for pair in form_of(field, value))
    as_json = read_args(msgspec.json.encode(body), JSON, Findings())
    assert read_args(form.encode(), FORM, Findings()) == as_json


def test_the_tables_of_this_test_have_every_kind() -> None:
    """A kind of field that is added has a type in each place, and a value to try."""
    assert set(STORED) == set(GIVEN) == set(VALID) == set(FieldKind)
    assert set(BESIDE) == set(Needs)
    assert {name for name, field in CREATE_FIELDS.items() if field.is_fixed} == set(FIXED_FIELDS)
