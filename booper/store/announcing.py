"""What a store has committed, for the one who waits for it: the loop; and for one who watches.

The writer hands over the result of every change, on the event loop and in the order of the commits,
before whoever made the change goes on. So nobody who writes a job has to tell the loop of it, and
none is missed because its caller went away.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from booper.model.job import WAITING, Job
from booper.model.schedule import Schedule
from booper.store.values import (
    BulkResult,
    Claims,
    Created,
    ScheduleChange,
    Settled,
    Subscriber,
    Watcher,
)


class Announcements:
    """The jobs of each commit that wait for their time, for one subscriber."""

    def __init__(self) -> None:
        self._subscriber: Subscriber = _ignore
        self._watcher: Watcher | None = None

    def subscribe(self, subscriber: Subscriber) -> None:
        """Announce to `subscriber` from now on, and to nobody else."""
        self._subscriber = subscriber

    def watch(self, watcher: Watcher | None) -> None:
        """Show all that is committed to `watcher`, and to nobody else; to nobody if it is None."""
        self._watcher = watcher

    def committed(self, results: Sequence[object]) -> None:
        """Announce the waiting jobs among the results of changes that were committed together."""
        if jobs := [job for job in _all_jobs(results) if job.state in WAITING]:
            self._subscriber(jobs)
        if self._watcher is not None:
            self._watcher(list(_changed(results)))


def _ignore(jobs: Sequence[Job]) -> None:
    """Ignore what was committed: there is no loop."""


def _all_jobs(results: Iterable[object]) -> list[Job]:
    jobs: list[Job] = []
    for result in results:
        if type(result) is Created:  # by far the most frequent
            jobs.append(result.job)
        elif (jobs_of := _JOBS_OF.get(type(result))) is not None:
            jobs += jobs_of(result)
    return jobs


def _changed(results: Iterable[object]) -> Iterator[Job | Schedule]:
    """Yield the jobs and schedules that these changes have written, as they are then."""
    for result in results:
        match result:
            case Job() | Schedule():
                yield result
            case Claims(begun=begun, armed=armed, held=held):
                yield from (attempt.job for attempt in begun)
                yield from armed
                yield from held
            case ScheduleChange(schedule=schedule, armed=armed):
                yield schedule
                yield from armed
            case list() | tuple():
                yield from _changed(result)
            case _:
                yield from _all_jobs((result,))


_JOBS_OF: Final[dict[type, Callable[[Any], Iterable[Job]]]] = {
    Job: lambda job: (job,),
    Settled: lambda settled: (settled.job, *settled.armed),
    Claims: lambda claims: claims.armed,
    BulkResult: lambda result: result.jobs,
    ScheduleChange: lambda change: change.armed,
    list: _all_jobs,
    tuple: _all_jobs,
}
