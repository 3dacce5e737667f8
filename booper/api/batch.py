"""`POST /api/jobs/batch`: many creates in one request, each with its own result (contract §10).

Whatever is in a batch, it holds neither the loop nor the writer for long: it is read with pauses,
written in parts, and its response does not grow beyond what came in.
"""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import JSON
from booper.api.budget import MAX_BATCH_ERRORS, ErrorBudget
from booper.api.call import Call
from booper.api.intake import read_creation
from booper.api.jobs import JOB
from booper.api.many import read_json
from booper.api.operations import (
    Data,
    DescribedBody,
    DescribedResponse,
    Documentation,
    Operation,
    Parameter,
)
from booper.api.paging import flag
from booper.api.parameters import BOOLEAN
from booper.api.problems import Problem, problem_of
from booper.api.responses import JSONResponse
from booper.clock import breathe
from booper.errors import (
    BatchRefused,
    BooperError,
    Conflict,
    FieldError,
    InvalidRequest,
)
from booper.store.values import PAGE_BYTES, Created, Creation
from booper.wire.job import JobResource, job_resource, new_job_resource
from booper.wire.redaction import Redaction

MAX_JOBS_OF_BATCH: Final = 1_000

MAX_ATOMIC_BYTES: Final = 4 << 20
"""How long the args of a batch that is written at once may be together."""

# The loop has other work after so many creates were read, or so much of them.
STEP_ITEMS: Final = 4
STEP_BYTES: Final = 64 << 10

Read = Creation | BooperError


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many creates at once."""

    jobs: list[msgspec.Raw]


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of one create of many: its status, and its data or its problem.

    `is_shortened` says that the job was there before, and that its args are left out here.
    """

    status: int
    data: JobResource | None = None
    error: Problem | None = None
    is_shortened: bool = False


class Results:
    """The results of a batch, written as they come; of jobs that were there before not too much."""

    def __init__(self, redaction: Redaction, now: datetime) -> None:
        self._redaction = redaction
        self._now = now
        self._room = PAGE_BYTES
        self._parts: list[bytes] = []

    def add(self, item: Created | BooperError) -> None:
        """Write the result of the next create."""
        self._parts.append(msgspec.json.encode(self._result(item)))

    def response(self) -> Response:
        """Return the response that has all of them."""
        body = b'{"data":[' + b",".join(self._parts) + b"]}"
        return JSONResponse(msgspec.Raw(body), 201)

    def _result(self, item: Created | BooperError) -> BatchResult:
        if isinstance(item, BooperError):
            return BatchResult(item.status, error=problem_of(item))
        if not item.is_duplicate:
            return BatchResult(201, new_job_resource(item.job, self._now))
        # A short create can name a job of a mebibyte, and a thousand can.
        self._room -= len(item.job.args)
        is_shortened = self._room < 0
        job = replace(item.job, args="{}") if is_shortened else item.job
        data = job_resource(job, self._now, self._redaction, has_conflict=True)
        return BatchResult(200, data, is_shortened=is_shortened)


async def create(call: Call) -> Response:
    """Create many jobs, each with its own result."""
    services = call.services
    is_atomic = flag(call, "atomic")
    batch = await read_json(call, Batch, services.max_batch_bytes)
    if not 0 < len(batch.jobs) <= MAX_JOBS_OF_BATCH:
        detail = f"expected 1 to {MAX_JOBS_OF_BATCH} jobs, got {len(batch.jobs)}"
        raise InvalidRequest([FieldError("/jobs", detail)])
    now = services.clock.now()
    read = await _read(batch.jobs, call, now)
    if is_atomic:
        await _create_all(read, call, now, results := Results(services.redaction, now))
    else:
        await _create_each(read, call, now, results := Results(services.redaction, now))
    return results.response()


async def _read(jobs: Sequence[msgspec.Raw], call: Call, now: datetime) -> list[Read]:
    """Read the creates of a batch, with pauses."""
    rules, budget = call.services.rules, ErrorBudget(MAX_BATCH_ERRORS)
    read: list[Read] = []
    items = size = 0
    for raw in jobs:
        try:
            asked = read_creation(bytes(raw), JSON, call.user_id, rules, now, budget)
            read.append(call.signed(asked))
        except BooperError as error:
            read.append(error)
        items, size = items + 1, size + len(bytes(raw))
        if items >= STEP_ITEMS or size >= STEP_BYTES:
            items = size = 0
            await breathe()
    return read


async def _create_each(read: Sequence[Read], call: Call, now: datetime, found: Results) -> None:
    """Create the good ones, each by itself. Raises: StoreUnavailable, if none can be written."""
    good = [item for item in read if isinstance(item, Creation)]
    async with aclosing(call.services.commands.create_each(good, now)) as results:
        for item in read:
            found.add(await anext(results) if isinstance(item, Creation) else item)


async def _create_all(read: Sequence[Read], call: Call, now: datetime, results: Results) -> None:
    """Create all or none. Raises: InvalidRequest."""
    _refuse_any(read)
    good = [item for item in read if isinstance(item, Creation)]
    size = sum(len(item.new.args) for item in good)
    if size > MAX_ATOMIC_BYTES:
        detail = f"must have at most {MAX_ATOMIC_BYTES} bytes of JSON if atomic, got {size}"
        raise InvalidRequest([FieldError("/jobs", detail)])
    try:
        made = await call.services.commands.create_all(good, now)
    except BatchRefused as refused:
        _refuse_any(refused.results)
        raise
    for created in made:
        results.add(created)


def _refuse_any(read: Sequence[object]) -> None:
    """Refuse a batch that is to be all or nothing, pointing at what is wrong in each item."""
    errors = [
        FieldError(f"/jobs/{index}{error.pointer}", error.detail)
        for index, item in enumerate(read)
        if isinstance(item, BooperError)
        for error in (
            item.errors if isinstance(item, InvalidRequest) else [FieldError("", str(item))]
        )
    ]
    if errors:
        raise InvalidRequest(errors)


_REFUSED = {
    "type": "about:blank",
    "title": "Invalid request",
    "status": 422,
    "detail": "/url: this field is required",
    "errors": [{"pointer": "/url", "detail": "this field is required"}],
}
_BATCH = Documentation(
    tag="jobs",
    parameters=(
        Parameter(
            "atomic",
            "All or none, in one transaction, of up to 4 MiB; else they are written in several",
            BOOLEAN,
            False,
        ),
    ),
    body=DescribedBody(Batch, {"two": {"jobs": [{"url": "https://example.com/"}, {}]}}),
    responses={
        201: DescribedResponse(
            "A result for each, in order",
            (Data(BatchResult, is_list=True),),
            {"data": [{"status": 201, "data": JOB}, {"status": 422, "error": _REFUSED}]},
        )
    },
    errors=(Conflict,),
)

OPERATIONS = (Operation("POST", "/api/jobs/batch", Access.WRITE, create, _BATCH),)
