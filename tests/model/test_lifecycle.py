"""The life of a job: every arrow of the table, every missing one, and what each leaves behind."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from booper.model import lifecycle
from booper.model.args import Args
from booper.model.job import (
    FINISHED,
    SUSPECT_CRASHES,
    WAITING,
    Attempt,
    Failed,
    Job,
    Outcome,
    Refused,
    Responded,
    Response,
    State,
)
from booper.model.lifecycle import TRANSITIONS, WrongState
from booper.model.retry import Backoff

PLANNED = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
NOW = PLANNED + timedelta(seconds=5)
OWNER = 7
OWNER = 7
URL = "https://target.test/"
MINUTE = Backoff((timedelta(minutes=1),))
TOOK = timedelta(milliseconds=250)


def job_in(state: State, *, attempt: int = 1, max_attempts: int = 15) -> Job:
    """Return a job that stands in a state, with the end time that belongs to it."""
    job = Job(
        id=29180,
        uuid=UUID("41d7f28b-dfbe-44b8-b716-b91898bb0ce0"),
        user_id=UUID("bd2aa099-6eb7-4dbb-9178-32141def1355"),
        idempotency_key=None,
        name=None,
        description=None,
        origin="target.test",
        args="{}",
        state=state,
        attempt=attempt,
        max_attempts=max_attempts,
        inserted_at=PLANNED,
        scheduled_at=PLANNED,
        planned_at=PLANNED,
    )
    match state:
        case State.COMPLETED:
            return replace(job, completed_at=PLANNED)
        case State.DISCARDED:
            return replace(job, discarded_at=PLANNED)
        case State.CANCELLED:
            return replace(job, cancelled_at=PLANNED)
        case _:
            return job


def answered(status: int, **headers: str) -> Responded:
    """Return a target's response; `retry_after=` is its header `retry-after`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Responded(Response(status, named, b"", is_cut=False), TOOK)


def settle(
    job: Job, outcome: Outcome, *, backoff: Backoff = MINUTE, args: Args | None = None
) -> Job:
    """Settle a job at `NOW`."""
    attempt = Attempt(job, args or Args(url=URL))
    return lifecycle.settle(attempt, outcome, now=NOW, backoff=backoff, random=Random(1))


TIMEOUT = Failed("timeout", "no response within 30 s", TOOK)
REFUSED = Refused("10.0.0.1 is in a private network")


@dataclass(frozen=True)
class Move:
    """One way of moving a job: from which states, to which, and how."""

    starts: frozenset[State]
    end: State
    make: Callable[[Job], Job]
    attempt: int = 1
    max_attempts: int = 15


IN_FLIGHT = frozenset({State.EXECUTING})
AGAIN = frozenset({State.DISCARDED, State.CANCELLED})
MOVES = {
    "claim": Move(WAITING, State.EXECUTING, lambda job: lifecycle.claim(job, NOW, OWNER)),
    "release first": Move(IN_FLIGHT, State.SCHEDULED, lifecycle.release),
    "release later": Move(IN_FLIGHT, State.RETRYABLE, lifecycle.release, attempt=2),
    "rescue": Move(IN_FLIGHT, State.RETRYABLE, lambda job: lifecycle.rescue(job, NOW)),
    "rescue a suspect": Move(
        IN_FLIGHT,
        State.DISCARDED,
        lambda job: lifecycle.rescue(
            replace(job, interruptions=SUSPECT_CRASHES), NOW, was_alone=True
        ),
    ),
    "succeed": Move(IN_FLIGHT, State.COMPLETED, lambda job: settle(job, answered(200))),
    "answer 500": Move(IN_FLIGHT, State.RETRYABLE, lambda job: settle(job, answered(500))),
    "time out": Move(IN_FLIGHT, State.RETRYABLE, lambda job: settle(job, TIMEOUT)),
    "last 500": Move(
        IN_FLIGHT, State.DISCARDED, lambda job: settle(job, answered(500)), max_attempts=1
    ),
    "last timeout": Move(
        IN_FLIGHT, State.DISCARDED, lambda job: settle(job, TIMEOUT), max_attempts=1
    ),
    "answer 410": Move(IN_FLIGHT, State.DISCARDED, lambda job: settle(job, answered(410))),
    "refuse": Move(IN_FLIGHT, State.DISCARDED, lambda job: settle(job, REFUSED)),
    "cancel": Move(WAITING | IN_FLIGHT, State.CANCELLED, lambda job: lifecycle.cancel(job, NOW)),
    "retry": Move(AGAIN, State.RETRYABLE, lambda job: lifecycle.retry(job, NOW)),
    "retry untried": Move(
        frozenset({State.CANCELLED}),
        State.SCHEDULED,
        lambda job: lifecycle.retry(job, NOW),
        attempt=0,
    ),
}

