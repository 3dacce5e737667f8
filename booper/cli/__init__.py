"""The command line: what runs booper or works on its files; `remote.py` has the client commands.

Commands read options and print; what they do is done elsewhere. Every expected error is one line
on standard error: exit 2 for a wrong command line or configuration, exit 1 for the rest.
Ctrl-C needs no line.
"""

import os
import sys
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from booper import __version__
from booper.cli import remote, streams
from booper.cli.docs import docs
from booper.cli.groups import Group
from booper.cli.history import audit, why
from booper.cli.imports import imports
from booper.cli.jobs import jobs
from booper.cli.logs import logs
from booper.cli.metrics import metrics
from booper.cli.migrate_store import migrate_store
from booper.cli.options import config_option, database_option, read
from booper.cli.pauses import breakers, pause, resume
from booper.cli.remote import json_option
from booper.cli.run import run
from booper.cli.schedules import schedules
from booper.cli.space import prune, vacuum
from booper.cli.text import printable
from booper.cli.upkeep import backup, check, restore
from booper.errors import BooperError, StartError
from booper.model.key import check_name

# 128 and the number of SIGINT, as in a shell: it says nothing of what was waited for.
_INTERRUPTED = 130


class Commands(Group):
    """A group whose commands end in one line when something expected goes wrong."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line; output that cannot be written is a line too."""
        streams.prepare()
        try:
            return super().main(*args, **extra)
        except streams.UnwritableError as error:
            streams.end_unwritable(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of booper's own becomes a line and an exit code."""
        try:
            return super().invoke(ctx)
        except BooperError as error:
            click.echo(printable(f"booper: {error}"), err=True)
            sys.exit(error.exit_code if isinstance(error, StartError) else 1)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the client commands apart from those that need no running booper."""
        for title, is_remote in (("Commands", False), ("Commands for a running booper", True)):
            names = [name for name in self.list_commands(ctx) if (name in _REMOTE) is is_remote]
            room = formatter.width - 6 - max(map(len, names))
            with formatter.section(title):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(room)) for name in names]
                )


@click.group(cls=Commands)
@click.version_option(__version__, message="booper %(version)s")
def main() -> None:
    """Schedule HTTP requests: post one now, and it is sent at its time.

    `booper serve` starts the scheduler, and `booper docs` shows the reference.
    """
    # The database, its log and its socket are nobody else's to read.
    os.umask(0o077)


@main.command()
@config_option
@click.option(
    "--host",
    "hosts",
    multiple=True,
    envvar="BOOPER_HOST",
    show_envvar=True,
    help="An address to listen on (can be repeated); :: means all of IPv4 and IPv6.  "
    "[default: 127.0.0.1]",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="The port to listen on.  [default: 2667]"
)
@database_option
@click.option("--no-copy", is_flag=True, help="Upgrade an older database without a copy of it.")
def serve(
    config_path: Path | None,
    hosts: tuple[str, ...],
    port: int | None,
    database: str | None,
    no_copy: bool,
) -> None:
    """Run the scheduler and its API until Ctrl-C or SIGTERM.

    If BOOPER_API_KEY is set, that key works. Otherwise the first start makes a key. It is shown on
    a terminal; without a terminal it is written to DATABASE.first-key.
    """
    from booper.cli.serve import run as run_daemon  # what serving needs is slow to import

    settings = partial(
        read,
        config_path,
        host=hosts or None,
        port=port,
        database=database,
        copy_before_upgrade=False if no_copy else None,
    )
    run_daemon(settings, os.environ.get("BOOPER_API_KEY") or None)


@main.command()
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=("127.0.0.1",),
    show_default=True,
    help="An address to listen on (can be repeated); whoever reaches it knows the key.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=2667,
    show_default=True,
    help="The port to listen on.",
)
@click.option("--database", help="Store jobs in this file.  [default: nothing is stored]")
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="FROM=TO",
    help="Send the requests for an origin elsewhere, such as https://api.example.com=http://localhost:3000",
)
@click.option("--freeze", is_flag=True, help="Stop the clock; it moves only when you move it.")
@click.option("--console/--no-console", default=True, help="Show each job.  [default: console]")
@config_option
def dev(
    hosts: tuple[str, ...],
    port: int,
    database: str | None,
    maps: tuple[str, ...],
    freeze: bool,
    console: bool,
    config_path: Path | None,
) -> None:
    """Run a local booper for development, with a clock that you move.

    Every target is allowed. The published key works, https://scheduler.booper.dev leads to booper
    itself, and /dev/sink/ is a target that records requests. Nothing is stored unless --database is
    given. A configuration file sets how requests are signed, sent and retried; its other settings
    are ignored.
    """
    from booper.cli.dev import run as run_bench  # what serving needs is slow to import

    given = read(config_path)
    run_bench(given, hosts, port, database, maps, is_frozen=freeze, is_shown=console)


@main.command()
@click.argument("unit", type=click.Choice(["service", "socket"]), required=False)
@click.option("--user", help="The user to run as.  [default: one that systemd makes]")
@config_option
def systemd(unit: str | None, user: str | None, config_path: Path | None) -> None:
    """Print the systemd units of a booper service, or one UNIT of them."""
    from booper.cli.systemd import show

    show(read(config_path), config_path, unit, user)


@main.group(cls=Group)
def keys() -> None:
    """Manage API keys, on the machine that booper runs on."""


def _checked_name(ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """Return the name of a key or a user. Raises: BadParameter, which names what is wrong."""
    try:
        return text if text is None else check_name(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@keys.command("create")
@click.argument("name", callback=_checked_name)
@click.option(
    "--user",
    callback=_checked_name,
    help="The user it belongs to; created if unknown.  [default: the first user]",
)
@click.option(
    "--scope",
    type=click.Choice(["read", "write", "admin"]),
    default="write",
    show_default=True,
    help="What it may do; each scope includes the ones before it.",
)
@config_option
@database_option
@json_option
def create_key(
    name: str,
    user: str | None,
    scope: Literal["read", "write", "admin"],
    config_path: Path | None,
    database: str | None,
    is_json: bool,
) -> None:
    """Create an API key called NAME and show it, once."""
    from booper.cli.keys import create

    create(read(config_path, database=database), name, user, scope, is_json=is_json)


@keys.command("list")
@config_option
@database_option
@json_option
def list_keys(config_path: Path | None, database: str | None, is_json: bool) -> None:
    """List all API keys."""
    from booper.cli.keys import list_all

    list_all(read(config_path, database=database), is_json=is_json)


@keys.command("revoke")
@click.argument("key")
@config_option
@database_option
@json_option
def revoke_key(key: str, config_path: Path | None, database: str | None, is_json: bool) -> None:
    """Revoke an API key, given by its id or its name."""
    from booper.cli.keys import revoke

    revoke(read(config_path, database=database), key, is_json=is_json)


# The same command, listed apart from it (contract §9).
_OLDER_RUN = copy(run)
_OLDER_RUN.short_help = "The older name of `booper run`."
_REMOTE = {
    "audit": audit,
    "breakers": breakers,
    "create": _OLDER_RUN,
    "import": imports,
    "jobs": jobs,
    "logs": logs,
    "nodes": remote.nodes,
    "pause": pause,
    "resume": resume,
    "run": run,
    "schedules": schedules,
    "status": remote.status,
    "why": why,
}
for name, command in _REMOTE.items():
    main.add_command(command, name)
main.add_command(remote.demo)
for command in (backup, check, docs, metrics, migrate_store, prune, restore, vacuum):
    main.add_command(command)
