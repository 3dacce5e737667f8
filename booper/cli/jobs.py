"""`booper jobs`: list, show and follow jobs; change one, or all that a filter names."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from booper.cli.groups import Group
from booper.cli.remote import EVERY, LIMIT, STATES, client_command

if TYPE_CHECKING:
    from booper.cli.output import Output
    from booper.client import BulkResult

FAILED: Final = ("discarded", "retryable")
ID = click.argument("job_id", metavar="ID")
_FILTERS = (
    click.option("--state", type=click.Choice(STATES), help="Only jobs in this state."),
    click.option(
        "--failed", is_flag=True, help="Only jobs that are discarded or wait for a retry."
    ),
    click.option("--tag", help="Only jobs with this tag."),
    click.option("--schedule", "schedule_id", metavar="ID", help="Only runs of this schedule."),
    click.option(
        "--host",
        metavar="HOST",
        help="Only jobs to a host, or to one port of it: example.com:8443.",
    ),
    click.option("--text", help="Only jobs with this text in their URL, body, name or key."),
    click.option("--url-prefix", metavar="URL", help="Only jobs to URLs that begin with this."),
    click.option(
        "--since", "after", metavar="TIME", help="Only jobs due since a time, or '2 hours' ago."
    ),
    click.option("--before", metavar="TIME", help="Only jobs due before a time, or '2 hours' ago."),
)


def filters(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that filter jobs to a command."""
    for option in reversed(_FILTERS):
        function = option(function)
    return function


def changes(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a change of one job, or of all that filters match, to a command."""
    function = click.option("--dry-run", is_flag=True, help="Only count the jobs.")(function)
    function = click.option("--all", "is_all", is_flag=True, help="All jobs.")(function)
    return click.argument("job_id", metavar="[ID]", required=False)(filters(function))


@click.group(cls=Group)
def jobs() -> None:
    """List, show, watch, cancel and retry jobs."""


@jobs.command("list")
@filters
@LIMIT
@client_command
def list_jobs(out: "Output", limit: int, **typed: Any) -> None:
    """List jobs, newest first.

    A job must match every filter given.
    """
    out.jobs(out.client.jobs.list(limit=limit, **_which(out, typed)).data)


@jobs.command("get")
@ID
@client_command
def get_job(out: "Output", job_id: str) -> None:
    """Show one job, with what its last attempt sent and received."""
    out.job_and_attempt(out.client.jobs.get(job_id))


@jobs.command("cancel")
@changes
@client_command
def cancel_jobs(out: "Output", job_id: str | None, **typed: Any) -> None:
    """Cancel one job, or all that match the filters.

    Finished jobs do not change.
    """
    one = _one(job_id, typed)
    if one is not None:
        job = out.client.jobs.cancel(one)
        out.job(job)
        if job.is_finished and job.state != "cancelled" and not out.is_json:
            click.echo("  note  it had finished before, so it is not cancelled")
    else:
        _show(out, out.client.jobs.cancel_many(**_many(out, typed)), "cancelled", typed)


@jobs.command("retry")
@changes
@client_command
def retry_jobs(out: "Output", job_id: str | None, **typed: Any) -> None:
    """Send discarded or cancelled jobs again.

    Give the ID of one job, or filters for all that match.
    """
    one = _one(job_id, typed)
    if one is not None:
        out.job(out.client.jobs.retry(one))
    else:
        _show(out, out.client.jobs.retry_many(**_many(out, typed)), "sent again", typed)


@jobs.command("watch")
@ID
@EVERY
@client_command
def watch_job(out: "Output", job_id: str, every: float) -> None:
    """Show a job whenever it changes, until it has finished.

    The exit code is 0 if it is completed, and 1 if it was discarded or cancelled.
    """
    from booper.cli.watch import UntilChange, stopped, watch

    if not watch(out, job_id, every, UntilChange(out.client, job_id, stopped())):
        sys.exit(1)


@jobs.command("run")
@changes
@client_command
def run_jobs(out: "Output", job_id: str | None, **typed: Any) -> None:
    """Send waiting jobs now.

    Give the ID of one job, or filters for all that match.
    """
    one = _one(job_id, typed)
    if one is not None:
        out.job(out.client.jobs.run(one))
    else:
        _show(out, out.client.jobs.run_many(**_many(out, typed)), "due now", typed)


def _one(job_id: str | None, typed: dict[str, Any]) -> str | None:
    """Return the one job that is meant, None for filters. Raises: UsageError, if neither is."""
    given = [name for name, value in typed.items() if value and name != "dry_run"]
    if job_id is None and not given:
        raise click.UsageError(
            "which jobs? Give an ID, a filter such as --tag TAG, or --all for every job"
        )
    if job_id is not None and (given or typed["dry_run"]):
        raise click.UsageError(f"give an ID or filters, not both; got {job_id!r} and filters")
    return job_id


def _many(out: "Output", typed: dict[str, Any]) -> dict[str, Any]:
    is_all = {"all": True} if typed["is_all"] else {}
    return {**_which(out, typed), **is_all, "dry_run": typed["dry_run"]}


def _which(out: "Output", typed: dict[str, Any]) -> dict[str, Any]:
    """Return the filter of the API that was typed. Raises: InvalidArgument, UsageError."""
    from booper.cli.found import schedule_id
    from booper.cli.typed import past_of
    from booper.clock import SystemClock

    if typed["failed"] and typed["state"]:
        raise click.UsageError("--failed and --state exclude each other: give one of them")
    now = SystemClock().now()
    names = ("tag", "url_prefix", "host", "text", "state")
    found = {name: typed[name] for name in names if typed[name] is not None}
    if typed["failed"]:
        found["state"] = FAILED
    if typed["schedule_id"] is not None:
        found["schedule_id"] = schedule_id(out.client, typed["schedule_id"])
    for name, option in (("after", "--since"), ("before", "--before")):
        if typed[name] is not None:
            found[name] = past_of(option, typed[name], now)
    return found


def _show(out: "Output", changed: "BulkResult", done: str, typed: dict[str, Any]) -> None:
    jobs_matched = "1 job matches" if changed.matched == 1 else f"{changed.matched:,} jobs match"
    what = "nothing was changed" if typed["dry_run"] else f"{changed.changed:,} {done}"
    out.show(changed, f"{jobs_matched}, {what}")
