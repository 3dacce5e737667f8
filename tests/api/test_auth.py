"""Who may call what: keys, the table of operations, and what is not there (contract §1 and §2)."""

import json
import re
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import httpx
import pytest

from booper.api.application import OPERATIONS
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import StartError
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

# The scope each operation needs (§1, §2, §10), or "none" where no key is needed.
NEEDS = {
    ("POST", "/api/jobs"): "write",
    ("GET", "/api/jobs"): "read",
    ("GET", "/api/jobs/{job_id}"): "read",
    ("DELETE", "/api/jobs/{job_id}"): "write",
    ("POST", "/api/jobs/{job_id}/cancel"): "write",
    ("POST", "/api/jobs/{job_id}/retry"): "write",
    ("POST", "/api/jobs/{job_id}/run"): "write",
    ("POST", "/api/jobs/batch"): "write",
    ("POST", "/api/jobs/cancel"): "write",
    ("POST", "/api/jobs/retry"): "write",
    ("POST", "/api/jobs/run"): "write",
    ("GET", "/api/schedules"): "read",
    ("GET", "/api/schedules/{schedule_id}"): "read",
    ("PATCH", "/api/schedules/{schedule_id}"): "write",
    ("DELETE", "/api/schedules/{schedule_id}"): "write",
    ("POST", "/api/schedules/{schedule_id}/disable"): "write",
    ("PUT", "/api/schedules/{schedule_id}/state"): "write",
    ("POST", "/api/schedules/{schedule_id}/enable"): "write",
    ("POST", "/api/schedules/{schedule_id}/run"): "write",
    ("GET", "/api/jobs/{job_id}/timeline"): "read",
    ("GET", "/api/schedules/{schedule_id}/timeline"): "read",
    ("GET", "/api/schedules/{schedule_id}/runs"): "read",
    ("GET", "/api/audit"): "admin",
    ("GET", "/api/logs"): "read",
    ("GET", "/api/logs/{log_id}"): "read",
    ("POST", "/api/broadcast"): "write",
    ("POST", "/api/channels/{name}"): "write",
    ("GET", "/api/channels/{name}/events"): "read",
    ("GET", "/api/channels/ping"): "none",
    ("GET", "/api/breakers"): "admin",
    ("POST", "/api/breakers/reset"): "admin",
    ("GET", "/api/origins"): "admin",
    ("GET", "/api/nodes"): "admin",
    ("GET", "/api/pause"): "admin",
    ("GET", "/api/pauses"): "admin",
    ("POST", "/api/prune"): "admin",
    ("POST", "/api/pause"): "admin",
    ("POST", "/api/resume"): "admin",
    ("GET", "/api/status"): "admin",
    ("GET", "/api/counts"): "read",
    ("GET", "/api/rates"): "read",
    ("GET", "/api/events"): "read",
    ("POST", "/api/keys"): "admin",
    ("GET", "/api/keys"): "admin",
    ("DELETE", "/api/keys/{key_id}"): "admin",
    ("GET", "/api/ping"): "none",
    ("POST", "/api/echo"): "none",
    ("GET", "/healthz"): "none",
    ("GET", "/readyz"): "none",
    ("GET", "/openapi.json"): "none",
}
CLOSED = [operation for operation, needs in NEEDS.items() if needs != "none"]
READERS = [operation for operation, needs in NEEDS.items() if needs == "read"]
WRITERS = [operation for operation, needs in NEEDS.items() if needs == "write"]
USERS = [*READERS, *WRITERS]
ADMINS = [operation for operation, needs in NEEDS.items() if needs == "admin"]
NOTHING = "01890000-0000-7000-8000-000000000000"
NO_CHANNEL = "not.a.channel"  # so that no feed is opened, which would not end
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
async def stranger(booper: Booper) -> AsyncIterator[Api]:
    """Return a client without a key."""
    async with Api(booper.asgi) as client:
        yield client


