"""Times, durations, waits and changes in words, for sentences that people read."""

from datetime import datetime, timedelta
from typing import Final

from booper.model.audit import Action, Change
from booper.model.overlap import DISABLED, MISFIRE, OVERLAP
from booper.model.schedule import Gap
from booper.model.waiting import Reason, Wait

_SECOND: Final = timedelta(seconds=1)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_EVERYTHING: Final = "*"

_SKIPPED_BECAUSE: Final = {
    OVERLAP: "the run before was not finished",
    MISFIRE: "booper was stopped, asleep or paused at that time",
    DISABLED: "the schedule was disabled",
}

_ON_JOB: Final = {
    Action.JOB_CANCEL: "cancelled by {who}",
    Action.JOB_RETRY: "sent again by {who}",
    Action.JOB_RUN: "made due at once by {who}",
    Action.JOB_REPLACE: "replaced by a create of {who}",
    Action.JOBS_CANCEL: "cancelled by {who}, with all jobs that matched a filter",
    Action.JOBS_RETRY: "sent again by {who}, with all jobs that matched a filter",
    Action.JOBS_RUN: "made due at once by {who}, with all jobs that matched a filter",
    Action.SCHEDULE_CHANGE: "changed with its schedule by {who}",
    Action.SCHEDULE_DISABLE: "cancelled because its schedule was disabled by {who}",
    Action.SCHEDULE_DELETE: "cancelled because its schedule was deleted by {who}",
    Action.SCHEDULE_RUN: "added beside the plan by {who}",
}

_ON_SCHEDULE: Final = {
    Action.SCHEDULE_CHANGE: "the schedule was changed by {who}",
    Action.SCHEDULE_DISABLE: "the schedule was disabled by {who}",
    Action.SCHEDULE_ENABLE: "the schedule was enabled by {who}",
    Action.SCHEDULE_RUN: "a run beside the plan was added by {who}",
    Action.SCHEDULE_STATE: "the schedule's $state was replaced by {who}",
}


def moment(at: datetime) -> str:
    """Return a time in UTC, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def lasting(duration: timedelta) -> str:
    """Return a duration in its two largest units: "2 h 5 min"."""
    left, parts = duration // _SECOND, list[str]()
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "under a second"


def waited_for(wait: Wait) -> str:
    """Return what a due job waits for, as it stands behind "for"."""
    match wait.reason:
        case Reason.SLOT:
            return f"a free slot to {wait.target}"
        case Reason.BREAKER:
            return f"{wait.target}, which failed again and again and was only probed"
        case Reason.PAUSE:
            what = "everything" if wait.target == _EVERYTHING else wait.target
            return f"the end of the pause of {what}"
        case Reason.PREDECESSOR:
            return "the run before it to finish"
        case Reason.STOPPED:
            return "booper, which was stopped or asleep, or could not use its store"
        case Reason.ALONE:
            return "its turn to be sent alone, because booper died while it was on its way"


def skipped_because(reason: str) -> str:
    """Return why planned times were skipped, as it stands behind "because"."""
    return _SKIPPED_BECAUSE.get(reason, reason)


def skipped(gap: Gap) -> str:
    """Return which planned times were skipped, and why."""
    times = f"{gap.count} planned times from {moment(gap.first)} to {moment(gap.last)}"
    what = times if gap.count > 1 else f"the planned time {moment(gap.first)}"
    return f"skipped {what} because {skipped_because(gap.reason)}"


def on_job(change: Change) -> str:
    """Return what a change has done to a job, and by whom."""
    return _ON_JOB.get(change.action, f"{change.action} by {{who}}").format(who=who(change))


def on_schedule(change: Change) -> str:
    """Return what a change has done to a schedule, and by whom."""
    return _ON_SCHEDULE.get(change.action, f"{change.action} by {{who}}").format(who=who(change))


def who(change: Change) -> str:
    """Return who made a change."""
    return "the administrator" if change.key_id is None else f"the key {change.key_name}"
