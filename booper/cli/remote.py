"""The commands that ask a running booper: `run`, `jobs`, `schedules`, `logs`, `status`.

Here are their options and what each asks for; `booper.cli.asking` asks and prints, and is imported
by a command that runs: it takes a tenth of a second.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from booper.cli.times import Seconds, check_governed
from booper.clock import SystemClock

if TYPE_CHECKING:
    from booper.cli.asking import Asking
    from booper.client import Schedule
    from booper.client.fields import Method

json_option = click.option("--json", "is_json", is_flag=True, help="Print JSON, for programs.")
_OPTIONS = (
    click.option("--url", envvar="BOOPER_URL", show_envvar=True, help="Where booper listens."),
    click.option("--key", envvar="BOOPER_API_KEY", show_envvar=True, help="The API key."),
    click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        envvar="BOOPER_CONFIG",
        show_envvar=True,
        help="The TOML file that says where and with which key, unless --url and --key do.",
    ),
    json_option,
)
# Spelled out, not imported: what knows them takes a tenth of a second to import.
_STATES = (
    "scheduled",
    "available",
    "executing",
    "retryable",
    "completed",
    "discarded",
    "cancelled",
)
_EVERY = click.option(
    "--every",
    type=Seconds(0.01, 3_600),
    default="1s",
    show_default=True,
    metavar="DURATION",
    help="How often to ask: '5s'; a number is seconds.",
)
_MOST = click.option(
    "--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="How many."
)


def asks(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all that ask, and an `Asking`."""

    @wraps(function)
    def command(
        url: str | None, key: str | None, config_path: Path | None, is_json: bool, **given: Any
    ) -> None:
        from booper.cli.asking import asking

        with asking(url, key, config_path, is_json) as ask:
            function(ask, **given)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument(
    "method",
    type=click.Choice(["get", "post", "put", "patch", "delete"], case_sensitive=False),
    metavar="METHOD",
)
@click.argument("target", metavar="URL")
@click.option("--data", "-d", multiple=True, metavar="NAME=VALUE", help="The body, or its JSON.")
@click.option("--header", "-H", multiple=True, metavar="NAME:VALUE", help="A header.")
@click.option(
    "--in",
    "schedule_in",
    metavar="DURATION",
    help="When: 90s, 1h30m; a number is seconds.",
)
@click.option("--at", "scheduled_at", metavar="TIME", help="When: ISO 8601, or a Unix time.")
@click.option("--schedule", hidden=True, help="The older spelling: 'in 30 seconds'.")
@click.option("--every", "repeat_every", metavar="DURATION", help="Again and again: 5m, '2 days'.")
@click.option("--cron", metavar="CRON", help="Again and again: '0 9 * * MON-FRI'.")
@click.option("--timezone", metavar="ZONE", help="The zone of --cron, and of an --at without one.")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="A create with the key of an unfinished job makes none.",
)
@click.option("--name", help="What to call it.")
@asks
def run(
    ask: "Asking",
    method: "Method",
    target: str,
    data: tuple[str, ...],
    header: tuple[str, ...],
    schedule: str | None,
    **fields: Any,
) -> None:
    """Send a request to URL: now, later, or again and again.

    METHOD is get, post, put, patch or delete. With get, --data becomes the query.
    """
    from booper.cli.asking import fields_of, split_pairs, told

    if schedule is not None:
        if fields["schedule_in"] is not None:
            raise click.UsageError("--schedule is the older spelling of --in; give one of them")
        fields["schedule_in"] = schedule.removeprefix("in ")
    fields |= _times(fields)
    check_governed(fields, SystemClock().now())
    if data:
        fields["query" if method == "get" else "body"] = fields_of(data)
    if header:
        fields["headers"] = split_pairs("--header", header, ":")
    job = ask.client.jobs.create(method=method, url=target, **fields)
    ask.show(job, told(job))


def _times(fields: dict[str, Any]) -> dict[str, Any]:
    """Read the times among what was typed. Raises: InvalidArgument."""
    from booper.cli.asking import duration_of, moment_of

    read: dict[str, Callable[[str], Any]] = {
        "schedule_in": partial(duration_of, "--in"),
        "repeat_every": partial(duration_of, "--every"),
        "scheduled_at": partial(moment_of, "--at"),
    }
    return {name: read[name](fields[name]) for name in read if fields[name] is not None}


@click.group()
def jobs() -> None:
    """Look at jobs, and change what becomes of them."""


@jobs.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Of this state alone.")
@click.option("--tag", help="With this tag alone.")
@_MOST
@asks
def list_jobs(ask: "Asking", limit: int, **which: Any) -> None:
    """List jobs, the newest first."""
    given = {name: value for name, value in which.items() if value is not None}
    ask.jobs(ask.client.jobs.list(limit=limit, **given).data)


@jobs.command("get")
@click.argument("job_id")
@asks
def get_job(ask: "Asking", job_id: str) -> None:
    """Show one job."""
    _show_job(ask, ask.client.jobs.get(job_id))


@jobs.command("cancel")
@click.argument("job_id")
@asks
def cancel_job(ask: "Asking", job_id: str) -> None:
    """Call a job off; a finished one stays as it is."""
    _show_job(ask, ask.client.jobs.cancel(job_id))


