"""API keys: the list, a new one, which is shown once, and the end of one."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from booper.api.access import Access
from booper.api.paging import cursor_behind
from booper.dashboard.keyset import listed
from booper.dashboard.visit import Page, Visit
from booper.errors import InvalidRequest
from booper.model.key import Scope

SCOPES: Final = (
    (str(Scope.READ), "read: sees jobs and logs"),
    (str(Scope.WRITE), "write: also changes them"),
    (str(Scope.ADMIN), "admin: also keys and status"),
)
"""The scopes in words."""


async def show_all(visit: Visit) -> Response:
    """Show all keys, revoked ones too, newest first."""
    return await _page(visit)


async def create(visit: Visit) -> Response:
    """Make a key and show it; no page shows it again."""
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("name", "user", "scope")}
    body = {name: text for name, text in given.items() if text or name == "name"}
    try:
        made = (await visit.send("POST", "/api/keys", body))["data"]
    except InvalidRequest as error:
        return await _page(visit, 422, given=given, problems=error.errors)
    return await _page(visit, 201, made=made)


async def revoke(visit: Visit) -> Response:
    """Revoke a key, and with it the sessions that it has opened."""
    await visit.send("DELETE", f"/api/keys/{visit.path['key_id']}")
    return visit.redirect("/keys", "key-revoked")


async def _page(visit: Visit, status: int = 200, **values: object) -> Response:
    shown = await listed(visit, "/api/keys", "inserted_at", _cursor_at)
    empty = {"name": "", "user": "", "scope": str(Scope.WRITE)}
    shared: dict[str, object] = {"given": empty, "problems": (), "made": None}
    key_id = visit.signed_in.principal.key_id
    return visit.page(
        "keys.html",
        status,
        title="Keys",
        keys=shown,
        scopes=SCOPES,
        own=str(key_id),
        **{**shared, **values},
    )


def _cursor_at(key: Any, descending: bool) -> str:
    at = datetime.fromisoformat(key["inserted_at"])
    return cursor_behind("inserted_at", UUID(key["id"]).int, at, descending=descending)


PAGES = (
    Page("GET", "/keys", Access.ADMIN, show_all),
    Page("POST", "/keys", Access.ADMIN, create),
    Page("POST", "/keys/{key_id}/revoke", Access.ADMIN, revoke),
)
