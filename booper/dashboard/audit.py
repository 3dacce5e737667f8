"""The audit: who changed what, and when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

from booper.api.access import Access
from booper.api.paging import cursor_behind
from booper.dashboard.keyset import Listed, listed
from booper.dashboard.visit import Page, Visit
from booper.errors import FieldError, InvalidRequest
from booper.model.audit import Action

WORDS: Final[Mapping[str, str]] = {
    Action.JOB_CANCEL: "cancelled a job",
    Action.JOB_RETRY: "sent a job again",
    Action.JOB_RUN: "made a job due at once",
    Action.JOB_REPLACE: "replaced a job",
    Action.JOBS_CANCEL: "cancelled jobs by a filter",
    Action.JOBS_RETRY: "sent jobs again by a filter",
    Action.JOBS_RUN: "made jobs due at once by a filter",
    Action.SCHEDULE_CHANGE: "changed a schedule",
    Action.SCHEDULE_DISABLE: "disabled a schedule",
    Action.SCHEDULE_ENABLE: "enabled a schedule",
    Action.SCHEDULE_DELETE: "deleted a schedule",
    Action.SCHEDULE_STATE: "replaced the $state of a schedule",
    Action.SCHEDULE_RUN: "ran a schedule beside its plan",
    Action.PAUSE: "paused requests",
    Action.RESUME: "resumed requests",
    Action.BREAKERS_RESET: "reset breakers",
    Action.KEY_CREATE: "created a key",
    Action.KEY_REVOKE: "revoked a key",
}
"""What was done, as it stands behind who did it."""


FILTERS: Final = ("action", "key_id")
MAX_KEYS: Final = 100
"""How many of the newest keys can be chosen."""


async def show_all(visit: Visit) -> Response:
    """Show a page of the changes, newest first, with those filters that are asked for."""
    wanted = {name: visit.query.get(name, "") for name in FILTERS}
    problems: Sequence[FieldError] = ()
    try:
        shown = await listed(visit, "/api/audit", "at", _cursor_at, wanted)
    except InvalidRequest as error:
        shown, problems = Listed([], None, None), error.errors
    keys = (await visit.get("/api/keys", {"limit": MAX_KEYS}))["data"]
    return visit.page(
        "audit.html",
        422 if problems else 200,
        title="Audit",
        changes=shown,
        words=WORDS,
        wanted=wanted,
        problems=problems,
        keys=[(key["id"], key["name"]) for key in keys],
    )


def _cursor_at(entry: Any, descending: bool) -> str:
    at = datetime.fromisoformat(entry["at"])
    return cursor_behind("at", entry["id"], at, descending=descending)


PAGES = (Page("GET", "/audit", Access.ADMIN, show_all),)
