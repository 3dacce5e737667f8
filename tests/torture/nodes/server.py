"""What is done to the PostgreSQL server of this process."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.support.keepers import OWNER
from tests.support.postgres import url_of
from tests.torture.nodes.cluster import pause

RESTART_SECONDS: Final = 60.0
READ_ONLY_SECONDS: Final = 6.0
"""Longer than a lease."""

PLACES: Final = """
SELECT current_setting('data_directory'), (SELECT setting FROM pg_config WHERE name = 'BINDIR')
"""
TERMINATE: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
READ_ONLY: Final = "ALTER SYSTEM SET default_transaction_read_only = on"
WRITABLE: Final = "ALTER SYSTEM RESET default_transaction_read_only"
LAZY: Final = (
    "ALTER SYSTEM SET wal_writer_delay = '10s'",
    "ALTER SYSTEM SET wal_writer_flush_after = '1GB'",
    "ALTER SYSTEM SET bgwriter_lru_maxpages = 0",
)
PROMPT: Final = (
    "ALTER SYSTEM RESET wal_writer_delay",
    "ALTER SYSTEM RESET wal_writer_flush_after",
    "ALTER SYSTEM RESET bgwriter_lru_maxpages",
)
RELOAD: Final = "SELECT pg_reload_conf()"


def restart() -> None:
    """Restart the server as its administrator does."""
    _restart("fast")


def crash() -> None:
    """Have the server end at once, as in a crash of it, and recover."""
    _restart("immediate")


def terminate() -> None:
    """Cut all connections."""
    with _administrator() as connection:
        connection.execute(TERMINATE)


def make_read_only() -> None:
    """Refuse all that writes, for a while."""
    with _administrator() as connection:
        connection.execute(READ_ONLY)
        connection.execute(RELOAD)
        pause(READ_ONLY_SECONDS)
        connection.execute(WRITABLE)
        connection.execute(RELOAD)


@contextmanager
def lazy() -> Iterator[None]:
    """Have the server write its log late, if nobody waits for it, until the end of the block."""
    with _administrator() as connection:
        for setting in LAZY:
            connection.execute(setting)
        connection.execute(RELOAD)
    try:
        yield
    finally:
        with _administrator() as connection:
            for setting in PROMPT:
                connection.execute(setting)
            connection.execute(RELOAD)


@contextmanager
def _administrator() -> Iterator[psycopg.Connection[Any]]:
    options = "-c default_transaction_read_only=off"
    with psycopg.connect(url_of("postgres"), autocommit=True, options=options) as connection:
        yield connection


def _restart(mode: str) -> None:
    with _administrator() as connection:
        row = connection.execute(PLACES).fetchone()
    assert row is not None
    folder, programs = row
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = {"user": OWNER, "group": OWNER, "extra_groups": []}
    log = Path(folder).parent / "log"
    subprocess.run(
        [f"{programs}/pg_ctl", "restart", "-w", "-D", folder, "-m", mode, "-l", str(log)],
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=RESTART_SECONDS,
        **owner,
    )
