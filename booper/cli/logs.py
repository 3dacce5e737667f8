"""`booper logs`: what was sent, and what came back."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from booper.cli.groups import Group
from booper.cli.remote import EVERY, LIMIT, asks

if TYPE_CHECKING:
    from booper.cli.asking import Asking


@click.group(cls=Group)
def logs() -> None:
    """List and show what was sent and received."""


@logs.command("list")
@click.option("--job", "job_id", type=int, help="Only entries of this job.")
@click.option("--event", help="Only entries of this event, such as worker.http.response.")
@LIMIT
@asks
def list_logs(ask: "Asking", **which: Any) -> None:
    """List log entries, newest first."""
    ask.logs(ask.client.logs.list(**which).data)


@logs.command("get")
@click.argument("log_id")
@asks
def get_log(ask: "Asking", log_id: str) -> None:
    """Show one log entry in full."""

    from booper.cli.text import to_json

    entry = ask.client.logs.get(log_id)
    ask.show(entry, to_json(entry, is_indented=True))


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
@asks
def tail_logs(ask: "Asking", **options: Any) -> None:
    """Show log entries as they are written, until Ctrl-C."""
    from booper.cli.following import stopped, tail

    with suppress(KeyboardInterrupt):
        tail(ask, pause=stopped(), **options)
