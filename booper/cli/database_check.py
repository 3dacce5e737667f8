"""`booper check --database`: reads the file beside whoever writes, and prints what is wrong."""

import sqlite3
from contextlib import closing
from pathlib import Path

import click

from booper.cli.text import printable
from booper.errors import BooperError
from booper.store.sqlite.backup import check_there, connect
from booper.store.sqlite.checking import check_all, check_integrity, check_references
from booper.store.sqlite.counters import recount
from booper.store.sqlite.damage import is_damage
from booper.store.sqlite.schema import migrations, read_version


def check_database(database: Path, *, repair: bool = False) -> None:
    """Check a database, and print a line for each problem; `repair` counts its jobs again first.

    Raises:
        StartError: there is no database, or none of this booper's.
        BooperError: it has problems, or cannot be read.
    """
    check_there(database)
    try:
        with closing(connect(database, "mode=ro")) as opened:
            version = read_version(opened, str(database))
            if repair and version == len(migrations()):
                with closing(connect(database, "mode=rw")) as writing:
                    recount(writing)
            problems = _problems(opened, is_newest=version == len(migrations()))
    except sqlite3.Error as error:
        if not is_damage(error):
            raise BooperError(f"cannot read {database}: {error}") from error
        problems, version = [str(error)], 0
    for problem in problems:
        click.echo(printable(problem))
    if problems:
        raise BooperError(
            f"{database} has problems; `booper restore` puts a backup in its place, "
            "and `sqlite3 FILE .recover` may save what is in it"
        )
    click.echo(f"{database} is fine (schema {version})")


def _problems(opened: sqlite3.Connection, *, is_newest: bool) -> list[str]:
    """Return the problems; of an older schema, only those that SQLite itself can tell."""
    if is_newest:
        return check_all(opened)
    return check_integrity(opened) or check_references(opened)
