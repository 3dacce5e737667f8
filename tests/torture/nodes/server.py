"""What is done to the PostgreSQL server of this process, and to the pooler before it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.support.keepers import OWNER
from tests.support.pgbouncer import POOL_SIZE, pooled
from tests.support.postgres import url_of
from tests.torture.line import NotMeasured
from tests.torture.nodes.cluster import pause

RESTART_SECONDS: Final = 60.0
READ_ONLY_SECONDS: Final = 5.0
"""Longer than a lease."""

POOL_SECONDS: Final = 6.5
"""Longer than a lease, and than a node waits for a connection."""

FULL_SECONDS: Final = 2.0

DISK: Final = "small"
DISK_MEGABYTES: Final = 2_048
MAX_TRIES: Final = 100

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


def take_pool(url: str) -> None:
    """Take all connections of a database's pool by transactions of others, for a while."""
    with ExitStack() as stack:
        for _ in range(POOL_SIZE):
            other = psycopg.connect(pooled(url), autocommit=True, prepare_threshold=None)
            stack.enter_context(closing(other)).execute("BEGIN")
        pause(POOL_SECONDS)


def fill_disk() -> None:
    """Have no room left on the disk of `small_disk`, for a while."""
    place = _disk()
    for _ in range(MAX_TRIES):  # the server writes to it meanwhile
        found = os.statvfs(place)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        if not _mount("-o", f"remount,size={used}", str(place)):
            break
    else:
        raise NotMeasured("a disk cannot be filled that is written to")
    pause(FULL_SECONDS)
    _mount("-o", f"remount,size={DISK_MEGABYTES}m", str(place))


@contextmanager
def small_disk() -> Iterator[str]:
    """Have a disk until the end of the block; yields its tablespace. Raises: NotMeasured."""
    place = _disk()
    place.mkdir()
    try:
        if said := _mount("-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "none", str(place)):
            raise NotMeasured(f"a tmpfs cannot be mounted: {said}")
        try:
            shutil.chown(place, OWNER, OWNER)
            with _administrator() as connection:
                connection.execute(f"CREATE TABLESPACE {DISK} LOCATION '{place}'".encode())
            try:
                yield DISK
            finally:
                with _administrator() as connection:
                    connection.execute(f"DROP TABLESPACE {DISK}".encode())
        finally:
            subprocess.run(["umount", str(place)], check=True)
    finally:
        place.rmdir()


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


def _disk() -> Path:
    return Path(_places()[0]).parent / DISK


def _mount(*arguments: str) -> str:
    """Mount, and return what went wrong."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    return done.stderr.strip() or str(done.returncode) if done.returncode else ""


def _places() -> tuple[str, str]:
    """Return the folder of the server's data, and that of its programs."""
    with _administrator() as connection:
        [(folder, programs)] = connection.execute(PLACES)
    return folder, programs


def _restart(mode: str) -> None:
    folder, programs = _places()
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
