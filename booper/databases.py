"""Opening the database that the settings name: a SQLite file, or one of PostgreSQL by its URL."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

from booper.clock import Clock, SystemClock
from booper.config import Config
from booper.database_clock import DatabaseClock
from booper.errors import ConfigError, StartError
from booper.fence import Fence
from booper.store.base import Store
from booper.store.limits import NO_LIMITS, Limits
from booper.store.sqlite import open_store
from booper.upkeep import before_upgrade


def opened(
    config: Config,
    random: Random,
    *,
    durability: str | None = None,
    limits: Limits = NO_LIMITS,
    fence: Fence | None = None,
    clock: Clock | None = None,
) -> AbstractAsyncContextManager[Store]:
    """Return the store of the settings, to be entered; it is made and migrated where needed.

    `durability` is another one than the settings' for a SQLite file. `fence` is kept where this
    process may send: other nodes of PostgreSQL take over what one has claimed that is gone.
    `clock` is the one by which it serves; that of `clock_of` is kept right.

    Raises:
        StartError: the database cannot serve, or the driver of PostgreSQL is not installed.
    """
    if not config.database.url:
        return open_store(
            Path(config.database.path),
            durability or config.database.durability,
            random,
            limits,
            before_upgrade(config),
        )
    try:
        from booper.store.postgres import open_store as open_postgres  # SQLite needs no driver
    except ImportError as error:
        raise StartError(
            f"[database] url needs the driver of PostgreSQL ({error}): "
            "install it with pip install 'booper[postgres]'"
        ) from error
    listen_url, prepares = _listen_url(config, clock), not config.database.pooled
    return open_postgres(
        config.database.url, random, limits, fence, clock, prepares=prepares, listen_url=listen_url
    )


def _listen_url(config: Config, clock: Clock | None) -> str | None:
    """Return by which URL a node hears the others, None where it does not.

    A pooler would not let it, one with another clock is the only node, a command is none for long.
    """
    if not isinstance(clock, DatabaseClock):
        return None
    direct = None if config.database.pooled else config.database.url
    return config.database.listen_url or direct


def clock_of(config: Config) -> Clock:
    """Return the clock by which a process serves the database: several have one time in all."""
    return DatabaseClock() if config.database.url else SystemClock()


def sqlite_path(config: Config, purpose: str) -> Path:
    """Return the path of the SQLite file, for what works on files alone.

    Raises:
        ConfigError: the settings name a database of PostgreSQL.
    """
    if config.database.url:
        raise ConfigError(
            f"{purpose} is for a SQLite file, and [database] url names a database of PostgreSQL; "
            "use the tools of PostgreSQL, such as pg_dump, pg_restore and vacuumdb"
        )
    return Path(config.database.path)


def shown(config: Config) -> str:
    """Return the name of the database as it may be shown: a path, or a URL without its password."""
    if not config.database.url:
        return config.database.path
    from booper.store.postgres.schema import shown as shown_url  # SQLite needs no driver

    return shown_url(config.database.url)
