"""The operations on jobs."""

from collections.abc import Iterable
from typing import Unpack
from uuid import UUID

from booper.client.calls import (
    MAX_ON_A_PAGE,
    Call,
    Page,
    changing,
    data,
    is_kept,
    keyed,
    page,
    place,
    posting,
    query,
    reading,
)
from booper.client.encoding import encode
from booper.client.fields import Creation, Listed, Many, Moment, written
from booper.client.models import BulkResult, Created, Job, Preview, TimelineEvent
from booper.client.sending import Iteration, Operation, Resource, S


class Jobs(Resource[S]):
    """`/api/jobs`. A job is named by its number or its UUID."""

    @Operation
    def create(self, **fields: Unpack[Creation]) -> Call[Job]:
        """Create a job, or a schedule and its first job.

        Without an `idempotency_key` it gets one of its own, kept for an hour, so that trying
        again never makes a second job. With one that is taken, the earlier job is returned, and
        its `has_conflict` is true. A key of yours is free again once its job has finished,
        unless you give it an `idempotency_ttl` (or the server has one for all): with one of its
        own, a create that may have been carried out is tried again.
        """
        sent = keyed(fields)
        return posting("/api/jobs", encode(sent), data(Job), is_repeatable=is_kept(sent))

    @Operation
    def create_many(self, jobs: Iterable[Creation], *, atomic: bool = False) -> Call[list[Created]]:
        """Create up to 1,000 jobs; there is a result for each, in their order.

        If `atomic`, one wrong job is an error (Invalid), and none is created.
        """
        sent = [keyed(job) for job in jobs]
        return Call(
            method="POST",
            path="/api/jobs/batch",
            query=query(atomic=atomic or None),
            body=encode({"jobs": sent}),
            read=data(list[Created]),
            is_repeatable=all(map(is_kept, sent)),
        )

    @Operation
    def preview(self, **fields: Unpack[Creation]) -> Call[Preview]:
        """Return what a create would do; nothing is stored."""
        return Call(
            method="POST",
            path="/api/jobs",
            query={"dry_run": "true"},
            body=encode(written(fields)),
            read=data(Preview),
            is_repeatable=True,
        )

    @Operation
    def get(self, job_id: int | UUID | str) -> Call[Job]:
        """Return a job. Raises: NotFound."""
        return reading(place("jobs", job_id), data(Job))

    @Operation
    def timeline(
        self, job_id: int | UUID | str, *, at: Moment | None = None
    ) -> Call[list[TimelineEvent]]:
        """Return what happened to a job and why, in order of time; up to `at` if that is given."""
        path, kind = f"{place('jobs', job_id)}/timeline", data(list[TimelineEvent])
        return reading(path, kind, query(**written({"at": at})))

    @Operation
    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | None = None,
        cursor: str | None = None,
        brief: bool = False,
        **which: Unpack[Listed],
    ) -> Call[Page[Job]]:
        """Return a page of jobs, 10 unless `limit` says more (at most 100), newest first.

        If `brief`, their args have no more than the method and the URL.
        """
        parameters = query(
            limit=limit,
            offset=offset,
            order_by=order_by,
            cursor=cursor,
            brief=brief or None,
            **written(which),
        )
        return reading("/api/jobs", page(Job), parameters)

    @Iteration
    def iterate(self, *, order_by: str | None = None, **which: Unpack[Listed]) -> Call[Page[Job]]:
        """Iterate over all jobs, page by page."""
        parameters = query(limit=MAX_ON_A_PAGE, order_by=order_by, **written(which))
        return reading("/api/jobs", page(Job), parameters)

    @Operation
    def cancel(self, job_id: int | UUID | str) -> Call[Job]:
        """Cancel a job; a finished one is returned as it is."""
        return posting(f"{place('jobs', job_id)}/cancel", None, data(Job), is_repeatable=True)

    @Operation
    def retry(self, job_id: int | UUID | str) -> Call[Job]:
        """Send a discarded or cancelled job again. Raises: Conflict, in another state."""
        return posting(f"{place('jobs', job_id)}/retry", None, data(Job))

    @Operation
    def run(self, job_id: int | UUID | str) -> Call[Job]:
        """Send a waiting job now. Raises: Conflict, if it does not wait."""
        return posting(f"{place('jobs', job_id)}/run", None, data(Job))

    @Operation
    def cancel_many(self, *, dry_run: bool = False, **which: Unpack[Many]) -> Call[BulkResult]:
        """Cancel all jobs that a filter matches; `all=True` means every one."""
        return changing("/api/jobs/cancel", dry_run, written(which), is_repeatable=True)

    @Operation
    def retry_many(self, *, dry_run: bool = False, **which: Unpack[Many]) -> Call[BulkResult]:
        """Send all jobs again that a filter matches; `all=True` means every one."""
        # Those that fail again in between would be sent once more.
        return changing("/api/jobs/retry", dry_run, written(which), is_repeatable=dry_run)

    @Operation
    def run_many(self, *, dry_run: bool = False, **which: Unpack[Many]) -> Call[BulkResult]:
        """Send all jobs now that a filter matches and that wait for their time."""
        # Those that fail in between and wait for a retry would be sent once more.
        return changing("/api/jobs/run", dry_run, written(which), is_repeatable=dry_run)
