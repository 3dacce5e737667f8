"""Watching a running booper: one job to its end, the log entries as they are written.

booper says when something has changed, and is read then. Where it does not, it is polled: a poll
costs it one short read, and survives its restarts.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from threading import Event
from typing import Final
from uuid import UUID

import click

from booper.cli.failures import message
from booper.cli.output import Output
from booper.cli.text import printable
from booper.client import Client, ClientError, Job, LiveChange, LogEntry, Unreachable

STATUS_SECONDS: Final = 2.0

_MAX_AT_FIRST: Final = 100
# The newest may be deleted; one of those before it shows then what was seen.
_MAX_KNOWN: Final = 1_000

Pause = Callable[[float], object]


def watch(out: Output, job_id: str, every: float, pause: Pause) -> bool:
    """Show a job whenever it has changed, until it is finished; return whether it is completed.

    Raises:
        ClientError: it cannot be read any more.
    """
    shown: Job | None = None
    while True:
        job = out.client.jobs.get(job_id)
        if shown is None or job.job != shown.job:
            out.job(job)
            shown = job
        if job.is_finished:
            return job.state == "completed"
        pause(every)


def watch_status(out: Output, pause: Pause) -> None:
    """Show the status of booper again and again, until Ctrl-C.

    Raises:
        ClientError: it cannot be read any more.
    """
    while True:
        if not out.is_json:
            click.clear()
        out.status()
        pause(STATUS_SECONDS)


def tail(
    out: Output, job_id: int | None, event: str | None, lines: int, every: float, pause: Pause
) -> None:
    """Show the last entries, and each new one, until Ctrl-C.

    Raises:
        ClientError: booper refused, or was not there to begin with.
    """
    following = Tail()
    first = out.client.logs.list(job_id=job_id, event=event, limit=_MAX_AT_FIRST).data
    past = following.fresh(first)
    out.entries(past[len(past) - min(lines, len(past)) :])
    for entries in _polls(out.client, job_id, event, every, pause):
        out.entries(following.fresh(entries))


def stopped() -> Pause:
    """Return what waits so many seconds, and ends at once when the process is interrupted."""
    return Event().wait


class UntilChange:
    """What waits until a job has changed, or any job; where that is not known, a while.

    It may return early.
    """

    def __init__(self, client: Client, job_id: int | str | None, pause: Pause) -> None:
        self._client = client
        self._job_id = job_id
        self._pause = pause
        self._events: Iterator[LiveChange] | None = None

    def __call__(self, seconds: float) -> None:
        """Wait."""
        if self._events is None:
            self._events = self._client.events(job_id=self._job_id)
        try:
            next(self._events)
        except (StopIteration, ClientError):  # it stops, is an older one, or has no such job
            self._events = None
            self._pause(seconds)


def _polls(
    client: Client, job_id: int | None, event: str | None, every: float, pause: Pause
) -> Iterator[Iterable[LogEntry]]:
    """Yield all entries, newest first, repeatedly; print once when booper is gone."""
    is_gone = False
    while True:
        pause(every)
        try:
            yield client.logs.iterate(job_id=job_id, event=event)
            is_gone = False
        except Unreachable as error:
            if not is_gone:
                click.echo(
                    printable(f"booper: {message(error)}; polling until it responds"), err=True
                )
            is_gone = True


class Tail:
    """The new entries of a list that is read from its newest end again and again.

    Entries come at that end alone, whatever their times are: a request is listed with its response.
    """

    def __init__(self) -> None:
        self._seen: dict[UUID, None] = {}

    def fresh(self, newest_first: Iterable[LogEntry]) -> list[LogEntry]:
        """Return what has not been seen, oldest first; no more is read than is needed for that."""
        found = [*takewhile(lambda entry: entry.id not in self._seen, newest_first)]
        found.reverse()
        self._seen |= dict.fromkeys(entry.id for entry in found)
        for each in [*self._seen][:-_MAX_KNOWN]:
            del self._seen[each]
        return found