# Contract §4 and the drawing above `lifecycle`, arrow by arrow.
ARROWS = {
    (State.SCHEDULED, State.EXECUTING),
    (State.SCHEDULED, State.CANCELLED),
    (State.EXECUTING, State.SCHEDULED),
    (State.EXECUTING, State.RETRYABLE),
    (State.EXECUTING, State.COMPLETED),
    (State.EXECUTING, State.DISCARDED),
    (State.EXECUTING, State.CANCELLED),
    (State.RETRYABLE, State.EXECUTING),
    (State.RETRYABLE, State.CANCELLED),
    (State.DISCARDED, State.RETRYABLE),
    (State.CANCELLED, State.RETRYABLE),
    (State.CANCELLED, State.SCHEDULED),
}


def test_every_state_has_a_row() -> None:
    """The table answers for every state, so that a wrong move is WrongState and not KeyError."""
    assert set(TRANSITIONS) == set(State)


def test_the_table_holds_the_arrows_of_the_contract_and_no_other() -> None:
    """The table's arrows are those that are drawn; every other pair of states is missing."""
    assert {(start, end) for start, ends in TRANSITIONS.items() for end in ends} == ARROWS


def test_every_arrow_is_made_by_a_move() -> None:
    """No arrow stands in the table that no function makes, and no function makes another."""
    made = {(start, move.end) for move in MOVES.values() for start in move.starts}
    assert made == ARROWS


def test_an_arrow_is_made_by_one_function_unless_the_drawing_names_more() -> None:
    """Only executing → retryable has several makers: fail, rescue, release."""
    functions = {
        "claim": "claim",
        "release first": "release",
        "release later": "release",
        "rescue": "rescue",
        "cancel": "cancel",
        "retry": "retry",
        "retry untried": "retry",
    }
    makers: dict[tuple[State, State], set[str]] = {}
    for name, move in MOVES.items():
        for start in move.starts:
            makers.setdefault((start, move.end), set()).add(functions.get(name, "settle"))
    shared = {arrow: names for arrow, names in makers.items() if len(names) > 1}
    assert shared == {(State.EXECUTING, State.RETRYABLE): {"settle", "rescue", "release"}}


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("name", MOVES)
def test_a_move_makes_its_arrow_and_raises_from_anywhere_else(name: str, start: State) -> None:
    """Each move works from its own states; from any other it raises WrongState.

    The exception is contract §2: cancelling a finished job returns it unchanged.
    """
    move = MOVES[name]
    job = job_in(start, attempt=move.attempt, max_attempts=move.max_attempts)
    if start in move.starts:
        assert move.make(job).state is move.end
    elif name == "cancel" and start in FINISHED:
        assert move.make(job) is job
    else:
        with pytest.raises(WrongState):
            move.make(job)


def test_nothing_but_a_retry_leaves_a_finished_state() -> None:
    """Completed is for ever; discarded and cancelled are left when a user asks for it."""
    leaving = {name for name, move in MOVES.items() if move.starts & FINISHED}
    assert leaving == {"retry", "retry untried"}
    stored = {state: TRANSITIONS[state] for state in State if state is not State.AVAILABLE}
    assert {state for state, ends in stored.items() if not ends} == {State.COMPLETED}


def test_available_is_read_and_never_reached() -> None:
    """No arrow leads to available: it is scheduled whose time has come (contract §4)."""
    assert all(State.AVAILABLE not in ends for ends in TRANSITIONS.values())


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_only_a_scheduled_job_becomes_available_when_due(state: State, seconds: int) -> None:
    """A reader sees available from the very moment on; every other state is shown as it is."""
    seen = job_in(state).state_at(PLANNED + timedelta(seconds=seconds))
    is_due = state is State.SCHEDULED and seconds >= 0
    assert seen is (State.AVAILABLE if is_due else state)


def test_wrong_state_names_the_job_and_both_states() -> None:
    """The error says which job stood where, and where it was to go."""
    with pytest.raises(WrongState, match="job 29180 cannot go from completed to executing"):
        lifecycle.claim(job_in(State.COMPLETED), NOW, OWNER)


