"""Opening the database that the settings name: a SQLite file, or one of PostgreSQL by its URL."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

from booper.config import Config
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
) -> AbstractAsyncContextManager[Store]:
    """Return the store of the settings, to be entered; it is made and migrated where needed.

    `durability` is another one than the settings' for a SQLite file. `fence` is kept where this
    process may send: other nodes of PostgreSQL take over what one has claimed that is gone.

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
    url, prepares = config.database.url, not config.database.pooled
    return open_postgres(url, random, limits, fence, prepares=prepares)


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