def problem(response: httpx.Response, status: int) -> Any:
    """Return the problem details of a response (RFC 9457 §3)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    details = response.json()
    assert {"type", "title", "status", "detail"} <= set(details)
    assert details["status"] == status
    assert all(isinstance(details[name], str) for name in ("type", "title", "detail"))
    return details


def filled(path: str) -> str:
    """Return a path with something in the place of its parameter; no stream is opened by it."""
    path = path.replace("/api/events", f"/api/events?job_id={NOTHING}")
    return re.sub(r"\{\w+\}", NOTHING, path.replace("{name}", NO_CHANNEL))


def methods_at(path: str) -> set[str]:
    """Return the methods that a path of the table has; HEAD goes with GET."""
    known = {method for method, other in NEEDS if other == path}
    return known | ({"HEAD"} if "GET" in known else set())


def is_taken(path: str, method: str) -> bool:
    """Return whether a method of a fixed path belongs to a path with a parameter in its place."""
    patterns = [re.sub(r"\{\w+\}", "[^/]+", other) for known, other in NEEDS if known == method]
    return any(re.fullmatch(pattern, path) for pattern in patterns)


async def key_of_scope(admin: Api, scope: str) -> dict[str, str]:
    """Return the headers of a new key of this scope."""
    response = await admin.post("/api/keys", json={"name": scope, "scope": scope})
    assert response.status_code == 201, response.text
    return {"Authorization": f"Bearer {response.json()['data']['key']}"}


def test_the_table_of_needs_is_complete() -> None:
    """Every operation of the API stands in `NEEDS`, so that none escapes the tests below."""
    assert {(operation.method, operation.path) for operation in OPERATIONS} == set(NEEDS)
    assert len(OPERATIONS) == len(NEEDS)


async def test_an_operation_without_a_key_is_401(stranger: Api) -> None:
    """Without a key the response is 401 and says how to send one."""
    for method, path in CLOSED:
        response = await stranger.request(method, filled(path))
        problem(response, 401)
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_no_bad_key_opens_an_operation(stranger: Api) -> None:
    """A malformed or unknown key is 401 at every operation, and is not repeated in the response."""
    for method, path in CLOSED:
        for case, value in BAD_AUTHORIZATIONS.items():
            response = await stranger.request(
                method, filled(path), headers=[(b"Authorization", value)]
            )
            assert response.status_code == 401, case
            problem(response, 401)
            assert response.headers["www-authenticate"].startswith("Bearer"), case
            assert len(response.content) < 1_000, case
            assert KEY not in response.text, case


async def test_a_revoked_key_is_401_everywhere(stranger: Api, admin: Api) -> None:
    """A key works until it is revoked, and from then on nowhere."""
    for method, path in CLOSED:
        made = (await admin.post("/api/keys", json={"name": "short-lived"})).json()["data"]
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert (await stranger.request(method, filled(path), headers=headers)).status_code != 401
        await admin.delete(f"/api/keys/{made['id']}")
        response = await stranger.request(method, filled(path), headers=headers)
        problem(response, 401)
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_users_key_opens_the_operations_of_users(stranger: Api) -> None:
    """`Bearer` and `Token` are accepted, the scheme in any letter case (RFC 9110 §11.1)."""
    for method, path in USERS:
        for scheme in ("Bearer ", "Token ", "bearer ", "TOKEN ", "Bearer  "):
            headers = {"Authorization": scheme + KEY}
            response = await stranger.request(method, filled(path), headers=headers)
            assert response.status_code not in (401, 403), scheme


async def test_the_fixed_key_administers(api: Api) -> None:
    """The operator's key is of scope `admin`, over the public address as well."""
    for method, path in ADMINS:
        assert (await api.request(method, filled(path))).status_code not in (401, 403)


@pytest.mark.parametrize("scope", ["read", "write"])
async def test_a_users_key_does_not_administer(stranger: Api, admin: Api, scope: str) -> None:
    """Keys and pauses are closed to keys that only read or write: 403 (§1)."""
    for method, path in ADMINS:
        headers = await key_of_scope(admin, scope)
        details = problem(await stranger.request(method, filled(path), headers=headers), 403)
        assert "admin" in details["detail"]


