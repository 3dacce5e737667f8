"""Options that commands share, and the configuration that is read by them."""

from pathlib import Path
from typing import Any

import click

from booper.cli.settings import read_settings
from booper.config import Config

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="BOOPER_CONFIG",
    show_envvar=True,
    help="The TOML file with the settings.",
)
database_option = click.option("--database", help="The database file.  [default: booper.db]")


def read(
    path: Path | None,
    *,
    host: tuple[str, ...] | None = None,
    port: int | None = None,
    database: str | None = None,
    copy_before_upgrade: bool | None = None,
) -> Config:
    """Return the configuration, with options over it; None leaves a setting.

    Raises:
        ConfigError: it is wrong.
    """
    overrides: dict[str, dict[str, Any]] = {
        "server": {"host": host, "port": port},
        "database": {"path": database, "copy_before_upgrade": copy_before_upgrade},
    }
    return read_settings(path, overrides)
