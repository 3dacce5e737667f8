"""Nobody gets in without the right key, and nobody to what is another user's."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from booper.api.application import OPERATIONS
from booper.app import Booper
from booper.clock import VirtualClock
from tests.api.test_auth import (
    ADMINS,
    BAD_AUTHORIZATIONS,
    CLOSED,
    NEEDS,
    OBJECTS,
    WRITERS,
    everything,
    filled,
    owned_objects,
)
from tests.conftest import START
from tests.support.api import Api
from tests.support.processes import bearer
from tests.support.target import FakeTarget
from tests.torture.line import Line, Size, line
from tests.torture.virtual import running

Operation = tuple[str, str]
Headers = Mapping[str, str] | Mapping[bytes, bytes]

BODIES: dict[str, dict[str, str]] = {"PATCH": {"name": "x"}, "PUT": {}}
"""What is sent by method, so that nothing is wrong with a request but who sends it."""


def measure(size: Size) -> Line:
    """Call every operation in every wrong way; the short form is the same."""
    return asyncio.run(_measure())


async def _measure() -> Line:
    clock, target = VirtualClock(START), FakeTarget()
    with TemporaryDirectory() as name:
        async with (
            running(Path(name) / "booper.db", clock, target, Random(1)) as (booper, api),
            _client(booper) as stranger,
        ):
            matrix = Matrix(stranger)
            await matrix.without_a_good_key()
            await matrix.with_a_revoked_key(api)
            await matrix.with_a_key_of_the_wrong_scope(api)
            await matrix.on_what_is_another_users(api, await owned_objects(booper, api, target))
    known = {(operation.method, operation.path) for operation in OPERATIONS}
    matrix.faults += [f"{operation} is not tried" for operation in known - NEEDS.keys()]
    counts = ", ".join(f"{case}: {count}" for case, count in matrix.tried.items())
    return line("auth", f"{len(CLOSED)} closed operations: {counts}", matrix.faults)


class Matrix:
    """What was answered to requests that must be refused."""

    def __init__(self, stranger: Api) -> None:
        self.tried = Counter[str]()
        self.faults: list[str] = []
        self._stranger = stranger

    async def without_a_good_key(self) -> None:
        """Send none, malformed and unknown ones."""
        await self._refused("401 to no key", CLOSED, {})
        for value in BAD_AUTHORIZATIONS.values():
            await self._refused("401 to a bad key", CLOSED, {b"Authorization": value})

    async def with_a_revoked_key(self, admin: Api) -> None:
        """Send one of scope `admin` that worked until it was revoked."""
        number, headers = await _key(admin, "revoked", "admin")
        assert (await self._stranger.get("/api/keys", headers=headers)).status_code == 200
        await admin.delete(f"/api/keys/{number}")
        await self._refused("401 to a revoked key", CLOSED, headers)

    async def with_a_key_of_the_wrong_scope(self, admin: Api) -> None:
        """Send good ones that may do less."""
        for scope, closed in {"read": [*WRITERS, *ADMINS], "write": ADMINS}.items():
            _, headers = await _key(admin, scope, scope)
            await self._refused("403 to a wrong scope", closed, headers)

    async def on_what_is_another_users(self, owner: Api, owned: dict[str, str]) -> None:
        """Send another user's key of every scope; nothing of the owner's may change."""
        before = await everything(owner)
        for scope in ("read", "write", "admin"):
            _, headers = await _key(owner, scope, scope, user="bob")
            reached = [known for known in OBJECTS if scope != "read" or NEEDS[known] == "read"]
            filled_in = [(method, path.format(**owned)) for method, path in reached]
            await self._refused("404 to another user", filled_in, headers)
        if await everything(owner) != before:
            self.faults.append("another user changed something")

    async def _refused(self, case: str, operations: Iterable[Operation], headers: Headers) -> None:
        for method, path in operations:
            self.tried[case] += 1
            response = await self._stranger.request(
                method, filled(path), headers=headers, json=BODIES.get(method)
            )
            if response.status_code != int(case[:3]):
                self.faults.append(f"{case}: {method} {path} answers {response.status_code}")


def _client(booper: Booper) -> Api:
    """Return a client without a key."""
    return Api(booper.asgi)


async def _key(admin: Api, name: str, scope: str, **more: str) -> tuple[str, dict[str, str]]:
    """Make a key; return its id and the headers that carry it."""
    response = await admin.post("/api/keys", json={"name": name, "scope": scope, **more})
    made = response.raise_for_status().json()["data"]
    return made["id"], bearer(made["key"])
