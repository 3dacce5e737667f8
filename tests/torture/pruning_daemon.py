"""`booper serve` that notes each transaction of the pruner in `pruned.log` of its folder.

A line has its seconds, its seconds of CPU time, the instructions of SQLite's virtual machine, how
many rows it deleted (none where it gave free space back), and 1 if it is a checkpoint, else 0. With
`PRUNED_ROWS` in the environment one deletes that many rows, which no setting allows.
"""

import os
import sys
from collections.abc import Sequence
from time import perf_counter, thread_time

from booper.cli import main
from booper.engine import pruner
from booper.store.sqlite import changes, pruning, writer
from booper.store.sqlite.changes import Change, Outcome
from booper.store.sqlite.transaction import SQLiteTransaction
from booper.store.values import Pruned
from tests.torture.work import instructions

LOG = "pruned.log"
ROWS = "PRUNED_ROWS"


def watch() -> None:
    """Put the notes around the transactions."""
    commit_together = changes.commit_together
    log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def commit(group: Sequence[Change], connection: SQLiteTransaction) -> list[Outcome]:
        if not any(change.is_patient for change in group):
            return commit_together(group, connection)
        began, cpu_began = perf_counter(), thread_time()
        with instructions(connection) as used:
            outcomes = commit_together(group, connection)
        took, cpu = perf_counter() - began, thread_time() - cpu_began
        rows = sum(result.rows for _, result, _ in outcomes if isinstance(result, Pruned))
        is_checkpoint = all(change.is_statement for change in group)
        text = f"{took:.6f} {cpu:.6f} {used.count} {rows} {is_checkpoint:d}\n"
        os.write(log, text.encode())
        return outcomes

    setattr(writer, "commit_together", commit)  # noqa: B010 - the writer has imported it


def enlarge(rows: int) -> None:
    """Delete so many rows by one transaction, however large they are."""
    vars(pruner).update(MAX_ROWS=rows, MAX_BYTES=rows * pruner.MAX_BYTES)
    vars(pruning).update(WINDOW=rows, MAX_LOOKED=rows, MAX_FOUND=rows)


if __name__ == "__main__":
    watch()
    if ROWS in os.environ:
        enlarge(int(os.environ[ROWS]))
    sys.exit(main())
