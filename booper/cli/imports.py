"""`booper import`: schedules from what other programs have."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from booper.cli.groups import Group
from booper.cli.remote import client_command_at
from booper.cli.run import METHODS

if TYPE_CHECKING:
    from booper.cli.output import Output

_TYPE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)


@click.group("import", cls=Group)
def imports() -> None:
    """Make schedules from a crontab."""


@imports.command()
@click.argument("file", type=_TYPE)
@click.option(
    "--url",
    "template",
    metavar="TEMPLATE",
    required=True,
    help="The URL to send each line's request to; {command}, {name} and {user} stand for parts of "
    "the line.",
)
@click.option(
    "--method", type=click.Choice(METHODS), default="post", show_default=True, help="The method."
)
@click.option(
    "--header", "-H", multiple=True, metavar="NAME:VALUE", help="A header (can be repeated)."
)
@click.option(
    "--timezone",
    metavar="ZONE",
    help="The zone of lines without CRON_TZ or TZ.  [default: that of this machine]",
)
@click.option("--system", "has_users", is_flag=True, help="Lines name a user before the command.")
@click.option(
    "--prefix",
    default="crontab",
    show_default=True,
    help="What the idempotency keys begin with; another one for each crontab that is imported.",
)
@click.option("--skip-bad", is_flag=True, help="Import the other lines where some cannot be.")
@click.option("--dry-run", is_flag=True, help="Show what would be made, and make nothing.")
@client_command_at("--server")
def crontab(
    out: "Output",
    file: Path,
    template: str,
    method: str,
    header: tuple[str, ...],
    timezone: str | None,
    has_users: bool,
    prefix: str,
    skip_bad: bool,
    dry_run: bool,
) -> None:
    """Make a schedule of each line of the crontab FILE, or of - (standard input).

    Its request has the line's command in a JSON body: booper runs no commands. Importing a crontab
    again changes the schedules whose lines have changed, and no others.

    If one line cannot be imported, nothing is made, unless --skip-bad is given.
    """
    from booper.cli.crontab import import_crontab
    from booper.cli.crontab_lines import Wanted, read_file
    from booper.cli.typed import split_pairs

    wanted = Wanted(
        template=template,
        method=method,
        headers=split_pairs("--header", header, ":") if header else {},
        timezone=timezone,
        prefix=prefix,
    )
    found = read_file(file, has_users=has_users)
    import_crontab(out, found, wanted, skips_bad=skip_bad, is_dry=dry_run)
