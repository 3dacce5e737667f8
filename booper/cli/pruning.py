"""What `booper prune` and `booper vacuum` do: through the daemon, or on the file if none runs."""

import asyncio
from pathlib import Path
from random import SystemRandom

import click

from booper.cli.daemon import check_there, daemon_of
from booper.clock import SystemClock
from booper.config import Config
from booper.databases import opened, shown, sqlite_path
from booper.store.sqlite.vacuum import vacuum
from booper.upkeep import upkeep_of


def prune_now(config: Config) -> None:
    """Delete old jobs; of a database that is served, leave that to the daemon."""
    click.echo(asyncio.run(_prune(config)))


def vacuum_now(config: Config) -> None:
    """Write a database that nobody serves anew, and print what that has brought."""
    database = sqlite_path(config, "booper vacuum")
    check_there(database)
    before, after = vacuum(database)
    click.echo(f"{database} has {after:,} bytes now; it had {before:,}")


async def _prune(config: Config) -> str:
    if not config.database.url:
        database = Path(config.database.path)
        check_there(database)
        async with daemon_of(database) as daemon:
            if daemon is not None:
                await daemon.prune()
                return "booper is running, and deletes old jobs from now on"
    async with opened(config, SystemRandom()) as store:
        upkeep = upkeep_of(config, store, SystemClock())
        pruner = upkeep.pruner
        await pruner.begin()
        await pruner.prune()
        space = await upkeep.space.keep()
        return (
            f"{pruner.status.jobs:,} jobs are deleted; {space.used:,} of the {space.size:,} bytes "
            f"of {shown(config)} are used"
        )
