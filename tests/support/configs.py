"""Settings for tests that run several boopers."""

import os
from collections.abc import Callable
from enum import Enum
from itertools import count
from pathlib import Path

import pytest

from booper.config import Config, Database, Targets
from tests.support.databases import make_database
from tests.support.pgbouncer import pooled
from tests.support.postgres import url_in

Configs = Callable[[], Config]
"""Returns settings with a fresh database at each call."""


class Kind(Enum):
    """Where databases of tests are, as the variable BOOPER_TEST_STORE names it."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"
    PGBOUNCER = "pgbouncer"


STORE = Kind(os.environ.get("BOOPER_TEST_STORE", "sqlite"))
PREPARES = "BOOPER_TEST_PREPARES" in os.environ
"""Whether booper is told that PgBouncer is a server, which it is not."""

IS_OVER_POSTGRES = STORE is not Kind.SQLITE

over_a_file = pytest.mark.skipif(IS_OVER_POSTGRES, reason="it reads the SQLite file itself")

one_sends = pytest.mark.skipif(
    IS_OVER_POSTGRES, reason="each process sends there (tests/engine/test_programs.py)"
)


def fresh_config(path: Path, kind: Kind = STORE) -> Config:
    """Return settings with a fresh database at a path; every URL is an allowed target."""
    return Config(
        database=fresh_database(path, kind),
        targets=Targets(require_https=False, allow_private_networks=True),
    )


def fresh_database(path: Path, kind: Kind = STORE) -> Database:
    """Return a fresh database: a file at a path, or one of PostgreSQL where that is asked for.

    `BOOPER_TEST_STORE=postgres pytest tests/api` runs the tests of the API over PostgreSQL, and
    with `pgbouncer` through a pool of five connections.
    """
    match kind:
        case Kind.SQLITE:
            make_database(path)
            # Nothing here pulls the plug; syncing each commit would take a third of the time.
            return Database(path=str(path), durability="normal")
        case Kind.POSTGRES:
            return Database(path=str(path), url=url_in(path.parent, path.name))
        case Kind.PGBOUNCER:
            url = pooled(url_in(path.parent, path.name))
            return Database(path=str(path), url=url, pooled=not PREPARES)


def configs_in(folder: Path) -> Configs:
    """Return what makes settings, each time with a fresh database in a folder."""
    numbers = count(1)
    return lambda: fresh_config(folder / f"{next(numbers)}.db")
