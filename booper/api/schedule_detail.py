"""One schedule as it is shown: its fields, and the times at which it runs next."""

from datetime import UTC, datetime

from booper.api.call import Call
from booper.errors import FieldError, InvalidRequest
from booper.model.args import decode_args
from booper.model.moment import parse_moment
from booper.model.schedule import Plan, Schedule, zone_of
from booper.wire.schedule import ScheduleDetail, schedule_detail

DEFAULT_NEXT_RUNS = 5
MAX_NEXT_RUNS = 100


def read_next_parameters(call: Call) -> tuple[int, datetime]:
    """Read `next_runs` and `after`."""
    query, now = call.query, call.services.clock.now()
    errors: list[FieldError] = []
    text = query.get("next_runs", str(DEFAULT_NEXT_RUNS))
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else -1
    if not 0 <= count <= MAX_NEXT_RUNS:
        errors.append(FieldError("/next_runs", f"expected 0 to {MAX_NEXT_RUNS}, got {text[:40]!r}"))
    after = now
    try:
        after = parse_moment(query["after"], now) if "after" in query else now
    except ValueError as error:
        errors.append(FieldError("/after", str(error)))
    if errors:
        raise InvalidRequest(errors)
    return count, after


async def detail(call: Call, schedule: Schedule, count: int, after: datetime) -> ScheduleDetail:
    """Show a schedule and its next times, none while it is disabled or cannot be planned."""
    redaction = call.services.redaction
    try:
        plan = Plan.of_schedule(schedule)
        zone = zone_of(decode_args(schedule.args).timezone)
    except ValueError:  # which the schedule itself tells
        return schedule_detail(schedule, redaction, [], UTC)
    taken = await call.services.store.schedules.taken(schedule.id, after)
    times = _next_times(plan, schedule, count, after, taken)
    return schedule_detail(schedule, redaction, times, zone)


def _next_times(
    plan: Plan, schedule: Schedule, count: int, after: datetime, taken: frozenset[datetime]
) -> list[datetime]:
    """Return the planned times after a moment: that of the waiting run, and those behind it."""
    at, runs = schedule.next_at, schedule.runs
    if at is None or schedule.disabled_at or schedule.ended_at:
        return []
    if at <= after:
        runs += plan.recurrence.count(at, after)
        at = plan.next_after(after)
    times = list[datetime]()
    while at is not None and len(times) < count and not plan.is_used_up(runs + len(times)):
        if at == schedule.next_at or at not in taken:
            times.append(at)
        at = plan.next_after(at)
    return times
