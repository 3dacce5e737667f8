"""`booper schedules`: list, show, stop, start, run and delete schedules."""

from typing import TYPE_CHECKING

import click

from booper.cli.groups import Group
from booper.cli.remote import LIMIT, client_command

if TYPE_CHECKING:
    from booper.cli.output import Output
    from booper.client import Schedule

ID = click.argument("schedule_id", metavar="ID")


def find(out: "Output", typed: str) -> str:
    """Return the id of the schedule that was typed: an id, the first part of one, or a name.

    Raises:
        InvalidArgument: several schedules are meant.
    """
    from booper.cli.found import schedule_id

    return schedule_id(out.client, typed)


@click.group(cls=Group)
def schedules() -> None:
    """List, show, run, disable, enable and delete schedules."""


@schedules.command("list")
@LIMIT
@client_command
def list_schedules(out: "Output", limit: int) -> None:
    """List schedules, newest first."""
    out.schedules(out.client.schedules.list(limit=limit).data)


@schedules.command("get")
@ID
@client_command
def get_schedule(out: "Output", schedule_id: str) -> None:
    """Show one schedule."""
    out.schedule(out.client.schedules.get(find(out, schedule_id)))


@schedules.command("next")
@ID
@click.option(
    "--count", type=click.IntRange(1, 100), default=5, show_default=True, help="How many."
)
@client_command
def next_runs(out: "Output", schedule_id: str, count: int) -> None:
    """Show the next runs of a schedule, in its own time zone."""
    found = out.client.schedules.get(find(out, schedule_id), next_runs=count)
    times = found.next_runs_local
    out.show(times, "\n".join(at.isoformat(" ") for at in times) or _no_run(found))


def _no_run(schedule: "Schedule") -> str:
    if schedule.disabled_at is None:
        return "it has no further run"
    return f"it is disabled; `booper schedules enable {schedule.id}` enables it"


@schedules.command("disable")
@ID
@client_command
def disable_schedule(out: "Output", schedule_id: str) -> None:
    """Disable a schedule and cancel its waiting run."""
    out.schedule(out.client.schedules.disable(find(out, schedule_id)))


@schedules.command("enable")
@ID
@client_command
def enable_schedule(out: "Output", schedule_id: str) -> None:
    """Enable a schedule and plan its next run."""
    out.schedule(out.client.schedules.enable(find(out, schedule_id)))


@schedules.command("run")
@ID
@client_command
def run_schedule(out: "Output", schedule_id: str) -> None:
    """Run a schedule now, in addition to its planned runs."""
    out.job(out.client.schedules.run(find(out, schedule_id)))


@schedules.command("delete")
@ID
@client_command
def delete_schedule(out: "Output", schedule_id: str) -> None:
    """Delete a schedule; its past jobs stay."""
    found = find(out, schedule_id)
    out.client.schedules.delete(found)
    out.show({"deleted": found}, f"schedule {found} is deleted")
