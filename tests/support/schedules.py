"""What tests of schedules share: times around noon, time that passes, and what was sent."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import START
from tests.support.programs import planned_at
from tests.support.target import FakeTarget


def noon(minutes: float = 0) -> datetime:
    """Return a time so many minutes after `START`, which is noon."""
    return START + timedelta(minutes=minutes)


def wire(at: datetime) -> str:
    """Write a time as the contract does (§4): six digits and Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def gap(reason: str, first: datetime, last: datetime, count: int) -> dict[str, Any]:
    """Return the payload of a gap's log entry."""
    return {"reason": reason, "first": wire(first), "last": wire(last), "count": count}


def sent(target: FakeTarget, host: str = "target.test") -> list[datetime]:
    """Return the planned times of what a host received, in order of arrival."""
    return [planned_at(request) for request in target.received if request.url.host == host]


async def pass_through(booper: Booper, clock: VirtualClock, times: Iterable[datetime]) -> None:
    """Advance to these times one after the other; everything due at each is done."""
    for at in times:
        clock.set(at)
        await booper.wait_idle()
