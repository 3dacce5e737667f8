"""The operations: each is defined here, once, as the call that it makes."""

from collections.abc import Iterable
from typing import Any, Literal, TypeVar, Unpack
from uuid import UUID

from booper.client.calls import (
    MAX_ON_A_PAGE,
    Call,
    Page,
    bare,
    changing,
    data,
    is_kept,
    keyed,
    nothing,
    page,
    place,
    posting,
    query,
    reading,
)
from booper.client.encoding import encode
from booper.client.fields import Change, Creation, Listed, Many, Moment, written
from booper.client.models import (
    Breaker,
    Changed,
    Created,
    Job,
    Key,
    LogEntry,
    Message,
    NewKey,
    Pause,
    Preview,
    Schedule,
    ScheduleDetail,
)
from booper.client.sending import Asynchronous, Blocking, Iteration, Operation, Resource

S = TypeVar("S", bound=Blocking | Asynchronous)


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
    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | None = None,
        cursor: str | None = None,
        **which: Unpack[Listed],
    ) -> Call[Page[Job]]:
        """Return a page of jobs, 10 unless `limit` says more (at most 100), newest first."""
        parameters = query(
            limit=limit, offset=offset, order_by=order_by, cursor=cursor, **written(which)
        )
        return reading("/api/jobs", page(Job), parameters)

    @Iteration
    def iterate(self, *, order_by: str | None = None, **which: Unpack[Listed]) -> Call[Page[Job]]:
        """Iterate over all jobs, asking for page after page."""
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
    def cancel_many(self, *, dry_run: bool = False, **which: Unpack[Many]) -> Call[Changed]:
        """Cancel all jobs that a filter matches; `all=True` means every one."""
        return changing("/api/jobs/cancel", dry_run, written(which), is_repeatable=True)

    @Operation
    def retry_many(self, *, dry_run: bool = False, **which: Unpack[Many]) -> Call[Changed]:
        """Send all jobs again that a filter matches; `all=True` means every one."""
        # Those that fail again in between would be sent once more.
        return changing("/api/jobs/retry", dry_run, written(which), is_repeatable=dry_run)


class Schedules(Resource[S]):
    """`/api/schedules`. One is made by `jobs.create` with `repeat_every` or `cron`."""

    @Operation
    def get(
        self,
        schedule_id: UUID | str,
        *,
        next_runs: int | None = None,
        after: Moment | None = None,
    ) -> Call[ScheduleDetail]:
        """Return a schedule with the times of its next runs, 5 unless `next_runs` says more."""
        parameters = query(next_runs=next_runs, **written({"after": after}))
        return reading(place("schedules", schedule_id), data(ScheduleDetail), parameters)

    @Operation
    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | None = None,
        cursor: str | None = None,
    ) -> Call[Page[Schedule]]:
        """Return a page of schedules, 10 unless `limit` says more (at most 100), newest first."""
        parameters = query(limit=limit, offset=offset, order_by=order_by, cursor=cursor)
        return reading("/api/schedules", page(Schedule), parameters)

    @Iteration
    def iterate(self) -> Call[Page[Schedule]]:
        """Iterate over all schedules, asking for page after page."""
        return reading("/api/schedules", page(Schedule), query(limit=MAX_ON_A_PAGE))

    @Operation
    def update(self, schedule_id: UUID | str, **changes: Unpack[Change]) -> Call[ScheduleDetail]:
        """Change a schedule's fields; None takes one away, what is not given stays."""
        body = encode(written(changes))
        path = place("schedules", schedule_id)
        return Call(method="PATCH", path=path, body=body, read=data(ScheduleDetail))

    @Operation
    def disable(self, schedule_id: UUID | str) -> Call[Schedule]:
        """Stop running it until it is enabled; its waiting run is cancelled."""
        path = f"{place('schedules', schedule_id)}/disable"
        return posting(path, None, data(Schedule), is_repeatable=True)

    @Operation
    def enable(self, schedule_id: UUID | str) -> Call[Schedule]:
        """Enable it: the next run after now is planned."""
        path = f"{place('schedules', schedule_id)}/enable"
        return posting(path, None, data(Schedule), is_repeatable=True)

    @Operation
    def delete(self, schedule_id: UUID | str) -> Call[None]:
        """Delete it and cancel its waiting run; past jobs stay."""
        return Call(method="DELETE", path=place("schedules", schedule_id), read=nothing)

    @Operation
    def run(self, schedule_id: UUID | str, *, body: Any = None) -> Call[Job]:
        """Run it now, beside its plan, with another body if one is given."""
        sent = None if body is None else encode({"body": body})
        return posting(f"{place('schedules', schedule_id)}/run", sent, data(Job))


