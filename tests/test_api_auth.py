"""Who may call what: keys, the table of operations, and what is not there (contract §1 and §2)."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from booper.api.application import OPERATIONS
from booper.app import Booper
from tests.conftest import KEY

pytestmark = pytest.mark.anyio

# What each operation needs: "none" (no key), "key" (a user's key) or "admin" (the other door).
NEEDS = {
    ("POST", "/api/jobs"): "key",
    ("GET", "/api/jobs"): "key",
    ("GET", "/api/jobs/{job_id}"): "key",
    ("DELETE", "/api/jobs/{job_id}"): "key",
    ("POST", "/api/jobs/{job_id}/cancel"): "key",
    ("GET", "/api/logs"): "key",
    ("GET", "/api/logs/{log_id}"): "key",
    ("POST", "/api/keys"): "admin",
    ("GET", "/api/keys"): "admin",
    ("DELETE", "/api/keys/{key_id}"): "admin",
    ("GET", "/api/ping"): "none",
    ("POST", "/api/echo"): "none",
    ("GET", "/healthz"): "none",
    ("GET", "/readyz"): "none",
}
CLOSED = [operation for operation, needs in NEEDS.items() if needs != "none"]
USERS = [operation for operation, needs in NEEDS.items() if needs == "key"]
ADMINS = [operation for operation, needs in NEEDS.items() if needs == "admin"]
NOTHING = "01890000-0000-7000-8000-000000000000"
PATHS = sorted({path for _, path in NEEDS})

# Each is the value of an Authorization header that lets nobody in.
BAD_AUTHORIZATIONS = {
    "empty": b"",
    "scheme alone": b"Bearer",
    "scheme and a space": b"Bearer ",
    "token alone": b"Token ",
    "key without scheme": KEY.encode(),
    "another scheme": b"Basic c2s6eA==",
    "no space": b"Bearer" + KEY.encode(),
    "a colon": b"Bearer: " + KEY.encode(),
    "unknown key": b"Bearer sk_test_unknown0123456789",
    "unknown key as a token": b"Token sk_test_unknown0123456789",
    "key in capitals": b"Bearer " + KEY.upper().encode(),
    "beginning of the key": b"Bearer " + KEY[:-1].encode(),
    "more than the key": b"Bearer " + KEY.encode() + b"x",
    "two keys": b"Bearer " + KEY.encode() + b" " + KEY.encode(),
    "key in quotes": b'Bearer "' + KEY.encode() + b'"',
    "key with NUL": b"Bearer " + KEY.encode() + b"\x00",
    "not ASCII": b"Bearer sk_\xff\xfe\x80",
    "very long": b"Bearer sk_" + b"x" * 60_000,
}


@pytest.fixture
async def stranger(booper: Booper) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client without a key."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(booper.asgi), base_url="http://booper.test"
    ) as client:
        yield client


def problem(answer: httpx.Response, status: int) -> Any:
    """Return the problem details of an answer (RFC 9457 §3)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    details = answer.json()
    assert {"type", "title", "status", "detail"} <= set(details)
    assert details["status"] == status
    assert all(isinstance(details[name], str) for name in ("type", "title", "detail"))
    return details


def filled(path: str) -> str:
    """Return a path with something in the place of its parameter."""
    return re.sub(r"\{\w+\}", NOTHING, path)


def test_the_table_of_needs_is_complete() -> None:
    """Every operation of the API stands in `NEEDS`, so that none escapes the tests below."""
    assert {(operation.method, operation.path) for operation in OPERATIONS} == set(NEEDS)
    assert len(OPERATIONS) == len(NEEDS)


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_an_operation_without_a_key_is_401(
    stranger: httpx.AsyncClient, method: str, path: str
) -> None:
    """Without a key the answer is 401 and says how to send one."""
    answer = await stranger.request(method, filled(path))
    problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_no_bad_key_opens_an_operation(
    stranger: httpx.AsyncClient, method: str, path: str
) -> None:
    """A malformed or unknown key is 401 at every operation, and is not repeated in the answer."""
    for case, value in BAD_AUTHORIZATIONS.items():
        answer = await stranger.request(method, filled(path), headers=[(b"Authorization", value)])
        assert answer.status_code == 401, case
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer"), case
        assert len(answer.content) < 1_000, case
        assert KEY not in answer.text, case


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_a_revoked_key_is_401_everywhere(
    stranger: httpx.AsyncClient, admin: httpx.AsyncClient, method: str, path: str
) -> None:
    """A key works until it is revoked, and from then on nowhere."""
    made = (await admin.post("/api/keys", json={"name": "short-lived"})).json()["data"]
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert (await stranger.request(method, filled(path), headers=headers)).status_code != 401
    await admin.delete(f"/api/keys/{made['id']}")
    answer = await stranger.request(method, filled(path), headers=headers)
    problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), USERS)
async def test_a_users_key_opens_the_operations_of_users(
    stranger: httpx.AsyncClient, method: str, path: str
) -> None:
    """`Bearer` and `Token` are accepted, the scheme in any letter case (RFC 9110 §11.1)."""
    for scheme in ("Bearer ", "Token ", "bearer ", "TOKEN ", "Bearer  "):
        headers = {"Authorization": scheme + KEY}
        answer = await stranger.request(method, filled(path), headers=headers)
        assert answer.status_code not in (401, 403), scheme


@pytest.mark.parametrize(("method", "path"), ADMINS)
async def test_a_users_key_does_not_manage_keys(
    api: httpx.AsyncClient, method: str, path: str
) -> None:
    """On the public door the keys are closed to users: 403."""
    problem(await api.request(method, filled(path)), 403)


