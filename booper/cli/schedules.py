"""`booper schedules`: list, show, stop, start, run and delete schedules."""

from typing import TYPE_CHECKING

import click

from booper.cli.groups import Group
from booper.cli.remote import LIMIT, asks

if TYPE_CHECKING:
    from booper.cli.asking import Asking
    from booper.client import Schedule

ID = click.argument("schedule_id", metavar="ID")


def find(ask: "Asking", typed: str) -> str:
    """Return the id of the schedule that was typed: an id, the first part of one, or a name.

    Raises:
        InvalidArgument: several schedules are meant.
    """
    from booper.cli.found import schedule_id

    return schedule_id(ask.client, typed)


@click.group(cls=Group)
def schedules() -> None:
    """List, show, run, disable, enable and delete schedules."""


@schedules.command("list")
@LIMIT
@asks
def list_schedules(ask: "Asking", limit: int) -> None:
    """List schedules, newest first."""
    ask.schedules(ask.client.schedules.list(limit=limit).data)


@schedules.command("get")
@ID
@asks
def get_schedule(ask: "Asking", schedule_id: str) -> None:
    """Show one schedule."""
    ask.schedule(ask.client.schedules.get(find(ask, schedule_id)))


@schedules.command("next")
@ID
@click.option(
    "--count", type=click.IntRange(1, 100), default=5, show_default=True, help="How many."
)
@asks
def next_runs(ask: "Asking", schedule_id: str, count: int) -> None:
    """Show the next runs of a schedule, in its own time zone."""
    found = ask.client.schedules.get(find(ask, schedule_id), next_runs=count)
    times = found.next_runs_local
    ask.show(times, "\n".join(at.isoformat(" ") for at in times) or _no_run(found))


def _no_run(schedule: "Schedule") -> str:
    if schedule.disabled_at is None:
        return "it has no further run"
    return f"it is disabled; `booper schedules enable {schedule.id}` enables it"


@schedules.command("disable")
@ID
@asks
def disable_schedule(ask: "Asking", schedule_id: str) -> None:
    """Disable a schedule and cancel its waiting run."""
    ask.schedule(ask.client.schedules.disable(find(ask, schedule_id)))


@schedules.command("enable")
@ID
@asks
def enable_schedule(ask: "Asking", schedule_id: str) -> None:
    """Enable a schedule and plan its next run."""
    ask.schedule(ask.client.schedules.enable(find(ask, schedule_id)))


@schedules.command("run")
@ID
@asks
def run_schedule(ask: "Asking", schedule_id: str) -> None:
    """Run a schedule now, in addition to its planned runs."""
    ask.job(ask.client.schedules.run(find(ask, schedule_id)))


@schedules.command("delete")
@ID
@asks
def delete_schedule(ask: "Asking", schedule_id: str) -> None:
    """Delete a schedule; its past jobs stay."""
    found = find(ask, schedule_id)
    ask.client.schedules.delete(found)
    ask.show({"deleted": found}, f"schedule {found} is deleted")