async def test_a_reading_key_does_not_write(stranger: Api, admin: Api) -> None:
    """A key of scope `read` is 403 wherever something would change (§1)."""
    for method, path in WRITERS:
        headers = await key_of_scope(admin, "read")
        details = problem(await stranger.request(method, filled(path), headers=headers), 403)
        assert "write" in details["detail"]


async def test_every_key_reads(stranger: Api, admin: Api) -> None:
    """`admin` includes `write`, and `write` includes `read`."""
    for method, path in READERS:
        for scope in ("read", "write", "admin"):
            headers = await key_of_scope(admin, scope)
            response = await stranger.request(method, filled(path), headers=headers)
            assert response.status_code not in (401, 403), scope


async def test_keys_that_write_and_administer_write(stranger: Api, admin: Api) -> None:
    """What changes something is open to the scopes `write` and `admin`."""
    for method, path in WRITERS:
        for scope in ("write", "admin"):
            headers = await key_of_scope(admin, scope)
            response = await stranger.request(method, filled(path), headers=headers)
            assert response.status_code not in (401, 403), scope


# How an operation shows that it reaches nothing of another user; `{…_id}` in a path is one way.
LISTS = [("GET", "/api/jobs"), ("GET", "/api/schedules"), ("GET", "/api/logs")]
NUMBERS = [
    ("GET", "/api/counts"),  # tests/api/test_counts.py
    ("GET", "/api/rates"),  # tests/api/test_rates.py
    ("GET", "/api/events"),  # tests/api/test_events.py
]
MANY = [("POST", f"/api/jobs/{verb}") for verb in ("cancel", "retry", "run")]
MAKERS = [
    ("POST", "/api/jobs"),
    ("POST", "/api/jobs/batch"),
    ("POST", "/api/broadcast"),
    ("POST", "/api/channels/{name}"),
    ("GET", "/api/channels/{name}/events"),  # one's own feed: tests/api/test_channels.py
]
OBJECTS = [(method, path) for method, path in USERS if "_id}" in path]


def test_every_operation_of_users_is_tried_on_what_is_another_users() -> None:
    """Each of them names an object, lists, changes many, or makes something of one's own."""
    assert sorted([*OBJECTS, *LISTS, *NUMBERS, *MANY, *MAKERS]) == sorted(USERS)


@pytest.fixture
async def anns(api: Api, booper: Booper, target: FakeTarget) -> dict[str, str]:
    """Return a waiting job, a schedule and a log entry of the first user, each by its id."""
    return await owned_objects(booper, api, target)


async def owned_objects(booper: Booper, api: Api, target: FakeTarget) -> dict[str, str]:
    """Make a user's waiting job, schedule and log entry, and return the id of each."""
    target.respond(httpx.Response(410))
    await api.post("/api/jobs", json={"url": "https://target.test/"})
    await booper.wait_idle()
    fields = {"url": "https://target.test/", "schedule_in": 3600, "repeat_every": 3600}
    job = (await api.post("/api/jobs", json=fields)).json()["data"]
    log = (await api.get("/api/logs")).json()["data"][0]
    return {"job_id": job["id"], "schedule_id": job["schedule_id"], "log_id": log["id"]}