@pytest.mark.parametrize(("method", "path"), USERS)
async def test_the_admin_door_needs_a_key_for_what_belongs_to_a_user(
    admin: httpx.AsyncClient, method: str, path: str
) -> None:
    """An administrator without a key is no user: jobs and logs have nobody to belong to."""
    body = {"url": "https://target.test/"} if method == "POST" else None
    problem(await admin.request(method, filled(path), json=body), 401)


@pytest.mark.parametrize(("method", "path"), ADMINS)
async def test_the_admin_door_still_refuses_a_wrong_key(
    admin: httpx.AsyncClient, method: str, path: str
) -> None:
    """Who sends a key must send a good one, on the admin door as well."""
    headers = {"Authorization": "Bearer sk_test_unknown0123456789"}
    problem(await admin.request(method, filled(path), headers=headers), 401)


async def test_authentication_comes_before_the_body(stranger: httpx.AsyncClient) -> None:
    """A stranger's body is not read: nothing of it is looked at before the key."""
    pulled = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(100):
            pulled += 1
            yield b"x" * 65_536

    answer = await stranger.post("/api/jobs", content=chunks())
    assert answer.status_code == 401
    assert pulled == 0


async def test_ping_and_echo_need_no_key(stranger: httpx.AsyncClient) -> None:
    """`ping` answers Pong and `echo` the posted JSON, both bare (§1 and §2)."""
    assert (await stranger.get("/api/ping")).json() == {"message": "Pong"}
    values: list[object] = [{"a": [1, None, "é"]}, [], "text", 5, None, False]
    for value in values:
        answer = await stranger.post("/api/echo", content=json.dumps(value))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == value


async def test_ping_and_echo_do_not_mind_a_bad_key(stranger: httpx.AsyncClient) -> None:
    """Where no key is needed, none is looked at."""
    headers = {"Authorization": "Bearer nonsense"}
    assert (await stranger.get("/api/ping", headers=headers)).status_code == 200
    assert (await stranger.post("/api/echo", json=1, headers=headers)).status_code == 200


async def test_the_probes_answer_while_booper_runs(stranger: httpx.AsyncClient) -> None:
    """`/healthz` and `/readyz` are 200 for whoever watches, without a key (§10)."""
    assert (await stranger.get("/healthz")).status_code == 200
    assert (await stranger.get("/readyz")).status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_another_method_is_405_and_names_those_there_are(
    api: httpx.AsyncClient, path: str
) -> None:
    """`Allow` lists exactly the methods of the path (RFC 9110 §10.2.1); HEAD goes with GET."""
    known = {method for method, other in NEEDS if other == path}
    known |= {"HEAD"} if "GET" in known else set()
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - known:
        answer = await api.request(method, filled(path))
        problem(answer, 405)
        assert {name.strip() for name in answer.headers["allow"].split(",")} == known


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/",
        "/api/job",
        "/api/jobs/",
        "/api/jobs/1/",
        "/api/jobs/1/nonsense",
        "/api/jobs//cancel",
        "/API/JOBS",
        "//api/jobs",
        "/api/%00",
        "/api/%ff%fe",
        "/api/%0d%0aX-Injected:%201",
        "/api/keys/",
        "/../etc/passwd",
        "/api/" + "x" * 50_000,
    ],
)
async def test_another_path_is_404(api: httpx.AsyncClient, path: str) -> None:
    """What is not there is 404 as problem details, never a redirect, whoever asks and however."""
    for method in ("GET", "POST", "DELETE"):
        answer = await api.request(method, path)
        problem(answer, 404)
        assert "x-injected" not in answer.headers
        assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    "reference",
    [
        "0",
        "-1",
        "999999",
        "1.0",
        "1e3",
        "0x1",
        "abc",
        " ",
        "%00",
        "1%00",
        "%ff",
        "\u0661",
        str(2**63 - 1),
        str(2**63),
        str(2**64),
        "9" * 30,
        "9" * 5_000,
        "0" * 20 + "9" * 30,
        "0" * 20 + "9" * 5_000,
        "01890000-0000-7000-8000-000000000000",
        "{01890000-0000-7000-8000-000000000000}",
        "01890000-0000-7000-8000-00000000000g",
        "'; DROP TABLE jobs; --",
        "%25s%25n",
        "..%2f..%2fetc%2fpasswd",
    ],
)
async def test_a_reference_to_nothing_is_404(
    api: httpx.AsyncClient, admin: httpx.AsyncClient, reference: str
) -> None:
    """Whatever stands in the place of an id, it names nothing: 404, never a fault."""
    for client, method, path in (
        (api, "GET", f"/api/jobs/{reference}"),
        (api, "DELETE", f"/api/jobs/{reference}"),
        (api, "POST", f"/api/jobs/{reference}/cancel"),
        (api, "GET", f"/api/logs/{reference}"),
        (admin, "DELETE", f"/api/keys/{reference}"),
    ):
        answer = await client.request(method, path)
        problem(answer, 404)
        assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    "host", [b"", b"[", b"[::1", b"a b", b"\xff", b"evil.test/..", b"x" * 10_000, b"a\x00b"]
)
async def test_a_hostile_host_header_is_no_fault(api: httpx.AsyncClient, host: bytes) -> None:
    """Answers do not depend on what a client writes into `Host`, errors included."""
    headers = [(b"Host", host)]
    assert (await api.get("/api/ping", headers=headers)).status_code == 200
    assert (await api.get("/api/jobs", headers=headers)).status_code == 200
    problem(await api.get("/api/nonsense", headers=headers), 404)
    problem(await api.put("/api/ping", headers=headers), 405)