@pytest.mark.parametrize(("state", "before"), [(State.SCHEDULED, 0), (State.RETRYABLE, 3)])
def test_a_claim_counts_the_attempt_before_it_is_sent(state: State, before: int) -> None:
    """A claim adds one to the attempts, and notes when and by whom; the rest of the job stays."""
    job = replace(job_in(state, attempt=before), epoch=4, held_since=PLANNED)
    claimed = lifecycle.claim(job, NOW, OWNER)
    expected = replace(
        job,
        state=State.EXECUTING,
        attempt=before + 1,
        attempted_at=NOW,
        owner=OWNER,
        epoch=5,
        held_since=None,
    )
    assert claimed == expected


@pytest.mark.parametrize(("state", "before"), [(State.SCHEDULED, 0), (State.RETRYABLE, 3)])
def test_a_released_attempt_does_not_count(state: State, before: int) -> None:
    """A graceful stop puts the job back where it was: state, attempts and time (contract §8)."""
    job = job_in(state, attempt=before)
    released = lifecycle.release(lifecycle.claim(job, NOW, OWNER))
    assert (released.state, released.attempt) == (state, before)
    assert released.scheduled_at == PLANNED


def test_a_rescued_attempt_counts_and_is_due_at_once() -> None:
    """What was executing when the process died is due again now, its attempt counted."""
    job = job_in(State.EXECUTING, attempt=2)
    rescued = lifecycle.rescue(job, NOW)
    assert (rescued.state, rescued.attempt) == (State.RETRYABLE, 2)
    assert (rescued.scheduled_at, rescued.planned_at) == (NOW, PLANNED)
    assert rescued.last_error is not None
    assert rescued.last_error.startswith("interrupted")


def test_an_attempt_cut_by_a_crash_is_made_again_even_if_it_was_the_last() -> None:
    """At least once (contract §8): the last attempt is repeated, and then it is the last."""
    last = job_in(State.EXECUTING, attempt=15, max_attempts=15)
    again = lifecycle.claim(lifecycle.rescue(last, NOW), NOW, OWNER)
    assert again.state is State.EXECUTING
    assert settle(again, answered(500)).state is State.DISCARDED
    assert settle(again, answered(200)).state is State.COMPLETED


def test_crashes_in_a_row_are_counted_until_an_attempt_ends() -> None:
    """Two deaths make two interruptions; any outcome of an attempt starts the count anew."""
    job = job_in(State.EXECUTING)
    for _ in range(2):
        job = lifecycle.claim(lifecycle.rescue(job, NOW), NOW, OWNER)
    assert job.interruptions == 2
    for outcome in (answered(200), answered(500), answered(410), TIMEOUT, REFUSED):
        assert settle(job, outcome).interruptions == 0


STATUSES = [
    # status, expect_status, what the attempt comes to (contract §8)
    (200, None, State.COMPLETED),
    (204, None, State.COMPLETED),
    (299, None, State.COMPLETED),
    (199, None, State.RETRYABLE),
    (300, None, State.RETRYABLE),
    (304, None, State.RETRYABLE),
    (400, None, State.RETRYABLE),
    (401, None, State.RETRYABLE),
    (404, None, State.RETRYABLE),
    (408, None, State.RETRYABLE),
    (409, None, State.RETRYABLE),
    (411, None, State.RETRYABLE),
    (429, None, State.RETRYABLE),
    (500, None, State.RETRYABLE),
    (503, None, State.RETRYABLE),
    (599, None, State.RETRYABLE),
    (410, None, State.DISCARDED),
    (200, [200, "3xx"], State.COMPLETED),
    (301, [200, "3xx"], State.COMPLETED),
    (399, [200, "3xx"], State.COMPLETED),
    (201, [200, "3xx"], State.RETRYABLE),
    (400, [200, "3xx"], State.RETRYABLE),
    (410, [200, "3xx"], State.DISCARDED),
    (302, ["3XX"], State.COMPLETED),
    (204, ["2xx"], State.COMPLETED),
    (404, [404], State.COMPLETED),
    (200, [404], State.RETRYABLE),
    (410, [410], State.COMPLETED),
    (410, ["4xx"], State.COMPLETED),
]


@pytest.mark.parametrize(("status", "expected", "state"), STATUSES)
def test_a_status_decides_what_an_attempt_comes_to(
    status: int, expected: list[int | str] | None, state: State
) -> None:
    """2xx or `expect_status` completes, 410 discards unless it is expected, the rest is retried."""
    args = Args(url=URL, expect_status=expected)
    assert settle(job_in(State.EXECUTING), answered(status), args=args).state is state


