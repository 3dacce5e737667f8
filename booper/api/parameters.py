"""The query parameters that lists share, as the API document describes them (contract §2)."""

from collections.abc import Sequence
from typing import Final

from booper.api.filters import MAX_PREFIX_LENGTH, MAX_TEXT_LENGTH
from booper.api.operations import Parameter
from booper.api.paging import DEFAULT_LIMIT, DIRECTIONS, MAX_LIMIT, MAX_OFFSET
from booper.api.schemas import UUID, Schema, listed, matching, reference, text, whole
from booper.model.job import Kind, State

BOOLEAN: Final[Schema] = {"type": "boolean"}

MOMENT: Final[Schema] = reference("Moment")

JOB_ID: Final = Parameter(
    "job_id",
    "The job's number or its UUID",
    {"anyOf": [whole(1, 2**63 - 1), UUID]},
    29180,
)


def paging(fields: Sequence[str]) -> tuple[Parameter, ...]:
    """Describe which part of a list can be asked for, ordered by one of these fields."""
    order = matching(f"(({'|'.join(fields)})(,({'|'.join(DIRECTIONS)}))?)?")
    return (
        Parameter(
            "limit",
            "The most items on a page, which has up to 4 MiB",
            {**whole(1, MAX_LIMIT), "default": DEFAULT_LIMIT},
            25,
        ),
        Parameter("offset", "How many items to skip", whole(0, MAX_OFFSET), 0),
        Parameter(
            "order_by",
            "A field and a direction, newest first by default; also as a list of the two, in JSON "
            "or as `order_by[]` twice",
            order,
            f"{fields[0]},asc",
            is_list=True,
        ),
    )


CURSOR: Final = Parameter(
    "cursor",
    "The `next_cursor` of a page in the same order; go on until a page has none, even if a page "
    "is short or empty",
    {"type": "string"},
)


BRIEF: Final = Parameter(
    "brief",
    "Show of `args` only `method` and `url`; a page then has `limit` jobs, however large they are",
    BOOLEAN,
    True,
)

_SCHEDULE = "9f1c2a34-6a0e-4f0b-8a55-3d3f4a0c7f11"

FILTERS: Final = (
    Parameter(
        "state",
        "One state, or several separated by commas",
        listed(State),
        "completed",
        is_list=True,
    ),
    Parameter(
        "kind", "Whose jobs: the user's, or booper's own", listed(Kind), "callback", is_list=True
    ),
    Parameter("tag", "A tag that the job has", text(MAX_PREFIX_LENGTH), "nightly"),
    Parameter(
        "schedule_id",
        "The schedule whose runs to list",
        UUID,
        _SCHEDULE,
    ),
    Parameter(
        "url_prefix", "What its URL begins with", text(MAX_PREFIX_LENGTH), "https://example.com/"
    ),
    Parameter(
        "host", "Its host, host:port or origin", text(MAX_PREFIX_LENGTH), "api.example.com:8443"
    ),
    Parameter(
        "text",
        "Text in its URL, query, body, name, description, idempotency key, tags or any other field "
        "but the headers, in upper or lower case",
        text(MAX_TEXT_LENGTH),
        "order 1234",
    ),
    Parameter("before", "Only jobs scheduled before this time", MOMENT, "2030-02-01T00:00:00Z"),
    Parameter("after", "Only jobs scheduled after this time", MOMENT, "2030-01-01T00:00:00Z"),
    Parameter(
        "reports_of",
        "The number of a job; lists its callbacks and webhook events, unless `kind` says otherwise",
        whole(1, 2**63 - 1),
        29180,
    ),
)