async def everything(api: Api) -> list[Any]:
    """Return all that the first user has."""
    return [(await api.get(path)).json() for _, path in LISTS]


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
async def test_what_is_another_users_is_404(
    api: Api,
    stranger: Api,
    admin: Api,
    anns: dict[str, str],
    scope: str,
) -> None:
    """No key of any scope reaches another user's object, which stays as it was (§1)."""
    made = await admin.post("/api/keys", json={"name": "bob", "user": "bob", "scope": scope})
    headers = {"Authorization": f"Bearer {made.json()['data']['key']}"}
    before = await everything(api)
    reached = [known for known in OBJECTS if scope != "read" or NEEDS[known] == "read"]
    for method, path in reached:
        body = {"name": "x"} if method in ("PATCH", "PUT") else None
        address = path.format(**anns)
        problem(await stranger.request(method, address, headers=headers, json=body), 404)
    for method, path in LISTS:
        response = await stranger.request(method, path, headers=headers)
        assert (response.status_code, response.json()["data"]) == (200, [])
    for method, path in MANY if scope != "read" else []:
        response = await stranger.request(method, path, headers=headers, json={"all": True})
        assert response.json()["data"] == {"matched": 0, "changed": 0}
    assert await everything(api) == before


@pytest.mark.parametrize(("method", "path"), OBJECTS)
async def test_what_is_ones_own_is_there(
    api: Api, anns: dict[str, str], method: str, path: str
) -> None:
    """The 404s above are about the user: the owner's own request finds the object."""
    body = {"name": "x"} if method in ("PATCH", "PUT") else None
    response = await api.request(method, path.format(**anns), json=body)
    assert response.status_code in (200, 201, 204, 409)


