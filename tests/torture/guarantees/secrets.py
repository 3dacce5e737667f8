"""Secrets stay out of all that a booper leaves behind, backups too, however it ended."""

import signal
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.processes import Daemon, run
from tests.torture.line import Line, Size, line
from tests.whole.test_secrets import (
    CANARIES,
    test_no_error_of_a_job_repeats_its_secrets,
    test_no_key_and_no_webhook_secret_stands_in_a_file,
    test_no_secret_stands_in_the_log_of_the_process,
    test_secret_headers_stand_in_no_stored_log_entry,
    troubled,
)

CHECKS = (
    test_no_secret_stands_in_the_log_of_the_process,
    test_no_key_and_no_webhook_secret_stands_in_a_file,
    test_secret_headers_stand_in_no_stored_log_entry,
    test_no_error_of_a_job_repeats_its_secrets,
)
ENDS = (signal.SIGKILL, signal.SIGTERM)  # the first leaves the write-ahead log behind
BACKUP = "booper.db.backup"  # among the files that are searched for keys
HEADERS = [CANARIES[place] for place in ("authorization", "cookie", "header")]


def measure(size: Size) -> Line:
    """Look at what is left after a stop and after a kill (in short after a kill)."""
    ends = ENDS[: size.pick(2, 1)]
    faults = [f"{end.name}: {fault}" for end in ends for fault in _left_by(end)]
    figure = (
        f"{len(CANARIES)} kinds of secrets, keys and a webhook secret, booper ended by "
        f"{' and '.join(end.name for end in ends)}: in no log, no error, no file beyond the "
        f"jobs' own fields; database and backup 0600"
    )
    return line("secrets", figure, faults)


def _left_by(end: signal.Signals) -> list[str]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        with troubled(folder) as daemon:
            assert run(folder, "backup", BACKUP).returncode == 0
            daemon.tell(end)
            daemon.wait_exit()
        return [*_broken(daemon), *_readable(folder), *_kept(folder / BACKUP)]


def _broken(daemon: Daemon) -> Iterator[str]:
    """Yield what the normal tests find."""
    for check in CHECKS:
        try:
            check(daemon)
        except AssertionError as error:
            yield f"{check.__name__}: {error}"


def _readable(folder: Path) -> Iterator[str]:
    """Yield the files of the database that others may open."""
    for path in folder.glob("booper.db*"):
        if stat.S_IMODE(path.stat().st_mode) != 0o600:
            yield f"{path.name} is not its owner's alone"


def _kept(backup: Path) -> Iterator[str]:
    """Yield the columns that hold a secret header, but for the one it is sent from."""
    with closing(sqlite3.connect(backup)) as database:
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            rows = database.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in rows.description]
            for row in rows:
                held = [name for name, value in zip(columns, row, strict=True) if _is_secret(value)]
                if held not in ([], ["args"]):
                    yield f"{table} holds a secret header in {held}"


def _is_secret(value: object) -> bool:
    return any(secret in str(value) for secret in HEADERS)
