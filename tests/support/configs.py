"""Settings for tests that run several boopers."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from booper.config import Config, Database, Targets
from tests.support.databases import make_database
from tests.support.postgres import url_in

Configs = Callable[[], Config]
"""Returns settings with a fresh database at each call."""


IS_OVER_POSTGRES = os.environ.get("BOOPER_TEST_STORE") == "postgres"

over_a_file = pytest.mark.skipif(IS_OVER_POSTGRES, reason="it reads the SQLite file itself")


def fresh_config(path: Path) -> Config:
    """Return settings with a fresh database at a path; every URL is an allowed target."""
    return Config(
        database=_fresh_database(path),
        targets=Targets(require_https=False, allow_private_networks=True),
    )


def _fresh_database(path: Path) -> Database:
    """Return a fresh database: a file at a path, or one of PostgreSQL where that is asked for.

    `BOOPER_TEST_STORE=postgres pytest tests/api` runs the tests of the API over PostgreSQL.
    """
    if IS_OVER_POSTGRES:
        return Database(path=str(path), url=url_in(path.parent, path.name))
    make_database(path)
    # Nothing here pulls the plug; syncing each commit would take a third of the time.
    return Database(path=str(path), durability="normal")


def configs_in(folder: Path) -> Configs:
    """Return what makes settings, each time with a fresh database in a folder."""
    numbers = count(1)
    return lambda: fresh_config(folder / f"{next(numbers)}.db")
