"""What JSON cannot say is refused before anything is sent, by field and path (RFC 8259)."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner

from booper.app import Booper
from booper.cli import main
from booper.cli.typed import data_of
from booper.client import AsyncClient, InvalidArgument
from booper.client.encoding import encode
from booper.testing import VirtualBooper

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"
NAN, INFINITE = float("nan"), float("inf")


@dataclass
class Point:
    """A value of a program's own."""

    x: Any


HOLDS_ITSELF: list[Any] = []
HOLDS_ITSELF.append(HOLDS_ITSELF)

# Fields of a create, and how the error begins.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"schedule_in": NAN}, "schedule_in: expected a finite number, got nan"),
    ({"schedule_in": -INFINITE}, "schedule_in: expected a finite number, got -inf"),
    ({"schedule_in": (NAN, "hours")}, "schedule_in[0]: expected a finite number"),
    ({"repeat_every": INFINITE}, "repeat_every: expected a finite number, got inf"),
    ({"scheduled_at": NAN}, "scheduled_at: expected a finite number"),
    ({"timeout": NAN}, "timeout: expected a finite number"),
    ({"backoff": [1, NAN]}, "backoff[1]: expected a finite number"),
    ({"body": NAN}, "body: expected a finite number, got nan"),
    ({"body": {"prices": [1.5, INFINITE]}}, "body.prices[1]: expected a finite number, got inf"),
    ({"body": Decimal("NaN")}, "body: expected a finite number, got NaN"),
    ({"body": Decimal("1e999")}, "body: expected a finite number, got 1E+999"),
    ({"body": [Decimal("-Infinity")]}, "body[0]: expected a finite number"),
    ({"body": b"bytes"}, "body: expected text, not bytes"),
    ({"body": {"a": bytearray(b"x")}}, "body.a: expected text, not bytes"),
    ({"body": [memoryview(b"x")]}, "body[0]: expected text, not bytes"),
    ({"url": b"https://target.test/"}, "url: expected text, not bytes"),
    ({"headers": {"X-A": b"x"}}, "headers.X-A: expected text, not bytes"),
    ({"headers": {b"X-A": "x"}}, "headers: expected names that are text, got b'X-A'"),
    ({"headers": {"X-A": NAN}}, "headers.X-A: expected a finite number"),
    ({"query": {"q": [NAN]}}, "query.q[0]: expected a finite number"),
    ({"query": {"q": b"x"}}, "query.q: expected text, not bytes"),
    ({"body": {1: "a"}}, "body: expected names that are text, got 1"),
    ({"body": {"a": {None: 1}}}, "body.a: expected names that are text, got None"),
    ({"body": {True: 1}}, "body: expected names that are text, got True"),
    ({"body": {("a", 1): 1}}, "body: expected names that are text, got ('a', 1)"),
    ({"body": {1.5: 1}}, "body: expected names that are text, got 1.5"),
    ({"body": "\ud800"}, "body: expected text without lone surrogates"),
    ({"body": {"\udfff": 1}}, "body: expected text without lone surrogates"),
    ({"name": "a\udc80"}, "name: expected text without lone surrogates"),
    ({"idempotency_key": "\ud83d"}, "idempotency_key: expected text without lone surrogates"),
    ({"tags": ["a", "\ud800"]}, "tags[1]: expected text without lone surrogates"),
    ({"body": {"a", "b"}}, "body: expected a list, got a set"),
    ({"tags": frozenset({"a"})}, "tags: expected a list, got a frozenset"),
    ({"body": {"c": 1j}}, "body.c: expected a value that JSON has, got 1j"),
    ({"body": [object]}, "body[0]: expected a value that JSON has"),
    ({"body": (n for n in range(3))}, "body: expected a value that JSON has"),
    ({"body": {"p": Point(NAN)}}, "body.p.x: expected a finite number"),
    ({"body": Point(b"x")}, "body.x: expected text, not bytes"),
    ({"body": HOLDS_ITSELF}, "body[0][0]"),
]


@pytest.fixture(scope="module")
def virtual() -> Iterator[VirtualBooper]:
    """Run a booper for all cases: nothing of them may reach it."""
    with VirtualBooper(start=datetime(2030, 1, 1, tzinfo=UTC)) as booper:
        yield booper


