"""`booper migrate-store`: all of a database is moved to another kind of one, and compared."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from booper.errors import StartError

if TYPE_CHECKING:
    from booper.store.moving.mover import Moved


@click.command("migrate-store")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def migrate_store(source: str, target: str) -> None:
    """Move all of the database FROM to the new database TO; stop booper before.

    One of them is a SQLite file, the other the URL of a PostgreSQL database.
    FROM is only read. TO is compared with it at the end. If the command is interrupted, run it
    again: it goes on where it was.
    """
    try:
        from booper.store.moving.opening import is_url, opened  # SQLite needs no driver
    except ImportError as error:
        raise StartError(
            f"a database of PostgreSQL needs its driver ({error}): "
            "install it with pip install 'booper[postgres]'"
        ) from error
    from booper.store.moving.mover import begin, move, size_of

    if is_url(source) is is_url(target):
        raise click.UsageError(
            "one of FROM and TO must be a SQLite file, and the other a URL (postgresql://…)"
        )
    with opened(source, target) as (ours, theirs):
        if not begin(ours, theirs):
            click.echo(f"{ours.shown} was moved to {theirs.shown} before; nothing is to be done")
            return
        with click.progressbar(
            length=size_of(ours), label=f"Moving to {theirs.shown}", file=sys.stderr
        ) as bar:
            moved = move(ours, theirs, bar.update)
        _print_moved(moved, ours.shown, theirs.shown)


def _print_moved(moved: Sequence["Moved"], source: str, target: str) -> None:
    for table in moved:
        if table.rows:
            click.echo(f"{table.name:10} {table.rows:>12,} rows, equal")
    click.echo(
        f"{source} is moved to {target}. Start booper with {target} from now on; started with "
        f"{source}, it would send the same jobs again."
    )