def test_success_clears_the_last_error() -> None:
    """A job that failed first and then succeeded shows no error."""
    failed = settle(job_in(State.EXECUTING), answered(500))
    done = settle(lifecycle.claim(failed, NOW, OWNER), answered(200))
    assert (done.last_error, done.completed_at) == (None, NOW)


ERRORS: list[tuple[Outcome, str]] = [
    (answered(503), "the target responded 503"),
    (answered(410), "the target is gone: it responded 410"),
    (TIMEOUT, "timeout: no response within 30 s"),
    (REFUSED, "refused: 10.0.0.1 is in a private network"),
]


@pytest.mark.parametrize(("outcome", "error"), ERRORS)
def test_a_failure_says_what_happened(outcome: Outcome, error: str) -> None:
    """`last_error` is a sentence that names the status or the fault."""
    assert settle(job_in(State.EXECUTING), outcome).last_error == error


@pytest.mark.parametrize("outcome", [answered(500), TIMEOUT])
def test_a_retry_moves_scheduled_at_and_leaves_planned_at(outcome: Outcome) -> None:
    """The next attempt is due one backoff after now; the planned time never moves."""
    retried = settle(job_in(State.EXECUTING), outcome)
    assert retried.scheduled_at == NOW + timedelta(minutes=1)
    assert (retried.planned_at, retried.attempt) == (PLANNED, 1)


@pytest.mark.parametrize(
    ("attempt", "state"), [(1, State.RETRYABLE), (2, State.RETRYABLE), (3, State.DISCARDED)]
)
def test_the_last_attempt_discards(attempt: int, state: State) -> None:
    """Of three attempts the third is the last."""
    job = job_in(State.EXECUTING, attempt=attempt, max_attempts=3)
    settled = settle(job, answered(500))
    assert settled.state is state
    assert settled.discarded_at == (NOW if state is State.DISCARDED else None)


RETRY_AFTER = [
    # status, Retry-After, seconds until the next attempt when the backoff says 60
    (429, "120", 120),
    (503, "120", 120),
    (500, "120", 120),
    (302, "120", 120),
    (429, "61", 61),
    (429, "60", 60),
    (429, "59", 60),
    (429, "0", 60),
    (429, "86400", 86_400),
    (429, "86401", 86_400),
    (429, "99999999999999999999", 86_400),
    (429, "Tue, 01 Jan 2030 12:02:05 GMT", 120),
    (429, "Tue, 01 Jan 2030 11:00:00 GMT", 60),
    (429, "soon", 60),
    (429, "-300", 60),
    (429, "", 60),
    # Numbers that no date can hold: unreadable, as any other garbage.
    (429, "Tue, 01 Jan 99999999999999999999 12:00:00 GMT", 60),
    (429, "Tue, 01 Jan 2030 12:00:00 +99999999999999999999", 60),
]


@pytest.mark.parametrize(("status", "header", "seconds"), RETRY_AFTER)
def test_retry_after_moves_the_next_attempt_later_and_never_sooner(
    status: int, header: str, seconds: int
) -> None:
    """The longer of backoff and `Retry-After` counts, up to 24 h; garbage counts as absent."""
    retried = settle(job_in(State.EXECUTING), answered(status, retry_after=header))
    assert retried.scheduled_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("status", "state"), [(200, State.COMPLETED), (410, State.DISCARDED)])
def test_retry_after_keeps_no_ended_job_alive(status: int, state: State) -> None:
    """Where nothing is retried, the header means nothing."""
    settled = settle(job_in(State.EXECUTING), answered(status, retry_after="120"))
    assert (settled.state, settled.scheduled_at) == (state, PLANNED)


def test_retry_after_adds_no_attempt() -> None:
    """The last attempt is the last, whatever the target asks for."""
    last = job_in(State.EXECUTING, attempt=3, max_attempts=3)
    assert settle(last, answered(503, retry_after="1")).state is State.DISCARDED


def test_a_jobs_own_backoff_wins_over_the_operators() -> None:
    """Delays of the create replace the configured ones, per attempt, the last one repeating."""
    args = Args(url=URL, backoff=[10, (2, "minutes")])
    waits = [
        settle(job_in(State.EXECUTING, attempt=n), TIMEOUT, args=args).scheduled_at - NOW
        for n in (1, 2, 3)
    ]
    assert waits == [timedelta(seconds=10), timedelta(minutes=2), timedelta(minutes=2)]


