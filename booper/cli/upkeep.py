"""The commands that look after a database: `backup`, `restore` and `check`."""

from pathlib import Path

import click

from booper.cli.options import config_option, database_option, read


@click.command()
@config_option
@click.option(
    "--database",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Check the database too, or this one: its pages, and whether its rows agree.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="First count the jobs in the database again, and store the counts.",
)
def check(config_path: Path | None, database: str | None, repair: bool) -> None:
    """Check the configuration, and with --database the database; show what is wrong.

    booper may be running meanwhile.
    """
    from booper.origins import ways_of  # slow to import, as what the others need

    if repair and database is None:
        raise click.UsageError("--repair is for a database; add --database")
    config = read(config_path, database=database or None)
    ways_of(config, ())
    click.echo(f"{config_path} is fine" if config_path else "no file given; the defaults are fine")
    if database is not None:
        from booper.cli.database_check import check_database
        from booper.databases import sqlite_path

        check_database(sqlite_path(config, "booper check --database"), repair=repair)


@click.command()
@click.argument("path", metavar="[PATH]", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Replace PATH if it is a file that exists.")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Then keep the N newest backups in the folder PATH, and remove older ones.",
)
@config_option
@database_option
def backup(
    path: Path | None,
    force: bool,
    keep: int | None,
    config_path: Path | None,
    database: str | None,
) -> None:
    """Copy the database to PATH, whether booper is running or not, and check the copy.

    PATH is a file, or a folder for files that are named by the time. Without PATH it is the folder
    of [backup]. With --keep it is a folder, which is created if it does not exist.
    """
    from booper.cli.backup import write_file, write_to_folder

    config = read(config_path, database=database)
    if path is not None and keep is None and not path.is_dir():
        write_file(config, path, overwrite=force)
    elif force:
        raise click.UsageError("--force is for a file; in a folder, nothing is replaced")
    else:
        write_to_folder(config, path or Path(config.backup.folder), keep)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Move a database that exists aside.")
@config_option
@database_option
def restore(file: Path, force: bool, config_path: Path | None, database: str | None) -> None:
    """Put the backup FILE in the place of the database; stop booper before.

    FILE is checked first. A database that exists is moved aside, and only with --force.
    """
    from booper.cli.backup import restore_file

    restore_file(read(config_path, database=database), file, overwrite=force)