@pytest.mark.parametrize(("fields", "told"), WRONG, ids=[told[:40] for _, told in WRONG])
def test_the_client_names_the_field_and_sends_nothing(
    virtual: VirtualBooper, fields: dict[str, Any], told: str
) -> None:
    """A create, a preview, one of many, a change."""
    client: Any = virtual.client
    create = {"url": URL, **fields}
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: client.jobs.create(**create), told),
        (lambda: client.jobs.preview(**create), told),
        (lambda: client.jobs.create_many([{"url": URL}, create]), f"jobs[1].{told}"),
        (lambda: client.schedules.update(UUID(int=1), **fields), told),
    ]
    if "body" in fields:
        calls.append((lambda: client.schedules.run(UUID(int=1), **fields), told))
    for call, expected in calls:
        with pytest.raises(InvalidArgument) as caught:
            call()
        assert str(caught.value).startswith(expected)
    assert list(client.jobs.iterate()) == []


@pytest.mark.parametrize(("fields", "told"), WRONG, ids=[told[:40] for _, told in WRONG])
async def test_the_other_client_and_the_library_do_the_same(
    virtual: VirtualBooper, booper: Booper, fields: dict[str, Any], told: str
) -> None:
    """`AsyncClient`, and the operations of a `Booper` in this process."""
    client: AsyncClient = virtual.async_client
    create: Any = {"url": URL, **fields}
    for jobs in (client.jobs, booper.jobs):
        with pytest.raises(InvalidArgument) as caught:
            await jobs.create(**create)
        assert str(caught.value).startswith(told)


def test_filters_and_ids_are_checked_too(virtual: VirtualBooper) -> None:
    """What goes into a query or a path has a form as text."""
    client: Any = virtual.client
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: client.jobs.list(tag=b"x"), "tag: expected text, not bytes"),
        (lambda: client.jobs.list(tag="\ud800"), "tag: expected text without lone surrogates"),
        (lambda: client.jobs.list(before=NAN), "before: "),
        (lambda: client.jobs.cancel_many(tag=b"x"), "filter.tag: expected text, not bytes"),
        (lambda: client.jobs.get("\ud800"), "jobs: id: expected text"),
        (lambda: client.broadcast("\ud800"), "content: expected text without lone surrogates"),
        (lambda: client.keys.create(b"x"), "name: expected text, not bytes"),
    ]
    for call, told in calls:
        with pytest.raises(InvalidArgument) as caught:
            call()
        assert str(caught.value).startswith(told)


# What JSON can say, if not by itself: a text or a number that means the same.
SAID: list[tuple[Any, str]] = [
    (Decimal("1.10"), "1.10"),
    (Decimal("100000000000000000000.01"), "100000000000000000000.01"),
    (10**30, "1" + "0" * 30),
    ((1, 2), "[1,2]"),
    (MappingProxyType({"a": 1}), '{"a":1}'),
    (Point([1]), '{"x":[1]}'),
    (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    (datetime(2030, 1, 1, tzinfo=UTC), '"2030-01-01T00:00:00Z"'),
    ("\U0001f600\x00", '"\U0001f600\\u0000"'),
    ({"": {"": None}}, '{"":{"":null}}'),
    (1e308, "1e308"),
    (True, "true"),
]


@pytest.mark.parametrize(("value", "text"), SAID)
def test_what_json_can_say_is_said(value: Any, text: str) -> None:
    """Decimals keep their digits; times, UUIDs and dataclasses are what one expects."""
    assert encode(value).decode() == text
    json.loads(text)


DATA = [
    ('{"a":NaN}', "a"),
    ('{"a":[1,Infinity]}', "a"),
    ('{"a":-Infinity}', "a"),
    ('{"a":1e999}', "a"),
    ('{"a":{"b":-1e400}}', "a"),
    ('{"a":"\\ud800"}', "a"),
]


def test_the_command_line_keeps_the_digits_of_its_data() -> None:
    """A price of 1.10 and a number that no double can hold are read with all their digits."""
    fields = data_of(['{"price":1.10,"n":0.1234567890123456789}'])
    assert encode(fields).decode() == '{"price":1.10,"n":0.1234567890123456789}'


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize(("data", "name"), DATA)
def test_the_command_line_ends_with_2_and_a_line(method: str, data: str, name: str) -> None:
    """`--data` is read before anybody is asked; nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = ["run", method, URL, "--url", url, "--key", "sk_test_0123456789", "--data", data]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert f"{name}" in result.stderr or "--data" in result.stderr
