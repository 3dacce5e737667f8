"""Asking a running booper for a command: the client, what is printed, and how errors end.

Exit codes: 1 booper refused, 2 what was typed cannot be sent, 3 no answer came.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from booper.cli.addresses import local_url
from booper.cli.settings import read_settings, source_of
from booper.cli.text import printable, to_json
from booper.client import (
    Client,
    ClientError,
    InvalidArgument,
    Job,
    LogEntry,
    Schedule,
    Unreachable,
)
from booper.client.arguments import check_key, check_url
from booper.client.fields import duration
from booper.model.duration import EXAMPLES
from booper.model.moment import InvalidMoment, parse_moment

_SCHEDULE = ("id", "state", "runs", "what")
_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Asking:
    """A client of the booper that is asked, and whether a program reads what is printed."""

    client: Client
    is_json: bool

    def show(self, value: Any, text: str) -> None:
        """Print a value: as JSON for programs, as `text` for people."""
        click.echo(to_json(value) if self.is_json else printable(text))

    def jobs(self, jobs: Sequence[Job]) -> None:
        """Print jobs."""
        self._table(jobs, [_job_row(job) for job in jobs], ("id", "state", "scheduled at", "what"))

    def schedules(self, schedules: Sequence[Schedule]) -> None:
        """Print schedules."""
        self._table(schedules, [_schedule_row(each) for each in schedules], _SCHEDULE)

    def schedule(self, schedule: Schedule) -> None:
        """Print one schedule: a table of one row, but no list in JSON."""
        self._table(schedule, [_schedule_row(schedule)], _SCHEDULE)

    def logs(self, entries: Sequence[LogEntry]) -> None:
        """Print log entries."""
        rows = [
            (str(each.id), _time(each.inserted_at), str(each.job_id), _event(each))
            for each in entries
        ]
        self._table(entries, rows, ("id", "at", "job", "event"))

    def entries(self, entries: Sequence[LogEntry]) -> None:
        """Print entries as they come, a line each."""
        for entry in entries:
            line = f"{_time(entry.inserted_at)}  job {entry.job_id}  {_event(entry)}"
            self.show(entry, line)

    def _table(self, value: Any, rows: Sequence[tuple[str, ...]], heads: tuple[str, ...]) -> None:
        if self.is_json:
            click.echo(to_json(value))
            return
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        for row in (heads, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo(printable("  ".join(cells).rstrip()))


@contextmanager
def asking(
    url: str | None, key: str | None, config: Path | None, is_json: bool
) -> Iterator[Asking]:
    """Ask the booper at `url` with `key`, else as the configuration says; end with an exit code.

    Raises:
        ConfigError: the configuration is needed, and wrong.
    """
    try:
        with Client(*_configured(url, key, config), retries=1) as client:
            yield Asking(client, is_json)
    except ClientError as error:
        click.echo(printable(f"booper: {error}"), err=True)
        sys.exit(_exit_code(error))


def _exit_code(error: ClientError) -> int:
    match error:
        case InvalidArgument():
            return 2
        case Unreachable():
            return 3
        case _:
            return 1


def _configured(url: str | None, key: str | None, path: Path | None) -> tuple[str, str | None]:
    """Return whom to ask and with which key; the file is not read where both were given."""
    if url:
        check_url(source_of("url"), url)
    if key:
        check_key(source_of("key"), key)
    if url and key:
        return url, key
    config = read_settings(path, {})
    asked = config.client
    return url or asked.url or local_url(
        config.server.hosts[0], config.server.port
    ), key or asked.key or None


def told(job: Job) -> str:
    """Tell a person of one job."""
    lines = [f"job {job.job_id}: {job.state}, {_request(job.args)}"]
    if not job.is_finished:
        lines.append(f"  at        {_time(job.scheduled_at)}")
    if job.schedule_id is not None:
        lines.append(f"  schedule  {job.schedule_id}")
    if job.has_conflict:
        lines.append("  it was there before, with this idempotency key")
    if job.job.last_error:
        lines.append(f"  failed    {job.job.last_error} (attempt {job.job.attempt})")
    return "\n".join(lines)


def _job_row(job: Job) -> tuple[str, ...]:
    return str(job.job_id), job.state, _time(job.scheduled_at), _request(job.args)


def _schedule_row(schedule: Schedule) -> tuple[str, ...]:
    state = "disabled" if schedule.disabled_at else "enabled"
    what = _request(schedule.args)
    return str(schedule.id), state, _frequency(schedule.frequency), what


def _request(args: dict[str, Any]) -> str:
    return f"{str(args.get('method') or 'get').upper()} {args.get('url')}"


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def _frequency(frequency: dict[str, Any]) -> str:
    if "cron" in frequency:
        return f"{frequency['cron']} {frequency.get('timezone', 'UTC')}"
    every = frequency.get("repeat_every")
    return f"every {every} s" if not isinstance(every, list) else f"every {every[0]} {every[1]}"


def _event(entry: LogEntry) -> str:
    payload = entry.payload if isinstance(entry.payload, dict) else {}
    detail = payload.get("status") or payload.get("message") or payload.get("url") or ""
    return f"{entry.event} {detail}".rstrip()


def fields_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `--data`: one JSON object, or `name=value` as often as there are fields.

    Raises:
        InvalidArgument: one is neither.
    """
    if len(pairs) == 1 and pairs[0].lstrip().startswith("{"):
        try:
            value: dict[str, Any] = json.loads(pairs[0], parse_float=Decimal)
        except ValueError as error:
            raise InvalidArgument(f"--data: expected JSON or name=value: {error}") from error
        return value
    return split_pairs("--data", pairs, "=")


def split_pairs(option: str, pairs: Sequence[str], sign: str) -> dict[str, Any]:
    """Read pairs of a name and a value. Raises: InvalidArgument, also for a name given twice."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, is_pair, value = pair.partition(sign)
        if not is_pair or not name.strip():
            raise InvalidArgument(f"{option}: expected name{sign}value, got {pair!r}")
        if name in found:
            raise InvalidArgument(f"{option}: {name!r} is given twice; JSON can hold a list")
        if sign == ":" and name.lower() in map(str.lower, found):
            raise InvalidArgument(f"{option}: {name!r} is given twice, in different letter case")
        found[name] = value.strip() if sign == ":" else value
    return found


def duration_of(option: str, text: str) -> str | float:
    """Read a duration: an amount and a unit, or seconds.

    Raises:
        InvalidArgument: it is neither.
    """
    read = _number_or_text(text)
    try:
        duration(option, read)
    except InvalidArgument as error:
        raise InvalidArgument(
            f"{option}: expected a duration such as {EXAMPLES}, or seconds, got {text!r}"
        ) from error
    return read


def moment_of(option: str, text: str) -> str:
    """Check a point in time: ISO 8601, or a Unix time; how far off it may be, the server says.

    Raises:
        InvalidArgument: it is neither.
    """
    try:
        parse_moment(text, None)
    except InvalidMoment as error:
        raise InvalidArgument(f"{option}: {error}") from error
    return text


def _number_or_text(text: str) -> str | float:
    """Read a number that was typed; what is none stays text, for others to read."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return text
    return float(text) if found[1] else int(text)
