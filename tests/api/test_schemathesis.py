"""The API as schemathesis reads `/openapi.json`: what the document says is what the API does.

Every operation is asked with examples, with the edges of each schema, and with random data that
fits its schemas or does not, and all of schemathesis's checks hold. `BOOPER_EXAMPLES` is how many
random requests each operation gets.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.filters import HasAPIOperation
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from booper.api.application import OPERATIONS
from booper.api.openapi import document
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.conftest import KEY, START
from tests.support.configs import fresh_database
from tests.support.international import differs_by_a_name
from tests.support.strict_schemas import strict
from tests.support.target import FakeTarget

EXAMPLES = int(os.environ.get("BOOPER_EXAMPLES", "15"))

# To work out the edges of these two takes schemathesis seconds: they are left to thorough runs.
LARGE = ("POST /api/jobs", "PATCH /api/schedules/{schedule_id}")
THOROUGH = 100

BESIDE_THE_BODY = tuple(set(ParameterLocation) - {ParameterLocation.BODY})

# Rules that no schema can say, as errors tell them: they set two fields against each other, or a
# field against the clock or what is stored. Data that breaks one of them fits its schema.
UNSAID: tuple[tuple[str, str], ...] = (
    ("/jitter", "must be shorter than"),
    ("/ends_at", "leaves no time for a single run"),
    ("/headers/", "is the same header as"),
    ("/cursor", "expected the next_cursor of a page"),
    ("/headers_from", "there is no job"),
    ("/since", "must be before `until`"),
    ("/every", "gives more than"),
    ("/max_count", "only a dry run can stop there"),
    # What Unicode calls printable grows by the year.
    ("/name", "must have 1 to 100 printable characters"),
    ("/user", "must have 1 to 100 printable characters"),
    # JSON Schema takes 2.0 for an integer.
    ("", "expected a whole number, got "),
    ("/max_count", "expected a whole number from 1 to 100000, got "),
    ("/through", "expected a whole number from 0 to "),
    ("/job_id", "expected a job's number or UUID, got "),
    ("", "expected a status such as 200, or a class such as"),
)
# A change is laid over what is stored, which it may not go with.
UNSAID_OF_CHANGES: tuple[tuple[str, str], ...] = (
    ("", "a schedule needs repeat_every or cron"),
    ("/scheduled_at", "give either schedule_in or scheduled_at"),
    ("/repeat_every", "give either cron or repeat_every"),
    ("/", "has no effect without repeat_every or cron"),
)


class Served:
    """The application that schemathesis asks: a new booper for each test, which starts it.

    `known` are ids of things that are there, by the names of the paths' parameters; `tested` is the
    name of the operation that the test is of.
    """

    def __init__(self) -> None:
        self.tested = ""
        self.known: dict[str, str] = {}
        self._asgi: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a booper for as long as the lifespan; pass requests on to it."""
        if scope["type"] == "lifespan":
            await Starlette(lifespan=self._lifespan)(scope, receive, send)
        else:
            assert self._asgi is not None, "no booper is running"
            if scope["path"].endswith("/events"):
                receive, send = until_first_block(receive, send)
            await self._asgi(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Run a booper on a clock that stands; its targets all answer 200."""
        with TemporaryDirectory() as folder:
            config = Config(database=fresh_database(Path(folder) / "booper.db"))
            clock, random, target = VirtualClock(START), Random(1), FakeTarget()
            booper = Booper(config, api_key=KEY, clock=clock, random=random, transport=target)
            async with booper:
                self._asgi = booper.asgi
                self.known = await settle(booper)
                yield
        self._asgi = None


def until_first_block(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return ways by which a client leaves a stream, which has no end, with its first block."""
    has_left, is_first = asyncio.Event(), True

    async def receive_until() -> Message:
        nonlocal is_first
        if is_first:
            is_first = False
            return await receive()
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send_until(message: Message) -> None:
        if has_left.is_set():
            return
        if message.get("more_body", False):
            message = {**message, "more_body": False}
            has_left.set()
        await send(message)

    return receive_until, send_until


async def settle(booper: Booper) -> dict[str, str]:
    """Make a schedule and let its first run complete; return the ids of what is there then."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(booper.asgi), base_url="http://booper.test", headers=HEADERS
    ) as api:
        job = {"url": "https://example.com/", "repeat_every": [1, "hour"]}
        made = (await api.post("/api/jobs", json=job)).json()["data"]
        await booper.wait_idle()
        log = (await api.get("/api/logs")).json()["data"][0]
        key = (await api.post("/api/keys", json={"name": "other"})).json()["data"]
    return {
        "job_id": str(made["job_id"]),
        "schedule_id": made["schedule_id"],
        "log_id": log["id"],
        "key_id": key["id"],
    }


TIMEOUT = 10
HEADERS = {"Authorization": f"Bearer {KEY}"}
SERVED = Served()
DOCUMENT: Any = strict(document(OPERATIONS, START), START)
SCHEMA = schemathesis.openapi.from_dict(
    deepcopy(DOCUMENT),
    config=schemathesis.Config.from_dict(
        {
            "generation": {
                "deterministic": True,
                "max-examples": EXAMPLES,
                "database": "none",
                # The key is always sent; the check `ignored_auth` asks without it and with another.
                "with-security-parameters": False,
            },
            "operations": [
                {"include-name": name, "phases": {"coverage": {"enabled": EXAMPLES >= THOROUGH}}}
                for name in LARGE
            ],
        }
    ),
)
SCHEMA.app = SERVED


@pytest.fixture(params=[f"{operation.method} {operation.path}" for operation in OPERATIONS])
def schema(request: pytest.FixtureRequest) -> schemathesis.BaseSchema:
    """Return the document, from which a test takes the operation in `SERVED.tested`.

    Schemathesis takes seconds to make up the requests of all. So each test does so for its own,
    rather than each process of pytest for all of them as it collects the tests.
    """
    vars(request.node).setdefault("_nodeid", request.node.nodeid)  # pytest 9.2 has none
    SERVED.tested = request.param
    return SCHEMA


def is_tested(context: HasAPIOperation) -> bool:
    """Return whether the running test is that of an operation."""
    return context.operation.label == SERVED.tested


@schemathesis.pytest.from_fixture("schema").include(is_tested).parametrize()
def test_an_operation_does_what_the_document_says(case: schemathesis.Case[Any]) -> None:
    """Data that fits is accepted, other data refused, and every response is as it is described."""
    if case.meta is not None and not case.meta.is_negative_at(ParameterLocation.PATH):
        asked = {name: SERVED.known.get(name, it) for name, it in case.path_parameters.items()}
        case.path_parameters.update(asked)
    response = case.call(headers=HEADERS, timeout=TIMEOUT)
    left_out: list[Any] = [positive_data_acceptance] if breaks_unsaid_rules(case, response) else []
    if names_a_host_abroad(case):
        left_out.append(negative_data_rejection)
    case.validate_response(
        response,
        headers=HEADERS,
        excluded_checks=left_out,
        transport_kwargs={"headers": HEADERS, "timeout": TIMEOUT},
    )


def names_a_host_abroad(case: schemathesis.Case[Any]) -> bool:
    """Return whether nothing is wrong but a target's name: it is international, and a right one."""
    operation = DOCUMENT["paths"][case.operation.path][case.operation.method.lower()]
    if case.meta is None or any(map(case.meta.is_negative_at, BESIDE_THE_BODY)):
        return False
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return False
    schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
    return differs_by_a_name(case.body, jsonschema_rs.Draft202012Validator(schema))


# What IDNA 2008 says: RFC 5892 of symbols (§2.6, disallowed) and joiners (appendix A), RFC 5891
# §4.2.3.1 of hyphens; UTS 46 §4 maps letters and dots of other widths.
@pytest.mark.parametrize(
    ("body", "is_left_out"),
    [
        ({"host": "b\u00fccher.example"}, True),
        ({"host": "\u4f8b\u3048\u3002\u30c6\u30b9\u30c8."}, True),
        ({"origin": "https://fa\u00df.example"}, True),
        ({"origin": "http://\uff41\uff42.example"}, True),
        ({"host": "\u0915\u094d\u200d\u0937"}, True),  # a joiner behind a virama
        ({"host": "a\u200db"}, False),  # and behind none
        ({"host": "xn--\u00e4"}, False),
        ({"host": "\u2603.example"}, False),
        ({"origin": "https://\U0001f469\u200d\U0001f4bb"}, False),
        ({"host": "\u00e4..example"}, False),
        ({"host": "\u00e4" * 64}, False),
        ({"host": "b\u00fccher", "more": 1}, False),
        ({"host": "b\u00fccher", "origin": "https://a"}, False),
        ({"origin": "ftp://b\u00fccher"}, False),
        ({"host": "*_"}, False),
        (["b\u00fccher"], False),
    ],
)
def test_only_a_right_international_name_is_left_out(body: object, *, is_left_out: bool) -> None:
    """A body with a wrong name, or with anything else that is wrong, is to be refused."""
    schema = {"$ref": "#/components/schemas/TargetBody", "components": DOCUMENT["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert differs_by_a_name(body, validator) is is_left_out


def breaks_unsaid_rules(case: schemathesis.Case[Any], response: schemathesis.Response) -> bool:
    """Return whether each error of a refusal is of a rule that no schema can state."""
    if response.status_code != 422:
        return False
    rules = UNSAID
    if case.operation.method.upper() == "PATCH":
        rules += UNSAID_OF_CHANGES
    if case.operation.path == "/api/jobs/batch" and (case.query or {}).get("atomic"):
        rules += (("/jobs/", ""),)  # a batch takes any items, unless it is all or nothing
    return all(
        any(
            error["pointer"].startswith(pointer) and error["detail"].startswith(detail)
            for pointer, detail in rules
        )
        for error in response.json()["errors"]
    )
