"""The API by resource, out of its OpenAPI document, with a form that tries each operation.

Whoever tries one needs a session, and does it as themselves: the operation is called as any page
calls it, with the permissions of their key.
"""

from starlette.responses import Response

from booper.api.access import Access
from booper.dashboard.description import Described, Description
from booper.dashboard.docs import docs_page
from booper.dashboard.trying import Tried, filled, inputs_of, meant_by, try_operation
from booper.dashboard.visit import Page, Visit
from booper.errors import Conflict, NotFound


async def show_all(visit: Visit) -> Response:
    """Show all resources, and what holds for each operation."""
    return docs_page(visit, "api.html", Description(await visit.describe()), title="API")


async def show_resource(visit: Visit) -> Response:
    """Show the operations of a resource. Raises: NotFound."""
    description, tag = Description(await visit.describe()), visit.path["tag"]
    if tag not in description.tags:
        raise NotFound(f"the API has no resource {tag[:80]!r}")
    return docs_page(visit, "api_resource.html", description, title=f"API: {tag}", tag=tag)


async def show_operation(visit: Visit) -> Response:
    """Show an operation, and the form that tries it. Raises: NotFound."""
    description = Description(await visit.describe())
    return _page(visit, description, _find(visit, description), {}, None)


async def try_one(visit: Visit) -> Response:
    """Call an operation as a form says, and show its response below the form.

    Raises: NotFound, Forbidden, Conflict.
    """
    description = Description(await visit.describe())
    found, form = _find(visit, description), dict(await visit.form())
    operation = description.operation(found)
    if not operation.is_json:
        raise Conflict("the response of this operation is for programs alone")
    tried = await try_operation(visit, operation, form)
    return _page(visit, description, found, form, tried)


def _find(visit: Visit, description: Description) -> Described:
    tag, name = visit.path["tag"], visit.path["operation"]
    for each in description.operations:
        if (each.tag, each.identifier) == (tag, name):
            return each
    raise NotFound(f"the API has no operation {name[:80]!r} of {tag[:80]!r}")


def _page(
    visit: Visit,
    description: Description,
    described: Described,
    form: dict[str, str],
    tried: Tried | None,
) -> Response:
    operation = description.operation(described)
    typed = form or filled(operation)
    viewer = visit.viewer
    return docs_page(
        visit,
        "api_operation.html",
        description,
        title=f"{described.method} {described.path}",
        tag=described.tag,
        operation=operation,
        inputs=inputs_of(operation),
        typed=typed,
        may_try=viewer is not None and visit.api.may(viewer.principal, described.route),
        curl=meant_by(operation, typed).curl(visit.own_url),
        tried=tried,
    )


PAGES = (
    Page("GET", "/docs/api", Access.OPEN, show_all),
    Page("GET", "/docs/api/{tag}", Access.OPEN, show_resource),
    Page("GET", "/docs/api/{tag}/{operation}", Access.OPEN, show_operation),
    Page("POST", "/docs/api/{tag}/{operation}", Access.READ, try_one),
)