async def test_the_first_key_administers(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """Where no key was given, the first start makes one that may do everything."""
    async with Booper(config, clock=clock, random=Random(1), transport=target) as booper:
        headers = {"Authorization": f"Bearer {booper.first_key}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(booper.asgi), base_url="http://b.test", headers=headers
        ) as client:
            keys = await client.get("/api/keys")
    assert keys.status_code == 200
    assert [key["scope"] for key in keys.json()["data"]] == ["admin"]


PUBLIC = ["0.0.0.0", "::", "192.168.1.7", "8.8.8.8", "fd00::7", "booper.example"]
LOOPBACK = ["127.0.0.1", "127.8.8.8", "::1", "localhost"]


@pytest.mark.parametrize("host", PUBLIC)
async def test_a_public_address_without_any_key_is_refused(config: Config, host: str) -> None:
    """A first key would be printed where others may read it, so there is none; one line says so."""
    with pytest.raises(StartError, match=f"^listening on {host} .*BOOPER_API_KEY.*keys create"):
        async with Booper(config, address=(host, 2667)):
            pass


@pytest.mark.parametrize("host", LOOPBACK)
async def test_a_loopback_address_without_any_key_gets_a_first_one(
    config: Config, host: str
) -> None:
    """Only this machine can come, so the key may be shown on its screen."""
    async with Booper(config, address=(host, 2667)) as booper:
        assert booper.first_key is not None


async def test_a_public_address_is_fine_once_there_is_a_key(config: Config) -> None:
    """The operator's own key counts, and so does one that the database holds."""
    async with Booper(config, api_key=KEY, address=("0.0.0.0", 2667)) as booper:
        assert booper.first_key is None
    async with Booper(config, address=("0.0.0.0", 2667)) as booper:
        assert booper.first_key is None


async def test_the_admin_socket_needs_a_key_for_what_belongs_to_a_user(
    admin: Api,
) -> None:
    """An administrator without a key is no user: jobs and logs have nobody to belong to."""
    for method, path in USERS:
        body = {"url": "https://target.test/"} if method == "POST" else None
        problem(await admin.request(method, filled(path), json=body), 401)


async def test_the_admin_socket_still_refuses_a_wrong_key(admin: Api) -> None:
    """Who sends a key must send a good one, over the admin socket as well."""
    for method, path in ADMINS:
        headers = {"Authorization": "Bearer sk_test_unknown0123456789"}
        problem(await admin.request(method, filled(path), headers=headers), 401)


async def test_authentication_comes_before_the_body(stranger: Api) -> None:
    """A stranger's body is not read: nothing of it is looked at before the key."""
    pulled = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(100):
            pulled += 1
            yield b"x" * 65_536

    response = await stranger.post("/api/jobs", content=chunks())
    assert response.status_code == 401
    assert pulled == 0


async def test_ping_and_echo_need_no_key(stranger: Api) -> None:
    """`ping` answers Pong and `echo` the posted JSON, both bare (§1 and §2)."""
    assert (await stranger.get("/api/ping")).json() == {"message": "Pong"}
    values: list[object] = [{"a": [1, None, "é"]}, [], "text", 5, None, False]
    for value in values:
        response = await stranger.post("/api/echo", content=json.dumps(value))
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.json() == value


async def test_ping_and_echo_do_not_mind_a_bad_key(stranger: Api) -> None:
    """Where no key is needed, none is looked at."""
    headers = {"Authorization": "Bearer nonsense"}
    assert (await stranger.get("/api/ping", headers=headers)).status_code == 200
    assert (await stranger.post("/api/echo", json=1, headers=headers)).status_code == 200


async def test_the_probes_answer_while_booper_runs(stranger: Api) -> None:
    """`/healthz` and `/readyz` are 200 for whoever watches, without a key (§10)."""
    assert (await stranger.get("/healthz")).status_code == 200
    assert (await stranger.get("/readyz")).status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_another_method_is_405_and_names_those_there_are(api: Api, path: str) -> None:
    """`Allow` lists exactly the methods of the path (RFC 9110 §10.2.1); HEAD goes with GET."""
    known = methods_at(path)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - known:
        if is_taken(path, method):  # `/api/jobs/batch` may be a job's number to GET
            continue
        response = await api.request(method, filled(path))
        problem(response, 405)
        assert {name.strip() for name in response.headers["allow"].split(",")} == known


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
        "/api/schedules/",
        "/api/schedule",
        "/api/schedules/1/nonsense",
        "/api/jobs/batch/",
        "/api/channels",
        "/api/channels/demo/nonsense",
        "/../etc/passwd",
        "/api/" + "x" * 50_000,
    ],
)
async def test_another_path_is_404(api: Api, path: str) -> None:
    """What is not there is 404 as problem details, never a redirect, whoever asks and however."""
    for method in ("GET", "POST", "DELETE"):
        response = await api.request(method, path)
        problem(response, 404)
        assert "x-injected" not in response.headers
        assert len(response.content) < 2_000


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
async def test_a_reference_to_nothing_is_404(api: Api, admin: Api, reference: str) -> None:
    """Whatever stands in the place of an id, it names nothing: 404, never a fault."""
    for client, method, path in (
        (api, "GET", f"/api/jobs/{reference}"),
        (api, "DELETE", f"/api/jobs/{reference}"),
        (api, "POST", f"/api/jobs/{reference}/cancel"),
        (api, "POST", f"/api/jobs/{reference}/retry"),
        (api, "POST", f"/api/jobs/{reference}/run"),
        (api, "GET", f"/api/schedules/{reference}"),
        (api, "DELETE", f"/api/schedules/{reference}"),
        (api, "POST", f"/api/schedules/{reference}/disable"),
        (api, "POST", f"/api/schedules/{reference}/enable"),
        (api, "POST", f"/api/schedules/{reference}/run"),
        (api, "GET", f"/api/logs/{reference}"),
        (admin, "DELETE", f"/api/keys/{reference}"),
    ):
        response = await client.request(method, path)
        problem(response, 404)
        assert len(response.content) < 2_000


@pytest.mark.parametrize(
    "host", [b"", b"[", b"[::1", b"a b", b"\xff", b"evil.test/..", b"x" * 10_000, b"a\x00b"]
)
async def test_a_hostile_host_header_is_no_fault(api: Api, host: bytes) -> None:
    """Answers do not depend on what a client writes into `Host`, errors included."""
    headers = [(b"Host", host)]
    assert (await api.get("/api/ping", headers=headers)).status_code == 200
    assert (await api.get("/api/jobs", headers=headers)).status_code == 200
    problem(await api.get("/api/nonsense", headers=headers), 404)
    problem(await api.put("/api/ping", headers=headers), 405)
