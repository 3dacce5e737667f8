"""The command line: `python -m tests.torture`."""

import logging
import sys

import click

from tests.conftest import heed_signals
from tests.torture.guarantees import GUARANTEES
from tests.torture.line import Line, NotMeasured, Size


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(GUARANTEES)), help="Just these.")
@click.option("--short", is_flag=True, help="A few seconds of each, as the normal tests run them.")
def main(only: tuple[str, ...], short: bool) -> None:
    """Try to break booper; print a line for each guarantee, exit with 1 if one does not hold.

    What this machine cannot try counts as not holding, unless it is the short form.
    """
    heed_signals()
    logging.disable()  # what booper says of faults that are made on purpose
    size = Size.SHORT if short else Size.LONG
    lines = []
    for name in only or GUARANTEES:
        lines.append(_tried(name, size))
        click.echo(lines[-1])
    sys.exit(not all(line.holds for line in lines))


def _tried(name: str, size: Size) -> Line:
    try:
        return GUARANTEES[name](size)
    except NotMeasured as error:
        return Line(name, size is Size.SHORT, f"not measured: {error}")
    except Exception as error:  # one guarantee that breaks in a new way must not hide the others
        return Line(name, False, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
