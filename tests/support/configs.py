"""Settings for tests that run several boopers."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

from booper.config import Config, Database, Targets
from tests.support.databases import make_database

Configs = Callable[[], Config]
"""Returns settings with a fresh database at each call."""


def fresh_config(path: Path) -> Config:
    """Return settings with a fresh database at a path; every URL is an allowed target."""
    make_database(path)
    return Config(
        # Nothing here pulls the plug; syncing each commit would take a third of the time.
        database=Database(path=str(path), durability="normal"),
        targets=Targets(require_https=False, allow_private_networks=True),
    )


def configs_in(folder: Path) -> Configs:
    """Return what makes settings, each time with a fresh database in a folder."""
    numbers = count(1)
    return lambda: fresh_config(folder / f"{next(numbers)}.db")
