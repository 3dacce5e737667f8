"""What a database tells of its jobs: each move of a state, seen when it was committed, and judged.

The database itself notes the moves, by triggers: so none is missed, however many there are in one
step, one that is undone is not told, and what a crash leaves still tells of what came before.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WATCH = """
CREATE TABLE moves (
    seq     INTEGER PRIMARY KEY,
    job_id  INTEGER NOT NULL,
    old     TEXT,
    new     TEXT,
    before  INTEGER NOT NULL,
    attempt INTEGER NOT NULL
) STRICT;
CREATE TRIGGER made AFTER INSERT ON jobs BEGIN
    INSERT INTO moves (job_id, old, new, before, attempt)
    VALUES (new.id, NULL, new.state, 0, new.attempt);
END;
CREATE TRIGGER moved AFTER UPDATE ON jobs
WHEN (old.id, old.state, old.attempt) <> (new.id, new.state, new.attempt) BEGIN
    INSERT INTO moves (job_id, old, new, before, attempt)
    VALUES (new.id, old.state, new.state, old.attempt, new.attempt);
END;
CREATE TRIGGER deleted AFTER DELETE ON jobs BEGIN
    INSERT INTO moves (job_id, old, new, before, attempt)
    VALUES (old.id, old.state, NULL, old.attempt, old.attempt);
END;
"""

LATEST = "SELECT seq, job_id, old, new, before, attempt FROM moves WHERE seq > ? ORDER BY seq"

Row = tuple[int, int, str | None, str | None, int, int]
"""The number of a move, and what a `Move` has."""

Arrow = tuple[str | None, str | None]

# The table, as the contract has it (§2, §4, §8, §10), and by how much an arrow changes the number
# of attempts: one begins; or a stop, and nothing else, gives it back, as if it had never begun.
ARROWS: dict[Arrow, frozenset[int]] = {
    (None, "scheduled"): frozenset({0}),
    ("scheduled", "executing"): frozenset({1}),
    ("scheduled", "cancelled"): frozenset({0}),
    ("executing", "scheduled"): frozenset({-1}),
    ("executing", "retryable"): frozenset({0, -1}),
    ("executing", "completed"): frozenset({0}),
    ("executing", "discarded"): frozenset({0}),
    ("executing", "cancelled"): frozenset({0}),
    ("retryable", "executing"): frozenset({1}),
    ("retryable", "cancelled"): frozenset({0}),
    ("discarded", "retryable"): frozenset({0}),
    ("cancelled", "scheduled"): frozenset({0}),
    ("cancelled", "retryable"): frozenset({0}),
}


@dataclass(frozen=True, slots=True)
class Move:
    """A job's way from one state and number of attempts to another; None is not being there."""

    job_id: int
    old: str | None
    new: str | None
    before: int
    attempt: int

    def __str__(self) -> str:
        """Return the move as a trace tells it."""
        return f"job {self.job_id}: {self.old} {self.before} -> {self.new} {self.attempt}"


class Witness:
    """Look at a database after each commit, and at each request; tell what may not be."""

    def __init__(self) -> None:
        self.walked: Counter[Arrow] = Counter()
        self.is_stopping = False
        self._last = 0
        self._known: dict[int, tuple[str | None, int]] = {}
        self._begun: dict[int, int] = {}

    def look(self, read: Callable[[int], Sequence[Row]]) -> list[Move]:
        """Return the moves since the last look; `read` returns those behind a number."""
        rows = read(self._last)
        self._last = rows[-1][0] if rows else self._last
        return [Move(*row[1:]) for row in rows]

    def judge(self, move: Move) -> list[str]:
        """Return what is wrong with a move; it begins where the one before it ended."""
        arrow, by = (move.old, move.new), move.attempt - move.before
        known = self._known.get(move.job_id, (None, 0))
        self._known[move.job_id] = (move.new, move.attempt)
        self.walked[arrow] += 1
        if move.new == "executing":
            self._begun[move.job_id] = move.attempt
        is_on_table = by in ARROWS.get(arrow, ()) and (by != -1 or self.is_stopping)
        return [
            *([f"unseen before {move}: {known}"] if known != (move.old, move.before) else []),
            *([] if is_on_table else [f"off the table: {move}"]),
        ]

    def judge_sent(self, job_id: int, attempt: int) -> list[str]:
        """Return what is wrong with a request: each attempt that was begun is sent once."""
        if self._begun.pop(job_id, None) == attempt:
            return []
        return [f"sent without a claim: job {job_id}, attempt {attempt}"]

    def died(self) -> None:
        """Note that the process is gone: what it had begun it sends no more."""
        self.is_stopping = False
        self._begun.clear()
