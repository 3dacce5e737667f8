"""A PostgreSQL server of a benchmark's own, which syncs each commit, and databases on it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from tests.benchmarks.processes import free_port
from tests.support.postgres import programs

USER: Final = "booper"
OWNER: Final = "postgres"
"""Who runs the server where the benchmark runs as root, which PostgreSQL refuses."""

SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
}


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run a server in an empty folder until the end of the block; yields the URL of it."""
    port, data, log = free_port(), folder / "data", folder / "log"
    owner = OWNER if os.geteuid() == 0 else None
    if owner is not None:
        folder.chmod(0o755)
        shutil.chown(folder, owner, owner)
    options = " ".join([f"-p {port}", *(f"-c {name}={it!r}" for name, it in SETTINGS.items())])

    def run(program: str, *arguments: str) -> None:
        command = [str(programs() / program), "-D", str(data), *arguments]
        subprocess.run(command, cwd="/", user=owner, group=owner, capture_output=True, check=True)

    run("initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    run("pg_ctl", "start", "-w", "-l", str(log), "-o", options)
    try:
        yield f"postgresql://{USER}@127.0.0.1:{port}"
    finally:
        run("pg_ctl", "stop", "-m", "immediate")


def pid_of(folder: Path) -> int:
    """Return the process of the server in a folder; all others of it are its children."""
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


@contextmanager
def database(url: str) -> Iterator[str]:
    """Make an empty database of a server until the end of the block; yields the URL of it."""
    _execute(url, "CREATE DATABASE {}", "benchmark")
    try:
        yield f"{url}/benchmark"
    finally:
        _execute(url, "DROP DATABASE {} WITH (FORCE)", "benchmark")


def _execute(url: str, statement: LiteralString, name: str) -> None:
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
