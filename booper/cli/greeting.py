"""The daemon's first words and its last: on standard output, or in a log that is JSON."""

import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import click

from booper import __version__
from booper.cli.addresses import is_every_address, local_url
from booper.cli.logging_setup import is_json
from booper.cli.streams import say
from booper.config import Config
from booper.databases import shown
from booper.first_key import Address
from booper.log_settings import Logging
from booper.store.sqlite import FirstKeyFile

log = logging.getLogger("booper")


def greet(config: Config, addresses: Sequence[Address], first_key: str | None) -> None:
    """Print where booper listens; of a first start also the key, or where that is.

    Where standard output goes to the same place as a log of JSON, as in systemd's journal, or the
    log is JSON in any case, it is logged, without what is only for a reader.
    """
    url, *others = dict.fromkeys(local_url(host, port) for host, port in addresses)
    tell: Callable[[str], None] = say
    is_logged = config.logging.format == "json" or (
        is_json(sys.stderr, config.logging) and _is_one_file(sys.stdout.fileno, sys.stderr.fileno)
    )
    if is_logged:
        tell = log.info
    for line in _lines(config, url, others, addresses):
        tell(line)
    file = FirstKeyFile(Path(config.database.path))
    is_on_terminal = sys.stdout.isatty() and not is_logged
    if first_key is not None and is_on_terminal:
        say(
            "\nYour first API key; it is shown only this once:\n\n"
            f"    export BOOPER_API_KEY={first_key}\n"
        )
        _show_a_try(url)
        file.remove()
    elif file.path.exists() and (is_on_terminal or (first_key is not None and not is_logged)):
        say(
            f"\nYour first API key is in {file.path}, which only its owner can read:\n\n"
            f'    export BOOPER_API_KEY="$(cat {shlex.quote(str(file.path))})"\n'
        )
        _show_a_try(url)
    elif file.path.exists():
        log.info("the first API key is in %s; delete the file when you have it", file.path)


def say_stopping(settings: Logging) -> None:
    """Print or log that booper is stopping, as the form of the log asks."""
    message = "booper is stopping; a second signal stops it at once"
    if is_json(sys.stderr, settings):
        log.info(message)
        return
    with suppress(OSError):
        click.echo(message, err=True)


def _lines(
    config: Config, url: str, others: Sequence[str], addresses: Sequence[Address]
) -> Iterator[str]:
    """Yield what is to be known at each start."""
    yield f"booper {__version__} serves {shown(config)} on {url}"
    for other in others:
        yield f"and on {other}"
    if config.server.public is not None:
        yield f"Others reach it at {config.server.public}."
    every = [host for host, _ in addresses if is_every_address(host)]
    if every:
        yield (
            f"It listens on every address of this machine ({', '.join(every)}). "
            "From another machine, use its name or address instead."
        )


def _is_one_file(*descriptors: Callable[[], int]) -> bool:
    """Return whether streams go to the same file, pipe or socket."""
    try:
        found = [os.fstat(descriptor()) for descriptor in descriptors]
    except (OSError, ValueError):  # a stream that is no file
        return False
    return len({(each.st_dev, each.st_ino) for each in found}) == 1


def _show_a_try(url: str) -> None:
    authorization = '-H "Authorization: Bearer $BOOPER_API_KEY"'
    say(
        "Try it: this request is sent to booper itself in five seconds.\n\n"
        f"    curl -X POST {url}/api/jobs \\\n"
        f"      {authorization} \\\n"
        "      -H 'Content-Type: application/json' \\\n"
        f'      -d \'{{"method": "post", "url": "{url}/api/echo", '
        '"body": {"content": "Hello"}, "schedule_in": [5, "seconds"]}\'\n\n'
        "Then see what happened:\n\n"
        f"    curl {authorization} {url}/api/jobs/1\n"
        f"    curl {authorization} {url}/api/logs\n"
    )