@jobs.command("watch")
@click.argument("job_id")
@_EVERY
@asks
def watch_job(ask: "Asking", job_id: str, every: float) -> None:
    """Show a job as it changes, until it is finished.

    Exits with 0 if it is completed, with 1 if it was discarded or cancelled.
    """
    from booper.cli.following import stopped, watch

    if not watch(ask, job_id, every, stopped()):
        sys.exit(1)


@jobs.command("retry")
@click.argument("job_id")
@asks
def retry_job(ask: "Asking", job_id: str) -> None:
    """Send a discarded or cancelled job again."""
    _show_job(ask, ask.client.jobs.retry(job_id))


@jobs.command("run")
@click.argument("job_id")
@asks
def run_job(ask: "Asking", job_id: str) -> None:
    """Send a waiting job now."""
    _show_job(ask, ask.client.jobs.run(job_id))


@click.group()
def schedules() -> None:
    """Look at schedules, and start and stop them."""


@schedules.command("list")
@_MOST
@asks
def list_schedules(ask: "Asking", limit: int) -> None:
    """List schedules, the newest first."""
    ask.schedules(ask.client.schedules.list(limit=limit).data)


@schedules.command("get")
@click.argument("schedule_id")
@asks
def get_schedule(ask: "Asking", schedule_id: str) -> None:
    """Show one schedule."""
    ask.schedule(ask.client.schedules.get(schedule_id))


@schedules.command("next")
@click.argument("schedule_id")
@click.option("--count", type=click.IntRange(1, 100), default=5, show_default=True)
@asks
def next_runs(ask: "Asking", schedule_id: str, count: int) -> None:
    """Tell when a schedule runs next, in its own zone."""
    found = ask.client.schedules.get(schedule_id, next_runs=count)
    times = found.next_runs_local
    ask.show(times, "\n".join(at.isoformat(" ") for at in times) or _no_run(found))


def _no_run(schedule: "Schedule") -> str:
    if schedule.disabled_at is None:
        return "it does not run again"
    return f"it is disabled; `booper schedules enable {schedule.id}` goes on with it"


@schedules.command("disable")
@click.argument("schedule_id")
@asks
def disable_schedule(ask: "Asking", schedule_id: str) -> None:
    """Stop a schedule; its waiting run is cancelled."""
    ask.schedule(ask.client.schedules.disable(schedule_id))


@schedules.command("enable")
@click.argument("schedule_id")
@asks
def enable_schedule(ask: "Asking", schedule_id: str) -> None:
    """Go on with a schedule."""
    ask.schedule(ask.client.schedules.enable(schedule_id))


@schedules.command("run")
@click.argument("schedule_id")
@asks
def run_schedule(ask: "Asking", schedule_id: str) -> None:
    """Run a schedule now, beside its plan."""
    _show_job(ask, ask.client.schedules.run(schedule_id))


@schedules.command("delete")
@click.argument("schedule_id")
@asks
def delete_schedule(ask: "Asking", schedule_id: str) -> None:
    """Delete a schedule; its past jobs stay."""
    ask.client.schedules.delete(schedule_id)
    ask.show({"deleted": schedule_id}, f"schedule {schedule_id} is deleted")


@click.group()
def logs() -> None:
    """Look at what was sent and what came back."""


@logs.command("list")
@click.option("--job", "job_id", type=int, help="Of this job alone.")
@click.option("--event", help="Of this event alone, such as worker.http.response.")
@_MOST
@asks
def list_logs(ask: "Asking", **which: Any) -> None:
    """List log entries, the newest first."""
    ask.logs(ask.client.logs.list(**which).data)


@logs.command("get")
@click.argument("log_id")
@asks
def get_log(ask: "Asking", log_id: str) -> None:
    """Show one entry with all it holds."""
    import msgspec

    from booper.cli.text import json_text

    entry = ask.client.logs.get(log_id)
    ask.show(entry, json_text(msgspec.json.format(msgspec.json.encode(entry))))


@logs.command("tail")
@click.option("--job", "job_id", type=int, help="Of this job alone.")
@click.option("--event", help="Of this event alone, such as worker.http.response.")
@click.option(
    "--lines",
    type=click.IntRange(0, 100),
    default=10,
    show_default=True,
    help="How many of the past ones come first.",
)
@_EVERY
@asks
def tail_logs(ask: "Asking", **options: Any) -> None:
    """Show log entries as they are written, until Ctrl-C."""
    from booper.cli.following import stopped, tail

    with suppress(KeyboardInterrupt):
        tail(ask, pause=stopped(), **options)


@click.command()
@json_option
def demo(is_json: bool) -> None:
    """Check that booper works here: it sends itself a request in two seconds.

    It runs on a free port, in a folder that goes at the end, and touches nothing else.
    """
    from booper.cli.demo import run  # what serving needs is slow to import

    run(timedelta(seconds=2), is_json=is_json)


@click.command()
@asks
def status(ask: "Asking") -> None:
    """Tell whether a job accepted now would be kept and sent."""
    found = ask.client.status()
    ask.show(found, f"booper is {found.get('status')}")


def _show_job(ask: "Asking", job: Any) -> None:
    from booper.cli.asking import told

    ask.show(job, told(job))
