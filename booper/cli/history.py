"""`booper why` and `booper audit`: what happened to a job or a schedule, and who changed what."""

from typing import TYPE_CHECKING
from uuid import UUID

import click

from booper.cli.remote import LIMIT, client_command

if TYPE_CHECKING:
    from booper.cli.output import Output
    from booper.client import Client, TimelineEvent


@click.command()
@click.argument("which", metavar="JOB|SCHEDULE")
@click.option(
    "--at",
    metavar="TIME",
    help="Of a job, only what had begun at a time; of a schedule, the runs around a planned time. "
    "'2 hours' means two hours ago.",
)
@client_command
def why(out: "Output", which: str, at: str | None) -> None:
    """Show what happened to a job or a schedule, and why.

    Give the number or the UUID of a job, or the id, the first part of the id, or the name of a
    schedule.
    """
    from booper.cli.typed import past_of
    from booper.clock import SystemClock

    moment = None if at is None else past_of("--at", at, SystemClock().now())
    out.timeline(_timeline(out.client, which, moment))


@click.command()
@LIMIT
@client_command
def audit(out: "Output", limit: int) -> None:
    """Show who changed what, newest first.

    Creates of jobs are not in it. This needs a key of scope admin.
    """
    out.audit(out.client.audit.list(limit=limit).data)


def _timeline(client: "Client", which: str, at: str | None) -> "list[TimelineEvent]":
    """Return the timeline of what was typed. Raises: NotFound, InvalidArgument."""
    from booper.cli.found import schedule_id
    from booper.client import NotFound

    if which.isascii() and which.isdigit():
        return client.jobs.timeline(which, at=at)
    try:
        return client.schedules.timeline(schedule_id(client, which), at=at)
    except NotFound:
        if not _is_uuid(which):
            raise
    return client.jobs.timeline(which, at=at)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
