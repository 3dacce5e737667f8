"""The client's models and filters against the JSON that the API shows and takes, field by field."""

import types
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from booper.api.breakers import BreakerResource
from booper.api.channels import Broadcast
from booper.api.dry_run import GuardPreview, RequestPreview
from booper.api.dry_run import Preview as PreviewResource
from booper.api.events import ChangeResource
from booper.api.filters import FilterBody, query_readers
from booper.api.many import ManyBody, ManyResult
from booper.api.nodes import NodeResource
from booper.api.pauses import PauseResource
from booper.api.problems import FieldProblem
from booper.api.problems import Problem as ProblemResource
from booper.client import errors, fields, models, nodes
from booper.clock import EPOCH
from booper.model.job import Kind, State
from booper.wire.audit import AuditEntry
from booper.wire.job import HeldBy, JobResource, JobState
from booper.wire.key import KeyResource, NewKeyResource
from booper.wire.log import LogResource
from booper.wire.schedule import RunResource, ScheduleDetail, ScheduleResource
from booper.wire.timeline import TimelineEvent


class CreateResult(msgspec.Struct):
    """One result of a batch (contract §10), which the API writes by hand: a job or a problem."""

    status: int
    data: JobResource | msgspec.UnsetType = msgspec.UNSET
    error: ProblemResource | msgspec.UnsetType = msgspec.UNSET


Struct = type[msgspec.Struct]
PAIRS: Final[dict[Struct, Struct]] = {
    models.HeldBy: HeldBy,
    models.JobState: JobState,
    models.Job: JobResource,
    models.Schedule: ScheduleResource,
    models.ScheduleDetail: ScheduleDetail,
    models.LogEntry: LogResource,
    models.Key: KeyResource,
    models.NewKey: NewKeyResource,
    models.Run: RunResource,
    models.TimelineEvent: TimelineEvent,
    models.AuditEntry: AuditEntry,
    models.Breaker: BreakerResource,
    models.Pause: PauseResource,
    nodes.Node: NodeResource,
    models.BulkResult: ManyResult,
    models.PreviewedRequest: RequestPreview,
    models.GuardVerdict: GuardPreview,
    models.Preview: PreviewResource,
    models.Created: CreateResult,
    models.LiveChange: ChangeResource,
    models.Message: Broadcast,
    errors.Problem: ProblemResource,
    errors.WrongField: FieldProblem,
}
"""Each model of the client, and what the API shows that it reads."""

NOT_READ: Final[Mapping[Struct, set[str]]] = {errors.Problem: {"type", "status"}}
"""What the client has from elsewhere: `status` from the response, `type` is always the same."""

LEAF: Final[Mapping[Any, Any]] = {datetime: str, Any: msgspec.Raw, dict[str, Any]: msgspec.Raw}
"""Types of the client by the type that the API has for the same JSON."""


def without_absence(kind: Any) -> tuple[Any, bool]:
    """Return a type without None and absence, and whether it had one of them."""
    absent = {types.NoneType, msgspec.UnsetType}
    if get_origin(kind) not in (Union, types.UnionType) or not absent & set(get_args(kind)):
        return kind, False
    rest = [each for each in get_args(kind) if each not in absent]
    return Union[tuple(rest)], True  # noqa: UP007 (the union of a list that is computed)


def is_alike(client: Any, api: Any) -> bool:
    """Return whether the client's type reads what the API's type shows."""
    client, takes_none = without_absence(client)
    api, may_be_none = without_absence(api)
    if may_be_none and not takes_none:
        return False
    if get_origin(client) is tuple and get_origin(api) is list:
        return is_alike(get_args(client)[0], get_args(api)[0])
    return bool(client == api or LEAF.get(client) == api or PAIRS.get(client) == api)


def differences(client: Struct, api: Struct) -> list[str]:
    """Return what one has and the other has not, or has of another type."""
    read = {each.encode_name: each for each in msgspec.structs.fields(client)}
    shown = {each.encode_name: each.type for each in msgspec.structs.fields(api)}
    shown = {name: kind for name, kind in shown.items() if name not in NOT_READ.get(client, ())}
    found = [f"{name}: only in one of them" for name in sorted(read.keys() ^ shown.keys())]
    for name in sorted(read.keys() & shown.keys()):
        is_empty = read[name].default == () or read[name].default == ""
        kind = without_absence(shown[name])[0] if is_empty else shown[name]
        if not is_alike(read[name].type, kind):
            found.append(f"{name}: {read[name].type} does not read {shown[name]}")
    return found


@pytest.mark.parametrize(("client", "api"), PAIRS.items())
def test_the_client_reads_every_field_that_the_api_shows(client: Struct, api: Struct) -> None:
    """A field that is added to a resource is added to the client's model, with its type."""
    assert differences(client, api) == []


def test_every_model_of_the_client_is_compared() -> None:
    """A model that is added to the client is added to the comparison."""
    structs = [
        value
        for module in (models, nodes, errors)
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and value.__module__ == module.__name__
    ]
    assert set(structs) == set(PAIRS)


class Shown(msgspec.Struct):
    """A resource of the twin."""

    id: int
    at: str
    name: str | None


class Reader(msgspec.Struct):
    """A model that reads all of it."""

    id: int
    at: type(EPOCH)  # type: ignore[valid-type]  # as booper.client.models spells it
    name: str | None = None


class Forgetful(msgspec.Struct):
    """A model that lacks a field, and has one as another type and one that is never null."""

    id: str
    name: str = "-"


def test_the_comparison_finds_what_is_missing_or_of_another_type() -> None:
    """A comparison that could not fail would be none."""
    assert differences(Reader, Shown) == []
    assert [each.partition(":")[0] for each in differences(Forgetful, Shown)] == [
        "at",
        "id",
        "name",
    ]


def names(kind: Any) -> set[str]:
    """Return the names of a typed dictionary's fields."""
    return set(get_type_hints(kind))


def test_the_client_filters_by_what_the_api_filters_by() -> None:
    """Filters of a list are its query parameters, those of a change of many its body's."""
    body = {each.name for each in msgspec.structs.fields(FilterBody)}
    bounds = {each.name for each in msgspec.structs.fields(ManyBody)} - {"filter", "dry_run"}
    assert names(fields.Many) == body | bounds
    assert names(fields.JobFilter) == body - {"all"}
    assert names(fields.Listed) == set(query_readers(EPOCH))


def test_the_client_knows_every_state_and_kind() -> None:
    """The words for states and kinds are those of jobs; messages of channels are no jobs."""
    assert set(get_args(fields.State)) == set(State)
    assert set(get_args(fields.Kind)) == set(Kind) - {Kind.CHANNEL}
