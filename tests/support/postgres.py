"""A private PostgreSQL server for a test run, and databases on it that are one test's each.

A process that runs tests starts its own server when it first needs one, and ends with it.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final, LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from booper.store.base import Store
from booper.store.postgres.schema import migrate
from booper.store.postgres.store import open_store
from tests.support.keepers import keep

MISSING: Final = (
    "these tests need PostgreSQL 15 or newer, and there is no initdb on the PATH or in "
    "/usr/lib/postgresql/*/bin; on Debian: apt-get install postgresql"
)
USER: Final = "booper"
TEMPLATE: Final = "booper_template"
DEFAULT_SPACE: Final = "pg_default"
"""The tablespace in the server's own folder."""

SUFFIX: Final = ".postgres"
"""The ending of a file that has the name of a folder's database on the server."""

KEEPER: Final = """
trap '' INT HUP TERM
folder=$1 bin=$2 user=$3 options=$4
if "$bin/initdb" -D "$folder/data" -U "$user" -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
        >"$folder/log" 2>&1 &&
    "$bin/pg_ctl" start -w -D "$folder/data" -l "$folder/log" -o "$options" >>"$folder/log" 2>&1
then
    echo ready
    cat >/dev/null
    "$bin/pg_ctl" stop -D "$folder/data" -m immediate >/dev/null
else
    cat "$folder/log"
fi
rm -rf "$folder"
"""

# Nobody needs the data after a crash, and little memory may be free.
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": 200,
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
}


@contextmanager
def database(name: str = "", *, tablespace: str = DEFAULT_SPACE) -> Iterator[str]:
    """Make an empty database with booper's schema, and drop it at the end; yields its URL."""
    made = make_database(name, tablespace=tablespace)
    try:
        yield url_of(made)
    finally:
        drop_database(made)


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """Return the URL of an empty database with booper's schema."""
    with database() as url:
        yield url


def postgres(folder: Path) -> AbstractAsyncContextManager[Store]:
    """Open the PostgreSQL store of a folder; its database is dropped after the folder is gone."""
    return open_store(url_in(folder), Random(next(_SEEDS)))


def rows_of_postgres(folder: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Return what reads a folder's database beside its store: the rows of a query by columns."""

    def read(query: str) -> list[dict[str, Any]]:
        with psycopg.connect(url_in(folder), row_factory=dict_row) as opened:
            return opened.execute(query).fetchall()

    return read


def url_in(folder: Path, name: str = "booper.db") -> str:
    """Return the URL of a folder's database of this name, which is made where there is none."""
    file = folder / f"{name}{SUFFIX}"
    if not file.exists():
        _drop_left()
        file.write_text(make_database(), encoding="utf-8")
        _FOLDERS[file.read_text(encoding="utf-8")] = folder
    return url_of(file.read_text(encoding="utf-8"))


def rows_in(folder: Path, query: LiteralString) -> list[dict[str, Any]]:
    """Return the rows that a query finds in a folder's database, by their columns."""
    with psycopg.connect(url_in(folder), row_factory=dict_row) as connection:
        return connection.execute(query).fetchall()


def make_database(
    name: str = "", template: str = TEMPLATE, *, tablespace: str = DEFAULT_SPACE
) -> str:
    """Make a copy of a database, by default of an empty one with booper's schema; return its name.

    Nobody may be connected to the one that is copied.
    """
    made = name or f"test_{next(_NUMBERS)}"
    _make_template()
    _execute("CREATE DATABASE {} TEMPLATE {} TABLESPACE {}", made, template, tablespace)
    return made


def drop_database(name: str) -> None:
    """Drop a database, also while somebody is connected to it."""
    _execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def url_of(name: str) -> str:
    """Return the URL of a database on this process's server, whether it is there or not."""
    return f"postgresql://{USER}@127.0.0.1:{_server()}/{name}"


_NUMBERS = count(1)
# Two processes that open one store make different ids.
_SEEDS = count(1_000_000)
_FOLDERS: dict[str, Path] = {}
"""The folders of databases that are opened by folder."""


def _drop_left() -> None:
    """Drop the databases of folders that pytest has removed, as it does after a test."""
    for name in [name for name, folder in _FOLDERS.items() if not folder.exists()]:
        drop_database(name)
        del _FOLDERS[name]


@cache
def _make_template() -> None:
    """Make the database that others are copies of; nobody may connect to it afterwards."""
    _execute("CREATE DATABASE {}", TEMPLATE)
    with psycopg.connect(url_of(TEMPLATE), autocommit=True) as connection:
        migrate(connection)
    _execute("ALTER DATABASE {} ALLOW_CONNECTIONS false", TEMPLATE)


def _execute(statement: LiteralString, *names: str) -> None:
    """Execute a statement about databases, whose names it has as `{}`."""
    with psycopg.connect(url_of("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@cache
def _server() -> int:
    """Start the server of this process, and return its port."""
    folder_of_programs = str(programs())

    def arguments(folder: Path, port: int) -> list[str]:
        options = [f"-p {port}", *(f"-c {name}={str(it)!r}" for name, it in SETTINGS.items())]
        return [folder_of_programs, USER, " ".join(options)]

    return keep("PostgreSQL", KEEPER, arguments)


def programs() -> Path:
    """Return the folder of PostgreSQL's programs, of the newest version that is found."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: _number(file.parts[-3])
    )
    if found:
        return found[-1].parent
    if (on_path := shutil.which("initdb")) is not None:
        return Path(on_path).resolve().parent
    pytest.fail(MISSING, pytrace=False)


def _number(version: str) -> float:
    with suppress(ValueError):
        return float(version)
    return 0.0
