"""The commands that look after a database and the configuration: `backup` and `check`."""

from pathlib import Path

import click

from booper.cli.options import config_option, database_option, read


@click.command()
@config_option
def check(config_path: Path | None) -> None:
    """Check the configuration, and show what is wrong with it."""
    from booper.origins import ways_of

    ways_of(read(config_path), ())
    click.echo(f"{config_path} is fine" if config_path else "no file given; the defaults are fine")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@config_option
@database_option
def backup(file: Path, force: bool, config_path: Path | None, database: str | None) -> None:
    """Copy the database to FILE, whether booper is running or not."""
    from booper.cli.backup import write

    write(read(config_path, database=database), file, overwrite=force)
