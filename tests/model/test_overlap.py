"""Check what due runs do against tables by hand, and a played schedule against a slow grid."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, product
from time import thread_time

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from booper.model.args import Args
from booper.model.overlap import (
    MISFIRE,
    OVERLAP,
    DueRun,
    Hold,
    MoveOn,
    Run,
    Turn,
    decide_run,
)
from booper.model.recurrence import Cron, Interval
from booper.model.schedule import Gap, Misfire, Overlap, Plan

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
GRACE = timedelta(seconds=60)  # contract §12
DAY = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday


def at(text: str) -> datetime:
    """Return a time of the day that the tables speak of, such as 12:05 or 12:05:30."""
    return datetime.fromisoformat(f"2026-06-01T{text}+00:00")


def plan_of(
    overlap: Overlap = Overlap.SKIP,
    misfire: Misfire = Misfire.LATEST,
    every: timedelta = 5 * MINUTE,
    max_runs: int | None = None,
    ends: str | None = None,
) -> Plan:
    """Return a plan whose grid is midnight plus whole times `every`."""
    ends_at = None if ends is None else at(ends)
    return Plan(Interval(every, DAY), DAY, ends_at, max_runs, timedelta(0), overlap, misfire)


def due(
    planned: str,
    seen: str,
    *,
    scheduled: str | None = None,
    runs: int = 0,
    blocked: bool = False,
) -> DueRun:
    """Return a waiting run as the loop found it at `seen`."""
    return DueRun(at(planned), at(scheduled or planned), at(seen), runs, blocked)


def shown(turn: Turn) -> str:
    """Write a turn as the tables do: `run 12:10, next 12:15, misfire 12:00-12:05 (2)`."""
    match turn:
        case Run(planned_at=planned_at, next_at=next_at):
            parts = [f"run {_clock(planned_at)}", f"next {_clock(next_at)}"]
        case Hold(planned_at=planned_at):
            parts = [f"hold {_clock(planned_at)}"]
        case MoveOn(next_at=next_at):
            parts = [f"next {_clock(next_at)}"]
    gaps = [f"{g.reason} {_clock(g.first)}-{_clock(g.last)} ({g.count})" for g in turn.gaps]
    return ", ".join(parts + gaps)


def _clock(t: datetime | None) -> str:
    return "none" if t is None else f"{t:%H:%M}" + (f":{t:%S}" if t.second else "")


# --- the policies; the grid is every five minutes, the run that waits is that of 12:00 ---

# A run that is not missed: (overlap, blocked, when its turn comes) → what it does, whatever
# `misfire` says. Found at 12:00:10 but let in at 12:11, it waited for a slot meanwhile.
ON_TIME = {
    ("skip", False, "12:00"): "run 12:00, next 12:05",
    ("skip", False, "12:01"): "run 12:00, next 12:05",
    ("skip", False, "12:11"): "run 12:00, next 12:15, overlap 12:05-12:10 (2)",
    ("skip", True, "12:00"): "next 12:05, overlap 12:00-12:00 (1)",
    ("skip", True, "12:01"): "next 12:05, overlap 12:00-12:00 (1)",
    ("skip", True, "12:11"): "next 12:15, overlap 12:00-12:10 (3)",
    ("queue", False, "12:00"): "run 12:00, next 12:05",
    ("queue", False, "12:01"): "run 12:00, next 12:05",
    ("queue", False, "12:11"): "run 12:00, next 12:15, overlap 12:05-12:10 (2)",
    ("queue", True, "12:00"): "hold 12:00",
    ("queue", True, "12:01"): "hold 12:00",
    ("queue", True, "12:11"): "hold 12:00",
    ("allow", False, "12:00"): "run 12:00, next 12:05",
    ("allow", False, "12:01"): "run 12:00, next 12:05",
    ("allow", False, "12:11"): "run 12:00, next 12:05",
    ("allow", True, "12:00"): "run 12:00, next 12:05",
    ("allow", True, "12:01"): "run 12:00, next 12:05",
    ("allow", True, "12:11"): "run 12:00, next 12:05",
}

# A missed run: (overlap, misfire, blocked, when it was found) → what it does. At 12:11:30 the
# latest time, 12:10, is 90 s old and missed too; at 12:10:30 it is not.
MISSED = {
    ("skip", "latest", False, "12:11:30"): "run 12:10, next 12:15, misfire 12:00-12:05 (2)",
    ("skip", "latest", False, "12:10:30"): "run 12:10, next 12:15, misfire 12:00-12:05 (2)",
    ("skip", "latest", False, "12:01:01"): "run 12:00, next 12:05",
    ("skip", "latest", True, "12:11:30"): (
        "next 12:15, misfire 12:00-12:05 (2), overlap 12:10-12:10 (1)"
    ),
    ("skip", "latest", True, "12:10:30"): (
        "next 12:15, misfire 12:00-12:05 (2), overlap 12:10-12:10 (1)"
    ),
    ("skip", "latest", True, "12:01:01"): "next 12:05, overlap 12:00-12:00 (1)",
    ("skip", "skip", False, "12:11:30"): "next 12:15, misfire 12:00-12:10 (3)",
    ("skip", "skip", False, "12:10:30"): "run 12:10, next 12:15, misfire 12:00-12:05 (2)",
    ("skip", "skip", False, "12:01:01"): "next 12:05, misfire 12:00-12:00 (1)",
    ("skip", "skip", True, "12:11:30"): "next 12:15, misfire 12:00-12:10 (3)",
    ("skip", "skip", True, "12:10:30"): (
        "next 12:15, misfire 12:00-12:05 (2), overlap 12:10-12:10 (1)"
    ),
    ("skip", "skip", True, "12:01:01"): "next 12:05, misfire 12:00-12:00 (1)",
    ("skip", "all", False, "12:11:30"): "run 12:00, next 12:05",
    ("skip", "all", False, "12:10:30"): "run 12:00, next 12:05",
    ("skip", "all", False, "12:01:01"): "run 12:00, next 12:05",
    ("skip", "all", True, "12:11:30"): "hold 12:00",
    ("skip", "all", True, "12:10:30"): "hold 12:00",
    ("skip", "all", True, "12:01:01"): "hold 12:00",
    ("queue", "latest", False, "12:11:30"): "run 12:10, next 12:15, misfire 12:00-12:05 (2)",
    ("queue", "latest", False, "12:10:30"): "run 12:10, next 12:15, misfire 12:00-12:05 (2)",
    ("queue", "latest", False, "12:01:01"): "run 12:00, next 12:05",
    ("queue", "latest", True, "12:11:30"): "hold 12:10, misfire 12:00-12:05 (2)",
    ("queue", "latest", True, "12:10:30"): "hold 12:10, misfire 12:00-12:05 (2)",
    ("queue", "latest", True, "12:01:01"): "hold 12:00",
    ("queue", "skip", False, "12:11:30"): "next 12:15, misfire 12:00-12:10 (3)",
    ("queue", "skip", False, "12:10:30"): "run 12:10, next 12:15, misfire 12:00-12:05 (2)",
    ("queue", "skip", False, "12:01:01"): "next 12:05, misfire 12:00-12:00 (1)",
    ("queue", "skip", True, "12:11:30"): "next 12:15, misfire 12:00-12:10 (3)",
    ("queue", "skip", True, "12:10:30"): "hold 12:10, misfire 12:00-12:05 (2)",
    ("queue", "skip", True, "12:01:01"): "next 12:05, misfire 12:00-12:00 (1)",
    ("queue", "all", False, "12:11:30"): "run 12:00, next 12:05",
    ("queue", "all", False, "12:10:30"): "run 12:00, next 12:05",
    ("queue", "all", False, "12:01:01"): "run 12:00, next 12:05",
    ("queue", "all", True, "12:11:30"): "hold 12:00",
    ("queue", "all", True, "12:10:30"): "hold 12:00",
    ("queue", "all", True, "12:01:01"): "hold 12:00",
    **{
        ("allow", misfire, blocked, found): turn
        for blocked in (False, True)  # `allow` does not look
        for misfire, found, turn in (
            ("latest", "12:11:30", "run 12:10, next 12:15, misfire 12:00-12:05 (2)"),
            ("latest", "12:10:30", "run 12:10, next 12:15, misfire 12:00-12:05 (2)"),
            ("latest", "12:01:01", "run 12:00, next 12:05"),
            ("skip", "12:11:30", "next 12:15, misfire 12:00-12:10 (3)"),
            ("skip", "12:10:30", "run 12:10, next 12:15, misfire 12:00-12:05 (2)"),
            ("skip", "12:01:01", "next 12:05, misfire 12:00-12:00 (1)"),
            ("all", "12:11:30", "run 12:00, next 12:05"),
            ("all", "12:10:30", "run 12:00, next 12:05"),
            ("all", "12:01:01", "run 12:00, next 12:05"),
        )
    },
}


@pytest.mark.parametrize("misfire", Misfire)
@pytest.mark.parametrize(("overlap", "blocked", "now"), ON_TIME)
def test_a_run_that_is_not_missed_follows_overlap(
    overlap: str, blocked: bool, now: str, misfire: Misfire
) -> None:
    """Up to 60 s late, or waiting for a slot: `misfire` says nothing about such a run."""
    seen = "12:00:10" if now == "12:11" else now
    turn = decide_run(
        plan_of(Overlap(overlap), misfire), due("12:00", seen, blocked=blocked), at(now)
    )
    assert shown(turn) == ON_TIME[overlap, blocked, now]


@pytest.mark.parametrize(("overlap", "misfire", "blocked", "found"), MISSED)
def test_a_missed_run_follows_misfire_and_then_overlap(
    overlap: str, misfire: str, blocked: bool, found: str
) -> None:
    """`latest` lets the last one take its turn, `skip` only what is not missed, `all` each."""
    plan = plan_of(Overlap(overlap), Misfire(misfire))
    turn = decide_run(plan, due("12:00", found, blocked=blocked), at(found))
    assert shown(turn) == MISSED[overlap, misfire, blocked, found]


def test_the_tables_are_complete() -> None:
    """Every pair of policies is there, blocked and not, in each situation."""
    assert set(ON_TIME) == set(product(Overlap, (False, True), ("12:00", "12:01", "12:11")))
    found = ("12:11:30", "12:10:30", "12:01:01")
    assert set(MISSED) == set(product(Overlap, Misfire, (False, True), found))


def test_a_run_exactly_60_seconds_late_is_not_skipped() -> None:
    """Missed is what is *over* 60 s late; 12:01 is not when it is found at 12:02."""
    turn = decide_run(
        plan_of(Overlap.ALLOW, Misfire.SKIP, MINUTE), due("12:00", "12:02"), at("12:02")
    )
    assert shown(turn) == "run 12:01, next 12:02, misfire 12:00-12:00 (1)"


# --- waiting is not missing; every case was found late, at 12:10:30, with 12:10 not missed ---


def test_latest_is_the_last_one_missed_and_not_one_that_came_while_waiting_for_a_slot() -> None:
    """What passes after the loop has seen a run is not missed, but follows `overlap`."""
    turn = decide_run(plan_of(), due("12:00", "12:10:30"), at("12:21"))
    assert shown(turn) == (
        "run 12:10, next 12:25, misfire 12:00-12:05 (2), overlap 12:15-12:20 (2)"
    )


def test_skip_keeps_a_run_that_only_waited_for_a_slot() -> None:
    """12:10 was on time when it was seen; the slot that it got at 12:13 does not make it missed."""
    turn = decide_run(plan_of(misfire=Misfire.SKIP), due("12:00", "12:10:30"), at("12:13"))
    assert shown(turn) == "run 12:10, next 12:15, misfire 12:00-12:05 (2)"


def test_skip_lets_a_time_that_came_while_waiting_for_a_slot_take_its_turn() -> None:
    """Found at 12:11:30 all were missed; 12:15 came due before the slot at 12:17 and was not."""
    turn = decide_run(plan_of(misfire=Misfire.SKIP), due("12:00", "12:11:30"), at("12:17"))
    assert shown(turn) == "run 12:15, next 12:20, misfire 12:00-12:10 (3)"


@pytest.mark.parametrize("misfire", [Misfire.LATEST, Misfire.SKIP])
def test_a_queued_run_keeps_its_place_until_its_predecessor_has_finished(
    misfire: Misfire,
) -> None:
    """Queued at 12:10:30 it still is the waiting one at 12:21; what came since is skipped."""
    plan, waiting = plan_of(Overlap.QUEUE, misfire), due("12:00", "12:10:30", blocked=True)
    assert shown(decide_run(plan, waiting, at("12:10:30"))) == "hold 12:10, misfire 12:00-12:05 (2)"
    held = replace(waiting, planned_at=at("12:10"))
    assert shown(decide_run(plan, held, at("12:21"))) == "hold 12:10"
    freed = replace(held, is_blocked=False)
    turn = decide_run(plan, freed, at("12:21"))
    assert shown(turn) == "run 12:10, next 12:25, overlap 12:15-12:20 (2)"


@pytest.mark.parametrize("overlap", Overlap)
@pytest.mark.parametrize("misfire", Misfire)
@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("seen", ["12:00:10", "12:03"])
def test_a_clock_set_back_plans_no_time_again(
    overlap: Overlap, misfire: Misfire, blocked: bool, seen: str
) -> None:
    """Seen due, then let in at 11:53 by a clock stepped back: 12:00 is decided or waits on."""
    waiting = due("12:00", seen, blocked=blocked)
    match decide_run(plan_of(overlap, misfire), waiting, at("11:53")):
        case Run(next_at=next_at, gaps=gaps):
            assert (next_at, gaps) == (at("12:05"), ())
        case Hold(planned_at=planned_at, gaps=gaps):
            assert (planned_at, gaps) == (at("12:00"), ())
        case MoveOn(next_at=next_at, gaps=(gap,)):
            assert (next_at, gap.count) == (at("12:05"), 1)
            assert (gap.first, gap.last) == (at("12:00"), at("12:00"))
        case other:
            pytest.fail(f"12:00 is not accounted for: {other}")


def test_a_clock_set_back_leaves_a_run_that_was_not_missed_its_turn() -> None:
    """12:05 was 30 s late when it was seen; at 11:53 by the clock it is still the one to run."""
    turn = decide_run(plan_of(misfire=Misfire.SKIP), due("12:00", "12:05:30"), at("11:53"))
    assert shown(turn) == "run 12:05, next 12:10, misfire 12:00-12:00 (1)"


# --- bounds ---


def test_ends_at_is_a_planned_time_and_the_last() -> None:
    """A run at `ends_at` itself takes place; nothing is planned after it."""
    turn = decide_run(plan_of(ends="12:05"), due("12:00", "12:00"), at("12:00"))
    assert shown(turn) == "run 12:00, next 12:05"
    turn = decide_run(plan_of(ends="12:05"), due("12:05", "12:05"), at("12:05"))
    assert shown(turn) == "run 12:05, next none"


@pytest.mark.parametrize(
    ("misfire", "expected"),
    [
        ("latest", "run 12:05, next none, misfire 12:00-12:00 (1)"),
        ("skip", "next none, misfire 12:00-12:05 (2)"),
        ("all", "run 12:00, next 12:05"),
    ],
)
def test_what_was_missed_ends_with_ends_at(misfire: str, expected: str) -> None:
    """Found at 13:00, a schedule that ended at 12:07 missed 12:00 and 12:05 and no more."""
    plan = plan_of(misfire=Misfire(misfire), ends="12:07")
    assert shown(decide_run(plan, due("12:00", "13:00"), at("13:00"))) == expected


def test_a_blocked_last_run_ends_the_schedule() -> None:
    """With `overlap: skip` the time at `ends_at` is skipped, and none is left."""
    turn = decide_run(plan_of(ends="12:00"), due("12:00", "12:00", blocked=True), at("12:00"))
    assert shown(turn) == "next none, overlap 12:00-12:00 (1)"


@pytest.mark.parametrize(("runs", "following"), [(0, "12:05"), (1, "12:05"), (2, "none")])
def test_max_runs_counts_the_runs_begun(runs: int, following: str) -> None:
    """With `max_runs: 3` the third run, of which two began before it, plans no other."""
    turn = decide_run(plan_of(max_runs=3), due("12:00", "12:00", runs=runs), at("12:00"))
    assert shown(turn) == f"run 12:00, next {following}"


def test_what_is_skipped_does_not_count_towards_max_runs() -> None:
    """A skipped time leaves the last run to the next one."""
    waiting = due("12:00", "12:00", runs=2, blocked=True)
    turn = decide_run(plan_of(max_runs=3), waiting, at("12:00"))
    assert shown(turn) == "next 12:05, overlap 12:00-12:00 (1)"


def test_no_time_is_planned_or_skipped_after_the_last_run_of_max_runs() -> None:
    """The last run waited for a slot until 12:11; what came then was no planned time any more."""
    waiting = due("12:00", "12:00", runs=2)
    assert shown(decide_run(plan_of(max_runs=3), waiting, at("12:11"))) == "run 12:00, next none"


@pytest.mark.parametrize(("seen", "is_missed"), [("12:04", False), ("12:04:01", True)])
def test_lateness_is_counted_from_the_time_with_jitter(seen: str, is_missed: bool) -> None:
    """Planned at 12:00, due at 12:03 by its jitter: missed from 12:04 on, exclusively."""
    waiting = due("12:00", seen, scheduled="12:03")
    turn = decide_run(plan_of(misfire=Misfire.SKIP), waiting, at(seen))
    expected = "next 12:05, misfire 12:00-12:00 (1)" if is_missed else "run 12:00, next 12:05"
    assert shown(turn) == expected


# --- a long downtime ---


@pytest.mark.parametrize(("missed", "dropped"), [(100, 0), (101, 1), (10_080, 9_980)])
@pytest.mark.parametrize("blocked", [False, True])
def test_all_makes_up_for_the_last_hundred(missed: int, dropped: int, blocked: bool) -> None:
    """Of `missed` minutes the last hundred are run, the older ones are one gap."""
    now = DAY + (missed - 1) * MINUTE + 30 * SECOND  # the last one is at `missed - 1`
    waiting = DueRun(DAY, DAY, now, 0, blocked)
    turn = decide_run(plan_of(misfire=Misfire.ALL, every=MINUTE), waiting, now)
    begin = DAY + dropped * MINUTE
    gaps = (Gap(MISFIRE, DAY, begin - MINUTE, dropped),) if dropped else ()
    assert turn == (Hold(begin, gaps) if blocked else Run(begin, begin + MINUTE, gaps))


CALENDARS = {
    "cron in UTC": Args(url="https://a.example", cron="* * * * *"),
    "cron in a zone": Args(url="https://a.example", cron="* * * * *", timezone="Europe/Berlin"),
    "interval": Args(url="https://a.example", repeat_every=60),
}


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("misfire", Misfire)
def test_a_week_of_downtime_is_one_gap_and_quickly_told(calendar: str, misfire: Misfire) -> None:
    """Seven days of minutes, 12:00:30 to 12:00:30, and the clocks are set forward within them.

    10,080 minutes passed after the waiting one, so 10,081 are due: `latest` runs the last and
    drops 10,080, so does `skip` (30 s late is not missed), `all` drops 9,981.
    """
    begin = datetime(2026, 3, 25, 12, 0, tzinfo=UTC)
    plan = Plan.of(msgspec.structs.replace(CALENDARS[calendar], misfire=misfire.value), begin)
    now = begin + timedelta(days=7, seconds=30)
    waiting = DueRun(begin, begin, now, 0, False)
    decide_run(plan, waiting, now)  # the zone's table is built once per process
    started = thread_time()  # what others do on this machine is not counted
    turn = decide_run(plan, waiting, now)
    assert thread_time() - started < 0.05
    dropped = 9_981 if misfire is Misfire.ALL else 10_080
    first_run = begin + dropped * MINUTE
    gap = Gap(MISFIRE, begin, first_run - MINUTE, dropped)
    assert turn == Run(first_run, first_run + MINUTE, (gap,))


# --- the plan itself ---


def test_an_absent_rule_has_the_contract_s_default() -> None:
    """`overlap: skip` and `misfire: latest` (contract §3); no jitter, no bound but the anchor."""
    plan = Plan.of(Args(url="https://a.example", repeat_every=60), DAY)
    assert plan == Plan(
        Interval(MINUTE, DAY),
        DAY,
        None,
        None,
        timedelta(0),
        Overlap.SKIP,
        Misfire.LATEST,
    )


def test_every_rule_is_read_from_the_create() -> None:
    """Durations, times and names arrive as they were asked for."""
    args = Args(
        url="https://a.example",
        cron="0 9 * * 1-5",
        timezone="Europe/Berlin",
        starts_at="2026-06-02T00:00",  # of the zone, UTC+2
        ends_at=1_790_000_000,
        max_runs=7,
        jitter=(2, "minutes"),
        overlap="queue",
        misfire="all",
    )
    assert Plan.of(args, DAY) == Plan(
        Cron.parse("0 9 * * 1-5", "Europe/Berlin"),
        datetime(2026, 6, 1, 22, 0, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC) + 1_790_000_000 * SECOND,
        7,
        timedelta(minutes=2),
        Overlap.QUEUE,
        Misfire.ALL,
    )


@pytest.mark.parametrize(
    ("starts_at", "first"),
    [
        (None, "12:00"),
        ("2026-06-01T11:00Z", "12:00"),  # before the anchor: no time is planned before that
        ("2026-06-01T12:00Z", "12:00"),
        ("2026-06-01T12:05Z", "12:05"),  # inclusive
        ("2026-06-01T12:05:01Z", "12:10"),  # the grid stays where it is
    ],
)
def test_starts_at_is_inclusive_and_does_not_move_the_grid(
    starts_at: str | None, first: str
) -> None:
    """The first planned time is the first of the grid from `starts_at` on."""
    args = Args(url="https://a.example", repeat_every=(5, "minutes"), starts_at=starts_at)
    plan = Plan.of(args, at("12:00"))
    assert plan.first() == at(first)
    assert plan.last_until(at(first) - SECOND) is None
    assert plan.last_until(at(first)) == at(first)
    assert plan.next_after(DAY) == at(first)


def test_a_plan_that_ends_before_it_begins_has_no_time() -> None:
    """No first time, none after, none before."""
    args = Args(url="https://a.example", repeat_every=300, ends_at="2026-06-01T11:59:59Z")
    plan = Plan.of(args, at("12:00"))
    assert plan.first() is None
    assert plan.next_after(at("12:00")) is None
    assert plan.last_until(at("13:00")) is None


def test_last_until_and_next_after_divide_at_a_planned_time() -> None:
    """A planned time is the last until itself, and not after itself."""
    plan = plan_of(ends="12:10")
    assert plan.last_until(at("12:05")) == at("12:05")
    assert plan.next_after(at("12:05")) == at("12:10")
    assert plan.next_after(at("12:10")) is None
    assert plan.last_until(at("23:00")) == at("12:10")


@pytest.mark.parametrize(("runs", "is_used_up"), [(0, False), (2, False), (3, True), (4, True)])
def test_a_plan_is_used_up_by_max_runs(runs: int, is_used_up: bool) -> None:
    """Three runs may begin, no fourth; without `max_runs` any number."""
    assert plan_of(max_runs=3).is_used_up(runs) is is_used_up
    assert plan_of().is_used_up(runs) is False


def test_a_daily_run_happens_once_on_the_days_the_clocks_change() -> None:
    """02:30 in Berlin: 03:00 CEST on 29 March 2026, its first occurrence on 25 October."""
    args = Args(url="https://a.example", cron="30 2 * * *", timezone="Europe/Berlin")
    plan = Plan.of(args, datetime(2026, 3, 28, tzinfo=UTC))
    spring = [datetime(2026, 3, 28, 1, 30, tzinfo=UTC)]  # CET, UTC+1
    spring.append(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))  # skipped: at the end of the gap
    spring.append(datetime(2026, 3, 30, 0, 30, tzinfo=UTC))  # CEST, UTC+2
    assert plan.first() == spring[0]
    assert plan.next_after(spring[0]) == spring[1]
    assert plan.next_after(spring[1]) == spring[2]
    autumn = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert plan.next_after(autumn - SECOND) == autumn
    assert plan.next_after(autumn) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    # A gap of both days: three days missed, found at noon of the 30th, two of them are left out.
    noon = datetime(2026, 3, 30, 12, 0, tzinfo=UTC)
    turn = decide_run(plan, DueRun(spring[0], spring[0], noon, 0, False), noon)
    following = datetime(2026, 3, 31, 0, 30, tzinfo=UTC)
    assert turn == Run(spring[2], following, (Gap(MISFIRE, spring[0], spring[1], 2),))


# --- a schedule played at random, against a grid that is walked ---


@dataclass(frozen=True)
class Rhythm:
    """What repeats, beside a slow account of the same; `unit` is about one period."""

    fields: dict[str, str | int]
    unit: timedelta
    is_planned: Callable[[datetime], bool]

    def walk(self, begin: datetime, end: datetime | None) -> Iterator[datetime]:
        """Yield every planned time from `begin` to `end`, both included."""
        step = MINUTE if "cron" in self.fields else SECOND
        if "repeat_every" in self.fields:
            step = self.unit  # the grid begins at the anchor, which is `DAY`
        for n in count():
            t = DAY + n * step
            if end is not None and t > end:
                return
            if t >= begin and self.is_planned(t):
                yield t


def _interval(seconds: int) -> Rhythm:
    return Rhythm({"repeat_every": seconds}, seconds * SECOND, lambda _: True)


RHYTHMS = (
    _interval(1),
    _interval(17),
    _interval(60),
    _interval(86_400),
    Rhythm({"cron": "* * * * *"}, MINUTE, lambda _: True),
    Rhythm({"cron": "*/7 * * * *"}, 7 * MINUTE, lambda t: t.minute % 7 == 0),
    Rhythm({"cron": "5,50 * * * *"}, 30 * MINUTE, lambda t: t.minute in (5, 50)),
    Rhythm(
        {"cron": "30 9,17 * * 1-5"},
        timedelta(hours=6),
        lambda t: (t.hour in (9, 17)) and t.minute == 30 and t.weekday() < 5,
    ),
)


class PlayedSchedule(RuleBasedStateMachine):
    """One schedule and a loop without I/O, which the rules interrupt in every way.

    `_grid` yields the planned times in order; every turn must take the next ones from it, each
    once: in a run or in a gap.
    """

    plan: Plan
    unit: timedelta
    now: datetime
    planned_at: datetime | None
    scheduled_at: datetime
    seen_at: datetime | None
    last_run: datetime | None
    runs: int
    unfinished: int

    @initialize(
        rhythm=st.sampled_from(RHYTHMS),
        overlap=st.sampled_from(Overlap),
        misfire=st.sampled_from(Misfire),
        starts=st.sampled_from([0, 0, 0.5, 2.5]),
        ends=st.sampled_from([None, None, None, 6, 40.5, 300]),
        max_runs=st.sampled_from([None, None, None, 1, 4]),
        jitter=st.sampled_from([0, 0, 0.4, 3]),
    )
    def create(
        self,
        rhythm: Rhythm,
        overlap: Overlap,
        misfire: Misfire,
        starts: float,
        ends: float | None,
        max_runs: int | None,
        jitter: float,
    ) -> None:
        starts_at = DAY + starts * rhythm.unit
        ends_at = None if ends is None else DAY + ends * rhythm.unit
        args = Args(
            url="https://a.example",
            repeat_every=rhythm.unit.total_seconds() if "repeat_every" in rhythm.fields else None,
            cron=str(rhythm.fields["cron"]) if "cron" in rhythm.fields else None,
            starts_at=starts_at.isoformat(),
            ends_at=None if ends_at is None else ends_at.isoformat(),
            max_runs=max_runs,
            jitter=jitter * rhythm.unit.total_seconds(),
            overlap=overlap.value,
            misfire=misfire.value,
        )
        self.plan = Plan.of(args, DAY)
        self.unit = rhythm.unit
        self._grid = rhythm.walk(starts_at, ends_at)
        self._next_on_grid = next(self._grid, None)
        self.now = DAY
        self.runs = 0
        self.unfinished = 0
        self.last_run = None
        self._wait_for(self.plan.first(), 0)

    # What happens outside of the loop.

    @rule(periods=st.floats(0, 3), look=st.booleans())
    def time_passes(self, periods: float, look: bool) -> None:
        """Advance time a little, at whose end the loop may find the run due."""
        self.now += periods * self.unit
        if look:
            self._look()

    @rule(seconds=st.sampled_from([1, 59, 60, 61, 120]))
    def seconds_pass(self, seconds: int) -> None:
        """Come near the misfire grace."""
        self.now += seconds * SECOND

    @rule(periods=st.sampled_from([5, 30, 99, 100, 101, 250]))
    def paused(self, periods: int) -> None:
        """Advance time by long while nothing is looked at or claimed; seen times are kept."""
        self.now += periods * self.unit

    @rule(periods=st.sampled_from([0, 0.1, 5, 99, 250]))
    def crash(self, periods: float) -> None:
        """Forget what was seen and stay down; what was executing is due again, so it blocks."""
        self.seen_at = None
        self.now += periods * self.unit

    @rule(late=st.sampled_from([0, 0.5, 2, 30]), periods=st.sampled_from([0.1, 3, 250]))
    def clock_steps_back(self, late: float, periods: float) -> None:
        """Set the clock back under a run that was seen; no time must be planned again."""
        self.now += late * self.unit
        self._look()
        self.now = max(self.now - periods * self.unit, DAY)
        if self.seen_at is not None:
            self._take_turn(0)

    @precondition(lambda self: self.unfinished)
    @rule()
    def attempt_finishes(self) -> None:
        """Finish one of the runs that were begun."""
        self.unfinished -= 1

    # The loop.

    @rule(jitter=st.floats(0, 1, exclude_max=True), turns=st.sampled_from([1, 1, 3, 120]))
    def claim(self, jitter: float, turns: int) -> None:
        """Decide about the waiting run while it is due; runs finish in between."""
        for _ in range(turns):
            self._look()
            if self.planned_at is None or self.seen_at is None:
                return
            self._take_turn(jitter)
            if turns > 3:
                self.unfinished = 0

    def _look(self) -> None:
        if self.planned_at and self.seen_at is None and self.scheduled_at <= self.now:
            self.seen_at = self.now

    def _take_turn(self, jitter: float) -> None:
        assert self.planned_at is not None
        assert self.seen_at is not None
        is_blocked = self.unfinished > 0
        waiting = DueRun(self.planned_at, self.scheduled_at, self.seen_at, self.runs, is_blocked)
        turn = decide_run(self.plan, waiting, self.now)
        self._check_gaps(turn.gaps)
        match turn:
            case Run(planned_at=planned_at, next_at=next_at, gaps=gaps):
                self._account([g for g in gaps if g.first < planned_at], planned_at)
                self._begin(planned_at)
                self._account([g for g in gaps if g.first > planned_at], next_at)
                if self.plan.max_runs == self.runs:
                    assert all(gap.last < planned_at for gap in gaps)
                self._wait_for(next_at, jitter)
            case Hold(planned_at=planned_at, gaps=gaps):
                assert is_blocked
                assert self.plan.overlap is not Overlap.ALLOW
                self._account(gaps, planned_at)
                self.planned_at = planned_at  # still due since then, and seen
            case MoveOn(next_at=next_at, gaps=gaps):
                assert gaps
                self._account(gaps, next_at)
                self._wait_for(next_at, jitter)

    def _begin(self, planned_at: datetime) -> None:
        """Check that a run may begin, and take it from the grid."""
        assert self.plan.overlap is Overlap.ALLOW or not self.unfinished
        assert self.last_run is None or planned_at > self.last_run
        assert self.seen_at is not None
        assert planned_at <= max(self.now, self.seen_at)
        assert planned_at == self._next_on_grid
        self._next_on_grid = next(self._grid, None)
        self.last_run = planned_at
        self.runs += 1
        self.unfinished += 1
        assert self.plan.max_runs is None or self.runs <= self.plan.max_runs

    def _account(self, gaps: list[Gap] | tuple[Gap, ...], following: datetime | None) -> None:
        """Take each gap's times from the grid; what follows them must be `following`."""
        for gap in gaps:
            assert gap.first == self._next_on_grid
            last = None
            for _ in range(gap.count):
                last, self._next_on_grid = self._next_on_grid, next(self._grid, None)
            assert gap.last == last
        if following is not None or self.plan.max_runs != self.runs:
            assert following == self._next_on_grid

    def _check_gaps(self, gaps: tuple[Gap, ...]) -> None:
        """Check why times were not run: missed is only what had passed when the run was seen."""
        assert self.seen_at is not None
        for gap in gaps:
            assert gap.count > 0
            if gap.reason == MISFIRE:
                assert self.seen_at - self.scheduled_at > GRACE
                assert gap.last <= self.seen_at
                if self.plan.misfire is Misfire.SKIP:
                    assert gap.last < self.seen_at - GRACE
            else:
                assert gap.reason == OVERLAP
                assert self.plan.overlap is not Overlap.ALLOW

    def _wait_for(self, planned_at: datetime | None, jitter: float) -> None:
        assert planned_at is None or planned_at == self._next_on_grid
        self.planned_at = planned_at
        self.seen_at = None
        if planned_at is not None:
            self.scheduled_at = planned_at + self.plan.jitter * jitter


TestPlayedSchedule = PlayedSchedule.TestCase
PlayedSchedule.TestCase.settings = settings(
    max_examples=250, stateful_step_count=40, derandomize=True
)
