"""`booper logs`: what was sent, and what came back."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from booper.cli.groups import Group
from booper.cli.remote import EVERY, LIMIT, client_command

if TYPE_CHECKING:
    from booper.cli.output import Output


@click.group(cls=Group)
def logs() -> None:
    """List and show what was sent and received."""


@logs.command("list")
@click.option("--job", "job_id", type=int, help="Only entries of this job.")
@click.option("--event", help="Only entries of this event, such as worker.http.response.")
@LIMIT
@client_command
def list_logs(out: "Output", **which: Any) -> None:
    """List log entries, newest first."""
    out.logs(out.client.logs.list(**which).data)


@logs.command("get")
@click.argument("log_id")
@client_command
def get_log(out: "Output", log_id: str) -> None:
    """Show one log entry in full."""

    from booper.cli.text import to_json

    entry = out.client.logs.get(log_id)
    out.show(entry, to_json(entry, is_indented=True))


@logs.command("tail")
@click.option("--job", "job_id", type=int, help="Only entries of this job.")
@click.option("--event", help="Only entries of this event, such as worker.http.response.")
@click.option(
    "--lines",
    type=click.IntRange(0, 100),
    default=10,
    show_default=True,
    help="How many past entries to show first.",
)
@EVERY
@client_command
def tail_logs(out: "Output", **options: Any) -> None:
    """Show log entries as they are written, until Ctrl-C."""
    from booper.cli.watch import UntilChange, stopped, tail

    with suppress(KeyboardInterrupt):
        tail(out, pause=UntilChange(out.client, options["job_id"], stopped()), **options)
