"""The operations on schedules."""

from collections.abc import Mapping
from typing import Any, Unpack
from uuid import UUID

from booper.client.calls import (
    MAX_ON_A_PAGE,
    Call,
    Page,
    data,
    nothing,
    page,
    place,
    posting,
    query,
    reading,
)
from booper.client.encoding import encode
from booper.client.fields import Change, Moment, written
from booper.client.models import Job, Run, Schedule, ScheduleDetail, TimelineEvent
from booper.client.sending import Iteration, Operation, Resource, S

Runs = list[Run]
"""Runs, the newest first; inside the class `list` is an operation."""


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
    def timeline(
        self, schedule_id: UUID | str, *, at: Moment | None = None
    ) -> Call[list[TimelineEvent]]:
        """Return what happened to a schedule and its runs and why, in order of time.

        These are its newest runs, or those around the planned time `at`.
        """
        path, kind = f"{place('schedules', schedule_id)}/timeline", data(list[TimelineEvent])
        return reading(path, kind, query(**written({"at": at})))

    @Operation
    def runs(self, schedule_id: UUID | str, *, limit: int | None = None) -> Call[Runs]:
        """Return its newest runs, 50 unless `limit` says more; those to come are left out."""
        path = f"{place('schedules', schedule_id)}/runs"
        return reading(path, data(Runs), query(limit=limit))

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
        """Iterate over all schedules, page by page."""
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

    @Operation
    def set_state(
        self,
        schedule_id: UUID | str,
        state: Mapping[str, Any],
        *,
        if_version: str | None = None,
    ) -> Call[ScheduleDetail]:
        """Replace its `$state`; a run that completes merges its `$set` into the new one.

        With the `state_version` of the one that is to be replaced, nothing is done if it is
        another by then. Raises: Conflict.
        """
        return Call(
            method="PUT",
            path=f"{place('schedules', schedule_id)}/state",
            query=query(if_version=if_version),
            body=encode(state),
            read=data(ScheduleDetail),
        )
