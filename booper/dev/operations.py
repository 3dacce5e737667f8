"""`/api/dev/…`: the clock, the sink's record and the reset, beside the API they are about."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

import msgspec
from starlette.responses import Response

from booper.api.access import Access
from booper.api.bodies import read_body
from booper.api.call import Call
from booper.api.operations import (
    Data,
    DescribedBody,
    DescribedResponse,
    Documentation,
    Operation,
    Parameter,
)
from booper.api.responses import JSONResponse
from booper.api.shapes import read_struct
from booper.clock import RunningClock
from booper.dev.sink import Arrived, Sink
from booper.errors import Conflict, FieldError, InvalidRequest
from booper.model.duration import Duration, InvalidDuration, parse_duration
from booper.model.moment import InvalidMoment, Moment, parse_moment
from booper.travel import Journey, Ran, Travel
from booper.wire.timestamps import precise, precise_or_none

_SINK: Final = "/api/dev/sink"


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A move of the clock: one of these fields."""

    advance: Duration | None = None
    to: Moment | None = None
    run: str | None = None
    freeze: bool | None = None


class ClockResource(msgspec.Struct, frozen=True):
    """The time, whether it stands still, and when something is due next."""

    now: str
    is_frozen: bool
    next_at: str | None


class RanResource(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that was made on the way."""

    job_id: int
    uuid: str
    schedule_id: str | None
    kind: str
    method: str
    url: str
    attempt: int
    scheduled_at: str
    late_seconds: float
    duration_seconds: float
    status: int | None
    error: str | None
    state: str


class JourneyResource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the clock went; `count` attempts were made, of which `ran` has the first ones."""

    began_at: str
    now: str
    count: int
    states: dict[str, int]
    ran: list[RanResource]


class World(Protocol):
    """The clock, the sink and the database that these operations change."""

    clock: RunningClock
    sink: Sink
    travel: Travel

    async def go(self, move: Callable[[Travel], Awaitable[Journey]]) -> Journey: ...

    async def set_frozen(self, is_frozen: bool) -> None: ...

    async def reset(self) -> None: ...


class Operations:
    """The operations on one world; there is none of them in any other booper."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def all(self) -> tuple[Operation, ...]:
        """Return them for the API."""
        return (
            Operation("GET", "/api/dev/clock", Access.READ, self.read_clock, _CLOCK),
            Operation("POST", "/api/dev/clock", Access.ADMIN, self.move_clock, _MOVE),
            Operation("GET", _SINK, Access.READ, self.list_arrived, _ARRIVED),
            Operation("GET", f"{_SINK}/{{name:path}}", Access.READ, self.list_caught, _CAUGHT),
            Operation("DELETE", _SINK, Access.ADMIN, self.clear_sink, _CLEARED),
            Operation("POST", "/api/dev/reset", Access.ADMIN, self.reset, _RESET),
        )

    async def read_clock(self, call: Call) -> Response:
        """Show the time."""
        return JSONResponse({"data": self._clock()})

    async def move_clock(self, call: Call) -> Response:
        """Move the clock, let everything due on the way happen, and tell what ran."""
        body = await read_body(call, call.services.max_body_bytes)
        move = read_struct(body, Move)
        if (name := _given(move)) == "freeze":
            await self._world.set_frozen(bool(move.freeze))
            return JSONResponse({"data": self._clock()})
        journey = await self._world.go(partial(self._travel, move, name))
        return JSONResponse({"data": journey_resource(journey)})

    async def list_arrived(self, call: Call) -> Response:
        """List what has reached the sink, the latest last."""
        return JSONResponse({"data": self._world.sink.arrived()})

    async def list_caught(self, call: Call) -> Response:
        """List what the sink has caught at one name, the latest last."""
        # Read as the sink reads its paths: `?` and `#` in a name stay encoded in both.
        path = call.request.url.path.removeprefix(_SINK)
        return JSONResponse({"data": self._world.sink.arrived(path)})

    async def clear_sink(self, call: Call) -> Response:
        """Forget what has reached the sink, and begin all its scripts anew."""
        self._world.sink.clear()
        return JSONResponse({"data": self._world.sink.arrived()})

    async def reset(self, call: Call) -> Response:
        """Forget all jobs, schedules, logs and keys and what the sink has; set the clock back."""
        await self._world.reset()
        return JSONResponse({"data": self._clock()})

    async def _travel(self, move: Move, name: str, travel: Travel) -> Journey:
        try:
            if name == "advance" and move.advance is not None:
                return await travel.by(parse_duration(move.advance))
            if name == "to" and move.to is not None:
                return await travel.to(parse_moment(move.to, self._world.clock.now()))
        except (InvalidDuration, InvalidMoment) as error:
            raise InvalidRequest([FieldError(f"/{name}", str(error))]) from error
        if move.run != "next":
            detail = f'must be "next", got {msgspec.json.encode(move.run)[:42].decode()}'
            raise InvalidRequest([FieldError("/run", detail)])
        return await travel.run_next()

    def _clock(self) -> ClockResource:
        clock, next_at = self._world.clock, self._world.travel.next_at()
        return ClockResource(precise(clock.now()), clock.is_frozen, precise_or_none(next_at))


def journey_resource(journey: Journey) -> JourneyResource:
    """Return a journey as a resource."""
    return JourneyResource(
        began_at=precise(journey.began_at),
        now=precise(journey.ended_at),
        count=journey.count,
        states={str(state): count for state, count in journey.states.items()},
        ran=[_ran_resource(ran) for ran in journey.ran],
    )


def _ran_resource(ran: Ran) -> RanResource:
    return RanResource(
        job_id=ran.job_id,
        uuid=str(ran.uuid),
        schedule_id=str(ran.schedule_id) if ran.schedule_id else None,
        kind=ran.kind,
        method=ran.method,
        url=ran.url,
        attempt=ran.attempt,
        scheduled_at=precise(ran.scheduled_at),
        late_seconds=ran.late.total_seconds(),
        duration_seconds=ran.duration.total_seconds(),
        status=ran.status,
        error=ran.error,
        state=ran.state,
    )


def _given(move: Move) -> str:
    """Return the name of the one field that is given. Raises: InvalidRequest, it is not one."""
    given = [field for field in move.__struct_fields__ if getattr(move, field) is not None]
    if len(given) == 1:
        return given[0]
    got = " and ".join(f'"{name}"' for name in given) or "none"
    detail = (
        'expected one of {"advance": [3, "days"]}, {"to": "2130-01-31T09:00:00Z"}, '
        f'{{"run": "next"}} and {{"freeze": true}}, got {got}'
    )
    raise InvalidRequest([FieldError("", detail)])


_NOW: dict[str, Any] = {
    "now": "2030-01-01T12:00:00.000000Z",
    "is_frozen": True,
    "next_at": "2030-01-01T12:15:00.000000Z",
}
_RAN: dict[str, Any] = {
    "job_id": 1,
    "uuid": "5b0e3f0a-32a5-4c1f-9d57-0f6b1c5de8f1",
    "schedule_id": None,
    "kind": "request",
    "method": "POST",
    "url": "http://localhost:3000/remind",
    "attempt": 1,
    "scheduled_at": "2030-01-04T12:00:00.000000Z",
    "late_seconds": 0.0,
    "duration_seconds": 0.004,
    "status": 200,
    "error": None,
    "state": "completed",
}
_WENT: dict[str, Any] = {
    "began_at": "2030-01-01T12:00:00.000000Z",
    "now": "2030-01-04T12:00:00.000000Z",
    "count": 1,
    "states": {"completed": 1},
    "ran": [_RAN],
}
_SEEN: dict[str, Any] = {
    "number": 1,
    "received_at": "2030-01-04T12:00:00.000000Z",
    "method": "POST",
    "path": "/orders",
    "query": "respond=500,200",
    "headers": {"content-type": "application/json"},
    "body": "{}",
    "response": "500",
}
_TAG = "dev"
_REQUESTS = {
    200: DescribedResponse("The requests", (Data(Arrived, is_list=True),), {"data": [_SEEN]})
}
_CLOCK = Documentation(
    tag=_TAG, responses={200: DescribedResponse("The time", (Data(ClockResource),), {"data": _NOW})}
)


def _moves(now: datetime) -> dict[str, Any]:
    """Return examples of moves; the moment is a year ahead, since time never goes back."""
    return {
        "by a duration": {"advance": [3, "days"]},
        "to a moment": {"to": f"{now.year + 1}-12-31T09:00:00Z"},
        "to the next job": {"run": "next"},
        "not at all": {"freeze": True},
    }


_MOVE = Documentation(
    tag=_TAG,
    body=DescribedBody(
        Move,
        _moves,
    ),
    responses={
        200: DescribedResponse(
            "What ran, or the time", (Data(JourneyResource), Data(ClockResource)), {"data": _WENT}
        )
    },
    errors=(Conflict,),
)
_ARRIVED = Documentation(tag=_TAG, responses=_REQUESTS, errors=(InvalidRequest,))
_CLEARED = Documentation(
    tag=_TAG,
    responses={
        200: DescribedResponse("What is left", (Data(Arrived, is_list=True),), {"data": []})
    },
)
_CAUGHT = Documentation(
    tag=_TAG,
    parameters=(
        Parameter(
            "name", "What follows /dev/sink/; it may hold slashes", {"type": "string"}, "orders"
        ),
    ),
    responses=_REQUESTS,
)
_RESET = Documentation(
    tag=_TAG, responses={200: DescribedResponse("The time", (Data(ClockResource),), {"data": _NOW})}
)
