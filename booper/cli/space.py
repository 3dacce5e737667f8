"""`booper prune` and `booper vacuum`: deleting old jobs at once, and giving the space back."""

from pathlib import Path

import click

from booper.cli.options import config_option, database_option, read


@click.command()
@config_option
@database_option
def prune(config_path: Path | None, database: str | None) -> None:
    """Delete old jobs now, by the settings in [retention].

    A running booper does so by itself, and goes on after this command has ended. A database of an
    older booper is pruned only after seven days, or from this command on.
    """
    from booper.cli.pruning import prune_now

    prune_now(read(config_path, database=database))


@click.command()
@config_option
@database_option
def vacuum(config_path: Path | None, database: str | None) -> None:
    """Write the database anew without its free space; stop booper before.

    A database of an older booper gives space back by itself from then on.
    """
    from booper.cli.pruning import vacuum_now

    vacuum_now(read(config_path, database=database))
