"""API keys over the administration socket; `test_api_auth` says who may not."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.clock import VirtualClock

pytestmark = pytest.mark.anyio

URL = "https://target.test/"


def bearer(key: str) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"Authorization": f"Bearer {key}"}


async def make(admin: httpx.AsyncClient, **fields: object) -> Any:
    """Create a key and return the response's data."""
    response = await admin.post("/api/keys", json=fields)
    assert response.status_code == 201, response.text
    return response.json()["data"]


async def test_a_new_key_is_shown_once_and_works(
    admin: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    """Only the create's response holds the key, which begins with `sk_`; lists never do."""
    made = await make(admin, name="laptop")
    assert made["key"].startswith("sk_")
    assert (await api.get("/api/jobs", headers=bearer(made["key"]))).status_code == 200
    listed = await admin.get("/api/keys")
    assert made["key"] not in listed.text
    [shown] = [key for key in listed.json()["data"] if key["id"] == made["id"]]
    assert set(shown) == {
        "id",
        "name",
        "user",
        "user_id",
        "scope",
        "inserted_at",
        "revoked_at",
        "last_used_at",
    }
    assert (shown["name"], shown["revoked_at"]) == ("laptop", None)
    # The clock stands at 2030-01-01T12:00:00Z.
    assert shown["inserted_at"] == "2030-01-01T12:00:00.000000Z"


async def test_a_key_writes_unless_another_scope_is_asked_for(admin: httpx.AsyncClient) -> None:
    """`scope` is `read`, `write` or `admin`; without it a key may write, but not administer."""
    made = {scope: await make(admin, name="a", scope=scope) for scope in ("read", "write", "admin")}
    assert {scope: key["scope"] for scope, key in made.items()} == {
        "read": "read",
        "write": "write",
        "admin": "admin",
    }
    assert (await make(admin, name="a"))["scope"] == "write"


@pytest.mark.parametrize("order", ["", "inserted_at,desc", "id,desc", "inserted_at,asc", "id,asc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
async def test_pages_of_keys_lead_on(
    admin: httpx.AsyncClient, clock: VirtualClock, order: str, limit: int
) -> None:
    """Six keys, newest first by default, once each; `offset` leaves out the first ones (§2)."""
    for name in "bcdef":
        clock.advance(timedelta(seconds=1))
        await make(admin, name=name)
    expected = ["f", "e", "d", "c", "b", "BOOPER_API_KEY"]
    if order.endswith("asc"):
        expected.reverse()
    found, query = list[str](), {"limit": str(limit), "order_by": order, "offset": "1"}
    while True:
        response = (await admin.get("/api/keys", params=query)).json()
        found += [key["name"] for key in response["data"]]
        if "next_cursor" not in response:
            break
        assert len(response["data"]) == limit
        query = {**query, "cursor": response["next_cursor"], "offset": "0"}
    assert found == expected[1:]


async def test_a_page_of_keys_has_ten_unless_asked_otherwise(admin: httpx.AsyncClient) -> None:
    """The default and the bound are those of every list (§2)."""
    for number in range(10):
        await make(admin, name=f"key {number}")
    assert len((await admin.get("/api/keys")).json()["data"]) == 10
    assert len((await admin.get("/api/keys?limit=100")).json()["data"]) == 11
    assert (await admin.get("/api/keys?limit=101")).status_code == 422


async def test_the_fixed_key_is_listed_as_administering(api: httpx.AsyncClient) -> None:
    """The operator's key is of scope `admin`, and may list keys itself."""
    [fixed] = (await api.get("/api/keys")).json()["data"]
    assert (fixed["name"], fixed["scope"]) == ("BOOPER_API_KEY", "admin")


async def test_a_users_administering_key_makes_and_revokes_keys(
    admin: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    """A key of scope `admin` manages keys over the public address, whichever user it belongs to."""
    theirs = await make(admin, name="theirs", user="other", scope="admin")
    response = await api.post("/api/keys", json={"name": "new"}, headers=bearer(theirs["key"]))
    assert response.status_code == 201
    made = response.json()["data"]
    gone = await api.delete(f"/api/keys/{made['id']}", headers=bearer(theirs["key"]))
    assert gone.status_code == 200
    assert (await api.get("/api/jobs", headers=bearer(made["key"]))).status_code == 401


async def test_keys_of_one_user_see_the_same_jobs(
    admin: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    """Without `user` a key is the first user's; one of another name is somebody else's."""
    await api.post("/api/jobs", json={"url": URL, "schedule_in": 60})
    same = await make(admin, name="second of the first user")
    other, again = [await make(admin, name=name, user="other") for name in ("a", "b")]
    assert len((await api.get("/api/jobs", headers=bearer(same["key"]))).json()["data"]) == 1
    await api.post("/api/jobs", json={"url": URL, "schedule_in": 60}, headers=bearer(other["key"]))
    of_other = (await api.get("/api/jobs", headers=bearer(again["key"]))).json()["data"]
    assert len(of_other) == 1
    assert len((await api.get("/api/jobs")).json()["data"]) == 1


async def test_two_keys_of_one_name_are_two_keys(
    admin: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    """A name is a label: revoking one key leaves another of that name alone."""
    first, second = await make(admin, name="twin"), await make(admin, name="twin")
    assert first["key"] != second["key"]
    await admin.delete(f"/api/keys/{first['id']}")
    assert (await api.get("/api/jobs", headers=bearer(first["key"]))).status_code == 401
    assert (await api.get("/api/jobs", headers=bearer(second["key"]))).status_code == 200


async def test_a_revoked_key_stays_listed(admin: httpx.AsyncClient) -> None:
    """Revoking says when it happened, keeps the key in the list, and can be repeated."""
    made = await make(admin, name="old")
    first = await admin.delete(f"/api/keys/{made['id']}")
    assert first.status_code == 200
    assert first.json()["data"]["revoked_at"] == "2030-01-01T12:00:00.000000Z"
    assert (await admin.delete(f"/api/keys/{made['id']}")).json() == first.json()
    assert first.json()["data"] in (await admin.get("/api/keys")).json()["data"]


async def test_revoking_what_is_not_there_is_404(admin: httpx.AsyncClient) -> None:
    """An unknown UUID is 404, as is what is no UUID."""
    for reference in ("01890000-0000-7000-8000-000000000000", "laptop", "1"):
        assert (await admin.delete(f"/api/keys/{reference}")).status_code == 404


async def test_the_admin_socket_serves_a_user_who_sends_a_key(admin: httpx.AsyncClient) -> None:
    """With a key the administration socket is that user's API as well."""
    made = await make(admin, name="laptop")
    response = await admin.post(
        "/api/jobs", json={"url": URL, "schedule_in": 60}, headers=bearer(made["key"])
    )
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/name"),
        ({"name": None}, "/name"),
        ({"name": 5}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "x" * 1_000_000}, "/name"),
        ({"name": "a", "user": 5}, "/user"),
        ({"name": "a", "user": ""}, "/user"),
        ({"name": "a", "user": "x" * 101}, "/user"),
        ({"name": "a", "scope": 5}, "/scope"),
        ({"name": "a", "scope": ""}, "/scope"),
        ({"name": "a", "scope": "root"}, "/scope"),
        ({"name": "a", "scope": "Write"}, "/scope"),
        ({"name": "a", "scope": "x" * 1_000_000}, "/scope"),
        ({"name": "a", "usr": "b"}, "/usr"),
        ([], ""),
        ("laptop", ""),
        (None, ""),
    ],
)
async def test_a_wrong_field_of_a_key_is_pointed_at(
    admin: httpx.AsyncClient, fields: object, pointer: str
) -> None:
    """A wrong field is 422 with its JSON Pointer, as everywhere (§1)."""
    response = await admin.post("/api/keys", content=json.dumps(fields))
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert len(response.content) < 2_000


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"name": "\\ud800"}'])
async def test_a_malformed_create_of_a_key_is_400(admin: httpx.AsyncClient, body: bytes) -> None:
    """What is not JSON is 400 here as well."""
    response = await admin.post(
        "/api/keys", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400


async def test_a_key_is_not_made_from_another_content_type(admin: httpx.AsyncClient) -> None:
    """Text is 415, as for every posted body (§1)."""
    response = await admin.post(
        "/api/keys", content=b'{"name": "a"}', headers={"Content-Type": "text/plain"}
    )
    assert response.status_code == 415
