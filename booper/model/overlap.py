"""Deciding what a due run does (run, wait or move on) and what was not run (contract §6).

Pure. Every planned time is decided here once: it becomes a run, or it is part of a `Gap`.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from booper.model.schedule import Gap, Misfire, Overlap, Plan

MISFIRE_GRACE: Final = timedelta(seconds=60)
"""How late a run may be seen before it counts as missed (contract §12)."""

MAX_CAUGHT_UP: Final = 100
"""How many missed runs `misfire: all` makes up for (contract §3)."""

OVERLAP: Final = "overlap"
MISFIRE: Final = "misfire"
DISABLED: Final = "disabled"


class Run(msgspec.Struct, frozen=True):
    """The waiting job runs now, for `planned_at`; `next_at` is planned after it, if any is."""

    planned_at: datetime
    next_at: datetime | None
    gaps: tuple[Gap, ...] = ()


class Hold(msgspec.Struct, frozen=True):
    """The waiting job stays due until its predecessor has finished."""

    planned_at: datetime
    gaps: tuple[Gap, ...] = ()


class MoveOn(msgspec.Struct, frozen=True):
    """The waiting job does not run but waits for `next_at`; None if no time is left for it."""

    next_at: datetime | None
    gaps: tuple[Gap, ...] = ()


Turn = Run | Hold | MoveOn


class DueRun(msgspec.Struct, frozen=True):
    """A waiting run that has come due.

    `planned_at` is its time on the grid, `scheduled_at` that time with its jitter. `seen_at` is
    when the loop found it due: the time it then waits for a slot does not count as late.
    `runs` are those begun before it, `is_blocked` says that one of them is not finished.
    """

    planned_at: datetime
    scheduled_at: datetime
    seen_at: datetime
    runs: int
    is_blocked: bool


def decide_run(plan: Plan, due: DueRun, now: datetime) -> Turn:
    """Decide what a due run does.

    Missed times are counted up to `seen_at`: after that the run only waited for its turn.
    """
    # A clock set back must not let a time come twice.
    now = max(now, due.seen_at)
    # A user may have asked for the run before its time: only the time itself can be missed.
    if due.seen_at - max(due.scheduled_at, due.planned_at) <= MISFIRE_GRACE:
        return _on_time(plan, due, due.planned_at, now, ())
    match plan.misfire:
        case Misfire.LATEST:
            latest = plan.last_until(due.seen_at) or due.planned_at
            return _from(plan, due, latest, now)
        case Misfire.SKIP:
            kept = plan.next_after(due.seen_at - MISFIRE_GRACE - _INSTANT)
            if kept is None or kept > now:
                last = plan.last_until(due.seen_at) or due.planned_at
                return MoveOn(kept, (plan.gap(MISFIRE, due.planned_at, last),))
            return _from(plan, due, kept, now)
        case Misfire.ALL:
            return _catch_up(plan, due)


def _from(plan: Plan, due: DueRun, planned_at: datetime, now: datetime) -> Turn:
    """Skip what was missed before `planned_at`, and decide about that run."""
    before = plan.last_until(planned_at - _INSTANT)
    gaps: tuple[Gap, ...] = ()
    if before is not None and before >= due.planned_at:
        gaps = (plan.gap(MISFIRE, due.planned_at, before),)
    return _on_time(plan, due, planned_at, now, gaps)


def _catch_up(plan: Plan, due: DueRun) -> Turn:
    """Run what was missed one after another, but no more than the last hundred."""
    planned_at = due.planned_at
    gaps: tuple[Gap, ...] = ()
    last = plan.last_until(due.seen_at) or planned_at
    if plan.recurrence.count(planned_at, last) > MAX_CAUGHT_UP:
        for _ in range(MAX_CAUGHT_UP - 1):
            last = plan.last_until(last - _INSTANT) or last
        planned_at, before = last, plan.last_until(last - _INSTANT)
        assert before is not None
        gaps = (plan.gap(MISFIRE, due.planned_at, before),)
    if due.is_blocked and plan.overlap is not Overlap.ALLOW:
        return Hold(planned_at, gaps)
    return _run(plan, due, planned_at, plan.next_after(planned_at), gaps)


def _on_time(
    plan: Plan, due: DueRun, planned_at: datetime, now: datetime, gaps: tuple[Gap, ...]
) -> Turn:
    following = plan.next_after(planned_at)
    if plan.overlap is Overlap.ALLOW:
        return _run(plan, due, planned_at, following, gaps)
    if due.is_blocked and (plan.overlap is Overlap.QUEUE or planned_at > now):
        return Hold(planned_at, gaps)
    if due.is_blocked:
        last = max(plan.last_until(now) or planned_at, planned_at)
        gaps = (*gaps, plan.gap(OVERLAP, planned_at, last))
        return MoveOn(plan.next_after(last), gaps)
    is_last = plan.is_used_up(due.runs + 1)
    if not is_last and following is not None and following <= now:
        # Times that passed while this run waited for its turn: its predecessor's or a slot's.
        last = plan.last_until(now) or planned_at
        gaps = (*gaps, plan.gap(OVERLAP, following, last))
        following = plan.next_after(last)
    return _run(plan, due, planned_at, following, gaps)


def _run(
    plan: Plan,
    due: DueRun,
    planned_at: datetime,
    next_at: datetime | None,
    gaps: tuple[Gap, ...],
) -> Run:
    return Run(planned_at, None if plan.is_used_up(due.runs + 1) else next_at, gaps)


_INSTANT = timedelta(microseconds=1)
