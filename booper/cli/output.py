"""The output of the client commands: the client they use, what is printed, and how errors end."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from booper.cli.addresses import local_url
from booper.cli.failures import exit_code, message
from booper.cli.overview import overview_lines
from booper.cli.settings import option_of, read_settings, source_of
from booper.cli.shown import (
    audit_table,
    breakers_table,
    job_details,
    jobs_table,
    log_line,
    logs_table,
    nodes_table,
    pauses_table,
    schedules_table,
    timeline_lines,
)
from booper.cli.table import terminal_width
from booper.cli.text import Number, one_line, printable, to_json
from booper.client import (
    AuditEntry,
    Client,
    ClientError,
    Forbidden,
    Job,
    LogEntry,
    NotFound,
    Schedule,
    TimelineEvent,
    Unauthenticated,
)
from booper.client.arguments import check_key, check_url
from booper.client.calls import numbers_read_as

_MAX_ENTRIES = 20
"""How many log entries are looked through for those of a job's last attempt."""


@dataclass(frozen=True, slots=True)
class Output:
    """A client, and how what it returns is printed: as JSON for programs, as text for people."""

    client: Client
    is_json: bool

    def show(self, value: Any, text: str) -> None:
        """Print a value: as JSON for programs, as `text` for people."""
        click.echo(to_json(value) if self.is_json else printable(text))

    def jobs(self, jobs: Sequence[Job]) -> None:
        """Print jobs."""
        self._lines(jobs, lambda: jobs_table(jobs, terminal_width()))

    def job(self, job: Job) -> None:
        """Print one job."""
        self.show(job, job_details(job, terminal_width()))

    def job_and_attempt(self, job: Job) -> None:
        """Print one job, for people with what its last attempt sent and received."""
        if self.is_json:
            self.job(job)
            return
        entries = self.client.logs.list(job_id=job.job_id, limit=_MAX_ENTRIES).data
        click.echo(printable(job_details(job, terminal_width(), entries)))

    def schedules(self, schedules: Sequence[Schedule]) -> None:
        """Print schedules, for people with their next runs."""
        self._lines(
            schedules,
            lambda: schedules_table(
                [(each, self._next_run(each)) for each in schedules], terminal_width()
            ),
        )

    def schedule(self, schedule: Schedule) -> None:
        """Print one schedule: a table of one row, but no list in JSON."""
        if self.is_json:
            click.echo(to_json(schedule))
        else:
            self.schedules([schedule])
            if schedule.error is not None:
                click.echo(printable(f"error: {schedule.error}"))

    def pauses(self) -> None:
        """Print what is paused."""
        found = self.client.pauses()
        nothing = ["nothing is paused"]
        self._lines(found, lambda: pauses_table(found, terminal_width()) if found else nothing)

    def breakers(self) -> None:
        """Print the origins that are only probed."""
        found = self.client.breakers()
        self._lines(found, lambda: breakers_table(found, terminal_width()))

    def nodes(self) -> None:
        """Print the processes that serve the database."""
        found = self.client.nodes()
        self._lines(found, lambda: nodes_table(found, terminal_width()))

    def timeline(self, events: Sequence[TimelineEvent]) -> None:
        """Print what happened to a job or a schedule."""
        self._lines(events, lambda: timeline_lines(events, terminal_width()))

    def audit(self, entries: Sequence[AuditEntry]) -> None:
        """Print who changed what."""
        self._lines(entries, lambda: audit_table(entries, terminal_width()))

    def status(self) -> None:
        """Print whether booper is ready; if the key administers, how it is doing as well."""
        found = self.client.status()
        with suppress(Unauthenticated, Forbidden):
            found |= self.client.overview()
        lines = [f"booper is {found.get('status')}", *overview_lines(found, terminal_width())]
        self.show(found, "\n".join(lines))

    def logs(self, entries: Sequence[LogEntry]) -> None:
        """Print log entries."""
        self._lines(entries, lambda: logs_table(entries, terminal_width()))

    def entries(self, entries: Sequence[LogEntry]) -> None:
        """Print entries as they come, a line each."""
        for entry in entries:
            self.show(entry, one_line(log_line(entry)))

    def _lines(self, value: Any, lines: Any) -> None:
        click.echo(to_json(value) if self.is_json else "\n".join(lines()))

    def _next_run(self, schedule: Schedule) -> datetime | None:
        if schedule.disabled_at is None:
            with suppress(NotFound):  # deleted meanwhile
                return next(
                    iter(self.client.schedules.get(schedule.id, next_runs=1).next_runs), None
                )
        return None


@contextmanager
def connected(
    url: str | None, key: str | None, config: Path | None, is_json: bool
) -> Iterator[Output]:
    """Return a client of the server that `url`, `key` or the configuration names.

    Raises:
        ConfigError: the configuration is needed, and wrong.
    """
    try:
        with (
            numbers_read_as(Number),
            Client(*_configured(url, key, config), retries=1) as client,
        ):
            yield Output(client, is_json)
    except ClientError as error:
        click.echo(printable(f"booper: {message(error, option_of('url'))}"), err=True)
        sys.exit(exit_code(error))


def _configured(url: str | None, key: str | None, path: Path | None) -> tuple[str, str | None]:
    """Return the URL of the server and the key; the file is not read where both were given."""
    if url:
        check_url(source_of("url"), url)
    if key:
        check_key(source_of("key"), key)
    if url and key:
        return url, key
    config = read_settings(path, {})
    client, listening = config.client, local_url(config.server.hosts[0], config.server.port)
    return url or client.url or listening, key or client.key or None
