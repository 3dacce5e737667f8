"""What the client commands have in common, and the smallest of them.

`booper.cli.output` connects and prints; it is imported by a command that runs, since that takes a
tenth of a second.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from booper.cli.times import Seconds

if TYPE_CHECKING:
    from booper.cli.output import Output

json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON, for programs.")
# Spelled out, not imported: what knows them takes a tenth of a second to import.
STATES = (
    "scheduled",
    "available",
    "executing",
    "retryable",
    "completed",
    "discarded",
    "cancelled",
)
EVERY = click.option(
    "--every",
    type=Seconds(0.01, 3_600),
    default="1s",
    show_default=True,
    metavar="DURATION",
    help="How often to poll a booper that does not say what changes: '5s'; a number is seconds.",
)
LIMIT = click.option(
    "--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="How many."
)


def client_command(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of all client commands to a command, which is called with an `Output`."""
    return client_command_at("--url")(function)


def client_command_at(option: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add them as `client_command` does, with another option for the URL of the server."""

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(
            url: str | None, key: str | None, config_path: Path | None, is_json: bool, **given: Any
        ) -> None:
            from booper.cli.output import connected

            with connected(url, key, config_path, is_json) as out:
                function(out, **given)

        for each in reversed(_options(option)):
            command = each(command)
        return command

    return decorated


def _options(server: str) -> Sequence[Callable[[Callable[..., None]], Callable[..., None]]]:
    """Return the options of all client commands, of which `server` names the server."""
    return (
        click.option(
            server, "url", envvar="BOOPER_URL", show_envvar=True, help="The URL of the server."
        ),
        click.option("--key", envvar="BOOPER_API_KEY", show_envvar=True, help="The API key."),
        click.option(
            "--config",
            "config_path",
            type=click.Path(path_type=Path),
            envvar="BOOPER_CONFIG",
            show_envvar=True,
            help=f"The TOML file that names the server and the key, unless {server} and --key do.",
        ),
        json_option,
    )


@click.command()
@json_option
def demo(is_json: bool) -> None:
    """Check that booper works on this machine.

    It sends itself a request and receives it two seconds later.

    It uses a free port and a temporary folder, and touches nothing else.
    """
    from booper.cli.demo import run  # what serving needs is slow to import

    run(timedelta(seconds=2), is_json=is_json)


@click.command()
@client_command
def nodes(out: "Output") -> None:
    """List the processes that serve the database.

    Over SQLite there is one. This needs a key that administers.
    """
    out.nodes()


@click.command()
@click.option("--watch", "is_watching", is_flag=True, help="Show it again every two seconds.")
@client_command
def status(out: "Output", is_watching: bool) -> None:
    """Show whether booper is ready, and how it is doing.

    It is ready if it can store and send jobs now. The rest needs a key that administers.
    """
    from booper.cli.watch import stopped, watch_status

    if is_watching:
        watch_status(out, stopped())
    out.status()
