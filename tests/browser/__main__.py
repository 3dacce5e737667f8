"""The command line: `python -m tests.browser`."""

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.browser.chromium import running_chromium
from tests.browser.full import CHECKS
from tests.support.configs import configs_in


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(CHECKS)), help="Just these.")
def main(only: tuple[str, ...]) -> None:
    """Look at every page of the dashboard in the browser, and print a line for each check.

    It takes minutes. Pictures of all pages go into the folder `pictures`. Exits with 1 if
    something is wrong.
    """
    logging.disable()  # what booper says of jobs that fail on purpose
    lines = []
    with running_chromium() as chromium, TemporaryDirectory() as folder:
        configs = configs_in(Path(folder))
        for name in only or CHECKS:
            lines.append(chromium.run(CHECKS[name](chromium, configs)))
            click.echo(lines[-1])
    sys.exit(not all(line.holds for line in lines))


if __name__ == "__main__":
    main()