def test_a_job_may_ask_for_the_exponential_against_the_operators_list() -> None:
    """After the first failed attempt that is 15 + 2 = 17 s and up to a tenth more: 18.7 s."""
    args = Args(url=URL, backoff="exponential")
    wait = settle(job_in(State.EXECUTING), TIMEOUT, args=args).scheduled_at - NOW
    assert timedelta(seconds=17) <= wait <= timedelta(seconds=18.7)


def test_fifteen_attempts_are_made_and_no_more() -> None:
    """With the defaults a job fails fourteen times into retryable and the fifteenth discards."""
    job = job_in(State.SCHEDULED, attempt=0)
    states = []
    for _ in range(15):
        job = settle(lifecycle.claim(job, NOW, OWNER), answered(500), backoff=Backoff())
        states.append(job.state)
    assert states == [State.RETRYABLE] * 14 + [State.DISCARDED]
    assert job.attempt == 15


@pytest.mark.parametrize("state", [State.SCHEDULED, State.EXECUTING, State.RETRYABLE])
def test_a_cancel_notes_its_time_and_nothing_else(state: State) -> None:
    """Cancelling sets the state and `cancelled_at`, at once even while executing."""
    job = job_in(state)
    assert lifecycle.cancel(job, NOW) == replace(job, state=State.CANCELLED, cancelled_at=NOW)


def test_what_a_cancelled_jobs_request_still_brings_changes_nothing() -> None:
    """The outcome of an attempt whose job was cancelled meanwhile finds no arrow (contract §4)."""
    cancelled = lifecycle.cancel(job_in(State.EXECUTING), NOW)
    for outcome in (answered(200), answered(500), answered(410), TIMEOUT, REFUSED):
        with pytest.raises(WrongState):
            settle(cancelled, outcome)


@pytest.mark.parametrize(("attempt", "expected"), [(1, 3), (2, 3), (3, 4), (4, 5)])
def test_a_retry_adds_an_attempt_only_where_all_were_used(attempt: int, expected: int) -> None:
    """Of three attempts, a job discarded after its first still has two; after its third, one."""
    job = job_in(State.DISCARDED, attempt=attempt, max_attempts=3)
    assert lifecycle.retry(job, NOW).max_attempts == expected


@pytest.mark.parametrize("state", sorted(AGAIN))
def test_a_retried_job_is_due_now_and_has_not_ended(state: State) -> None:
    """Its end times are gone, the planned one stays; no next run of a schedule cuts it off."""
    job = replace(job_in(state, attempt=2), retry_until=PLANNED, last_error="timeout")
    again = lifecycle.retry(job, NOW)
    assert again == replace(
        job,
        state=State.RETRYABLE,
        scheduled_at=NOW,
        retry_until=None,
        discarded_at=None,
        cancelled_at=None,
    )


RETRY_UNTIL = [
    # how long after the due time of the retry the schedule's next run is planned, what comes of it
    (timedelta(microseconds=1), State.RETRYABLE),
    (timedelta(0), State.DISCARDED),
    (timedelta(microseconds=-1), State.DISCARDED),
    (timedelta(days=-1), State.DISCARDED),
]


@pytest.mark.parametrize("outcome", [answered(500), TIMEOUT])
@pytest.mark.parametrize(("room", "state"), RETRY_UNTIL)
def test_no_retry_falls_at_or_after_the_schedules_next_run(
    outcome: Outcome, room: timedelta, state: State
) -> None:
    """The retry is due in a minute; a run planned then or before takes its place (contract §8)."""
    until = NOW + timedelta(minutes=1) + room
    settled = settle(replace(job_in(State.EXECUTING), retry_until=until), outcome)
    assert settled.state is state


@settings(max_examples=200)
@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=30), st.integers(1, 4))
def test_any_walk_keeps_what_is_always_true(names: list[str], max_attempts: int) -> None:
    """Exactly one end time is set at the end, none before; planned time and identity never move."""
    first = job = job_in(State.SCHEDULED, attempt=0, max_attempts=max_attempts)
    for name in names:
        try:
            job = MOVES[name].make(job)
        except WrongState:
            continue
        ends = {
            State.COMPLETED: job.completed_at,
            State.DISCARDED: job.discarded_at,
            State.CANCELLED: job.cancelled_at,
        }
        assert [state for state, at in ends.items() if at] == [s for s in ends if s is job.state]
        assert (job.planned_at, job.uuid, job.id) == (first.planned_at, first.uuid, first.id)
        assert job.attempt >= (1 if job.state in (State.EXECUTING, State.RETRYABLE) else 0)
        assert job.state is not State.AVAILABLE
