"""The list of jobs: the API's filters in the address bar, and pages in both directions."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from booper.api.access import Access
from booper.api.paging import cursor_behind, order_words
from booper.dashboard.bulk_words import ACTIONS
from booper.dashboard.keyset import LIMIT, Place, links_around
from booper.dashboard.visit import Page, Visit
from booper.errors import FieldError, InvalidRequest
from booper.model.job import State

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
FILTERS: Final = (
    "state",
    "text",
    "tag",
    "schedule_id",
    "host",
    "url_prefix",
    "after",
    "before",
)
ORDERS: Final = (
    ("inserted_at,asc", "oldest first"),
    ("scheduled_at,asc", "by time, first to last"),
    ("scheduled_at,desc", "by time, last to first"),
)
"""The orders beside that of the API's own, and the words for them."""


class Listing(msgspec.Struct, frozen=True):
    """What the address bar asks for: filters, an order, and where the page begins.

    A page that `is_turned` ends where the cursor is: it was reached by going back. It is asked for
    in the opposite order.
    """

    wanted: Mapping[str, Sequence[str]]
    order: str
    cursor: str
    is_turned: bool

    @classmethod
    def of(cls, visit: Visit) -> "Listing":
        """Read what is asked for."""
        query = visit.query
        wanted = filters_in(query)
        is_turned = query.get("turned") == "yes"
        order = ",".join(order_words(query.get("order_by")))
        return cls(wanted, order, query.get("cursor", ""), is_turned)

    @property
    def query(self) -> Mapping[str, object]:
        """Return the query for the API."""
        order = self.order
        if self.is_turned:
            field, is_falling = self.parts
            order = f"{field},{'asc' if is_falling else 'desc'}"
        return {
            "brief": "true",
            "limit": LIMIT,
            "order_by": order,
            "cursor": self.cursor,
            **self.wanted,
        }

    @property
    def is_falling(self) -> bool:
        """Return whether the search goes to lower numbers or earlier times."""
        return self.parts[1] is not self.is_turned

    @property
    def parts(self) -> tuple[str, bool]:
        """Return the field by which is ordered, and whether it falls."""
        field, _, direction = (self.order or "inserted_at,desc").partition(",")
        return field, direction.strip().lower() != "asc"

    def cursor_at(self, job: Any, is_onward: bool) -> str:
        """Return where the page begins that goes on from a job, or that goes back from it."""
        field, is_falling = self.parts
        at = datetime.fromisoformat(job["job"]["scheduled_at"])
        return cursor_behind(field, job["job_id"], at, descending=is_falling is is_onward)

    def link(self, visit: Visit, **changes: object) -> str:
        """Return a link to the list with these changes, from its beginning unless they say."""
        shared: dict[str, Any] = {**self.wanted, "order_by": self.order, **changes}
        return visit.links.to("/jobs", **shared)


def filters_in(query: QueryParams) -> Mapping[str, Sequence[str]]:
    """Return the values of each filter in a query or a form, none where it is not given."""
    return {name: [text for text in query.getlist(name) if text] for name in FILTERS}


async def show_all(visit: Visit) -> Response:
    """Show a page of the user's jobs, newest first unless another order is asked for."""
    listing = Listing.of(visit)
    problems: Sequence[FieldError] = ()
    found: Mapping[str, Any] = {"data": []}
    try:
        found = await visit.get("/api/jobs", listing.query)
    except InvalidRequest as error:
        problems = error.errors
    jobs = found["data"][::-1] if listing.is_turned else found["data"]
    place = Place(listing.cursor, listing.is_turned, found.get("next_cursor"))
    before, after = links_around(jobs, place, partial(listing.link, visit), listing.cursor_at)
    return visit.page(
        "jobs.html",
        422 if problems else 200,
        title="Jobs",
        live={},
        jobs=jobs,
        others=await _others(visit, jobs),
        before=before,
        after=after,
        searched_to=found.get("searched_to"),
        is_falling=listing.is_falling,
        is_turned=listing.is_turned,
        problems=problems,
        wanted=listing.wanted,
        given={name: "".join(texts[-1:]) for name, texts in listing.wanted.items()},
        is_filtered=any(listing.wanted[name] for name in FILTERS[2:]) or bool(listing.order),
        filtered=lambda state: listing.link(visit, state=state),
        order=listing.order,
        orders=ORDERS,
        states=[str(state) for state in State],
        actions=[each for each in ACTIONS.values() if each.suits(listing.wanted["state"])],
        matching=lambda action: visit.links.to("/jobs/all", action=action, **listing.wanted),
    )


async def _others(visit: Visit, jobs: Sequence[Any]) -> Sequence[Any] | None:
    """Return the jobs that an open page shows and that are not in the list now.

    Its script asks for them by `shown`; None where that is not there.
    """
    shown = visit.query.get("shown")
    if shown is None:
        return None
    listed = {job["job_id"] for job in jobs}
    numbers = {int(text) for text in shown.split(",")[:LIMIT] if _NUMBER.fullmatch(text)}
    found: Sequence[Any] = await visit.brief_jobs(sorted(numbers - listed))
    return found


PAGES = (Page("GET", "/jobs", Access.READ, show_all),)