class Logs(Resource[S]):
    """`/api/logs`: what was sent, what came back, what was left out."""

    @Operation
    def get(self, log_id: UUID | str) -> Call[LogEntry]:
        """Return an entry. Raises: NotFound."""
        return reading(place("logs", log_id), data(LogEntry))

    @Operation
    def list(
        self,
        *,
        job_id: int | None = None,
        event: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | None = None,
        cursor: str | None = None,
    ) -> Call[Page[LogEntry]]:
        """Return a page of entries, 10 unless `limit` says more (at most 100), newest first."""
        parameters = query(
            job_id=job_id,
            event=event,
            limit=limit,
            offset=offset,
            order_by=order_by,
            cursor=cursor,
        )
        return reading("/api/logs", page(LogEntry), parameters)

    @Iteration
    def iterate(
        self, *, job_id: int | None = None, event: str | None = None
    ) -> Call[Page[LogEntry]]:
        """Iterate over all entries, asking for page after page."""
        parameters = query(job_id=job_id, event=event, limit=MAX_ON_A_PAGE)
        return reading("/api/logs", page(LogEntry), parameters)


class Keys(Resource[S]):
    """`/api/keys`, for a key that administers."""

    @Operation
    def create(
        self,
        name: str,
        *,
        user: str | None = None,
        scope: Literal["read", "write", "admin"] = "write",
    ) -> Call[NewKey]:
        """Create a key, for the first user unless another is named; it is shown this once."""
        return posting(
            "/api/keys", encode({"name": name, "user": user, "scope": scope}), data(NewKey)
        )

    @Operation
    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        order_by: str | None = None,
        cursor: str | None = None,
    ) -> Call[Page[Key]]:
        """Return a page of keys, 10 unless `limit` says more (at most 100), newest first.

        Revoked ones are among them.
        """
        parameters = query(limit=limit, offset=offset, order_by=order_by, cursor=cursor)
        return reading("/api/keys", page(Key), parameters)

    @Iteration
    def iterate(self) -> Call[Page[Key]]:
        """Iterate over all keys, asking for page after page."""
        return reading("/api/keys", page(Key), query(limit=MAX_ON_A_PAGE))

    @Operation
    def revoke(self, key_id: UUID | str) -> Call[Key]:
        """Revoke a key; it is refused from the next request on."""
        return Call(method="DELETE", path=place("keys", key_id), read=data(Key))


class Root(Resource[S]):
    """What both clients have: the resources, and the operations that belong to none."""

    def __init__(self, sender: S) -> None:
        super().__init__(sender)
        self.jobs: Jobs[S] = Jobs(sender)
        self.schedules: Schedules[S] = Schedules(sender)
        self.logs: Logs[S] = Logs(sender)
        self.keys: Keys[S] = Keys(sender)

    @Operation
    def ping(self) -> Call[dict[str, Any]]:
        """Return what booper responds to a ping; no key is needed."""
        return reading("/api/ping", bare(dict[str, Any]))

    @Operation
    def status(self) -> Call[dict[str, Any]]:
        """Return the status of a booper that stores and sends jobs now. Raises: ServerError."""
        return reading("/readyz", bare(dict[str, Any]))

    @Operation
    def pause(self, host: str | None = None, *, origin: str | None = None) -> Call[dict[str, Any]]:
        """Pause one origin, all origins of a host, or everything.

        `host` may have a port. Needs a key that administers.
        """
        return posting(
            "/api/pause", _target(host, origin), data(dict[str, Any]), is_repeatable=True
        )

    @Operation
    def resume(self, host: str | None = None, *, origin: str | None = None) -> Call[dict[str, Any]]:
        """Resume one origin, all of a host, or all.

        Needs a key that administers.
        """
        return posting(
            "/api/resume", _target(host, origin), data(dict[str, Any]), is_repeatable=True
        )

    @Operation
    def pauses(self) -> Call[list[Pause]]:
        """Return what is paused; needs a key that administers."""
        return reading("/api/pauses", data(list[Pause]))

    @Operation
    def breakers(self) -> Call[list[Breaker]]:
        """Return the origins that are only probed because they failed again and again."""
        return reading("/api/breakers", data(list[Breaker]))

    @Operation
    def reset_breakers(
        self, host: str | None = None, *, origin: str | None = None
    ) -> Call[dict[str, Any]]:
        """Send to one origin, to all of a host, or to all as if it had never failed.

        Needs a key that administers.
        """
        return posting(
            "/api/breakers/reset", _target(host, origin), data(dict[str, Any]), is_repeatable=True
        )

    @Operation
    def broadcast(
        self, content: str, *, channel: str | None = None, author: str | None = None
    ) -> Call[Message]:
        """Post a message to a channel."""
        body = {"content": content, "channel": channel, "author": author}
        given = {name: value for name, value in body.items() if value is not None}
        return posting("/api/broadcast", encode(given), bare(Message))


def _target(host: str | None, origin: str | None) -> bytes:
    return encode({"host": host, "origin": origin})
