"""A million rows are deleted beside 200 jobs a second, and hold up neither jobs nor creates.

Each pair of rounds is over the same file: one deletes what is old, the other keeps it. Checkpoints
are no transactions: they are shown apart, and show in the lateness if they are too long.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks import load
from tests.benchmarks.daemon import serving
from tests.benchmarks.fill import fill
from tests.benchmarks.jobs import MOMENT, microseconds
from tests.benchmarks.runner import percentile
from tests.benchmarks.target import Target, running
from tests.torture.line import Line, Size, line
from tests.torture.pruning_daemon import LOG, ROWS

DAEMON = "tests.torture.pruning_daemon"
PER_SECOND = 200
CONNECTIONS = 16
PATIENCE_SECONDS = 30.0

KEEP_ALL = """
[retention]
completed = "forever"
"""

AGE = 40 * 86_400_000_000
MAKE_OLD = f"""
UPDATE jobs SET inserted_at = inserted_at - {AGE}, scheduled_at = scheduled_at - {AGE},
    planned_at = planned_at - {AGE}, attempted_at = attempted_at - {AGE},
    completed_at = completed_at - {AGE}
"""

MAX_RATIO = 1.25
MAX_MILLISECONDS = 20.0
MAX_WORK = 120_000
"""Instructions of one transaction, which take that long: in short they are counted, not timed."""


@dataclass(frozen=True, slots=True)
class Form:
    """How many old jobs there are (each is two rows), and how many pairs of rounds."""

    jobs: int
    pairs: int
    seconds: int
    rows: int


LONG = Form(jobs=560_000, pairs=5, seconds=24, rows=1_000_000)
SHORT = Form(jobs=20_000, pairs=1, seconds=3, rows=1_000)


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds that 99 of a hundred jobs were late at most, and creates took."""

    late: float
    create: float


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction of the pruner's, which without rows gives free space back, or a checkpoint."""

    milliseconds: float
    cpu_milliseconds: float
    work: int
    rows: int
    is_checkpoint: bool


def measure(size: Size, batch: int | None = None) -> Line:
    """Run pairs of rounds; `batch` is how many rows a transaction deletes in place of its own."""
    form = size.pick(LONG, SHORT)
    with TemporaryDirectory() as name, running() as target, _deleting(batch):
        folder = Path(name)
        fill(folder, target, finished=form.jobs)
        with closing(sqlite3.connect(folder / "booper.db")) as connection, connection:
            connection.execute(MAKE_OLD)
        pairs = [_pair(folder, target, form) for _ in range(form.pairs)]
        steps = _steps(folder)
    return _judged(size, form, pairs, steps)


@contextmanager
def _deleting(batch: int | None) -> Iterator[None]:
    """Have the daemons that are started meanwhile delete so many rows at once."""
    if batch is not None:
        os.environ[ROWS] = str(batch)
    try:
        yield
    finally:
        os.environ.pop(ROWS, None)


def _pair(folder: Path, target: Target, form: Form) -> tuple[Round, Round]:
    """Return a round that deletes, and one that does not."""
    return _round(folder, target, form, ""), _round(folder, target, form, KEEP_ALL)


def _round(folder: Path, target: Target, form: Form, settings: str) -> Round:
    count = form.seconds * PER_SECOND
    with serving(folder, target, DAEMON, settings) as daemon:
        creates = daemon.create_load(
            count,
            CONNECTIONS,
            due=microseconds() + MOMENT,
            step=1_000_000 // PER_SECOND,
            rate=PER_SECOND,
        )
        process = load.start(creates)
        arrived = target.wait(count, form.seconds + PATIENCE_SECONDS)
        created = load.finish(process)
    late = [(arrival.at - arrival.due) / 1_000 for arrival in arrived]
    return Round(percentile(late, 99), percentile(created.milliseconds, 99))


def _steps(folder: Path) -> list[Step]:
    """Return what the daemons have noted."""
    lines = [text.split() for text in (folder / LOG).read_text().splitlines()]
    return [
        Step(float(took) * 1_000, float(cpu) * 1_000, int(work), int(rows), last == "1")
        for took, cpu, work, rows, last in lines
    ]


def _judged(
    size: Size, form: Form, pairs: Sequence[tuple[Round, Round]], steps: Sequence[Step]
) -> Line:
    late = median(pruned.late / kept.late for pruned, kept in pairs)
    create = median(pruned.create / kept.create for pruned, kept in pairs)
    done = [step for step in steps if not step.is_checkpoint]
    longest = percentile([step.milliseconds for step in done], 99.9)
    rows, work = sum(step.rows for step in done), max(step.work for step in done)
    faults = [f"only {rows:,} rows"] if rows < form.rows else []
    if work > MAX_WORK:
        faults.append(f"a transaction of {work:,} instructions, more than {MAX_WORK:,}")
    if size is Size.LONG:
        faults += [
            f"{what} is {is_:.3g}, more than {most}"
            for what, is_, most in (
                ("lateness p99", late, MAX_RATIO),
                ("create p99", create, MAX_RATIO),
                ("p99.9 of transactions", longest, MAX_MILLISECONDS),
            )
            if is_ > most
        ]
    shown = ", ".join(f"{it.late:.1f}/{it.create:.1f}" for pair in pairs for it in pair)
    figure = (
        f"{rows:,} rows deleted; {_figure(done, 'transactions')}, at most {work:,} instructions; "
        f"{_figure([step for step in steps if step.is_checkpoint], 'checkpoints')}; lateness p99 "
        f"{late:.2f} and create p99 {create:.2f} times as long as without (ms, with and without by "
        f"turns: {shown})"
    )
    return line("pruning", figure, faults)


def _figure(steps: Sequence[Step], what: str) -> str:
    if not steps:
        return f"no {what}"
    longest = percentile([step.milliseconds for step in steps], 99.9)
    cpu = percentile([step.cpu_milliseconds for step in steps], 99.9)
    return f"{len(steps):,} {what}, p99.9 {longest:.1f} ms ({cpu:.1f} ms of CPU)"
