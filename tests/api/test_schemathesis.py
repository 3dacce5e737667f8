"""The API as schemathesis reads `/openapi.json`: what the document says is what the API does.

Every operation is asked with examples, with the edges of each schema, and with random data that
fits its schemas or does not, and all of schemathesis's checks hold. `BOOPER_EXAMPLES` is how many
random requests each operation gets.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.filters import HasAPIOperation
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from booper.api.application import OPERATIONS
from booper.api.openapi import document
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database
from tests.conftest import KEY, START
from tests.support.strict_schemas import strict
from tests.support.target import FakeTarget

EXAMPLES = int(os.environ.get("BOOPER_EXAMPLES", "15"))

# To work out the edges of these two takes schemathesis seconds: they are left to thorough runs.
LARGE = ("POST /api/jobs", "PATCH /api/schedules/{schedule_id}")
THOROUGH = 100

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
            await self._asgi(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Run a booper on a clock that stands; its targets all answer 200."""
        with TemporaryDirectory() as folder:
            path = str(Path(folder) / "booper.db")
            config = Config(database=Database(path=path, durability="normal"))
            clock, random, target = VirtualClock(START), Random(1), FakeTarget()
            booper = Booper(config, api_key=KEY, clock=clock, random=random, transport=target)
            async with booper:
                self._asgi = booper.asgi
                self.known = await settle(booper)
                yield
        self._asgi = None


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


HEADERS = {"Authorization": f"Bearer {KEY}"}
SERVED = Served()
SCHEMA = schemathesis.openapi.from_dict(
    strict(document(OPERATIONS, START), START),
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
    # The stream of events has no end: what is read of it is what comes within this time.
    timeout = 0.02 if case.operation.path.endswith("/events") else 10
    response = case.call(headers=HEADERS, timeout=timeout)
    left_out: list[Any] = [positive_data_acceptance] if breaks_unsaid_rules(case, response) else []
    if names_a_host_abroad(case):
        left_out.append(negative_data_rejection)
    case.validate_response(
        response,
        headers=HEADERS,
        excluded_checks=left_out,
        transport_kwargs={"headers": HEADERS, "timeout": timeout},
    )


def names_a_host_abroad(case: schemathesis.Case[Any]) -> bool:
    """Return whether a target is named that is not ASCII: it may be fine, and no pattern has it."""
    body = case.body if isinstance(case.body, dict) else {}
    named = [body.get("host"), body.get("origin")]
    return any(isinstance(name, str) and not name.isascii() for name in named)


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
