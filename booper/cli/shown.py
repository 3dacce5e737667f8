"""Jobs, schedules and log entries as a person reads them: the rows of tables, and one job whole."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from booper.cli.table import pairs, table
from booper.cli.text import to_json
from booper.client import AuditEntry, Breaker, Job, LogEntry, Node, Pause, Schedule, TimelineEvent

_JOB: Final = ("id", "state", "scheduled at", "name", "what", "error")
_SCHEDULE: Final = ("id", "state", "runs", "next run", "name", "what")
_LOG: Final = ("id", "at", "job", "event")
_NODE: Final = ("number", "name", "started at", "lease renewed", "clock", "this one")
_FLEXIBLE: Final = ("name", "what", "error", "event", "runs")
_MAX_BODY: Final = 1_000
_REQUEST: Final = "worker.http.request"
_ENDINGS: Final = ("worker.http.response", "worker.http.error")


def jobs_table(jobs: Sequence[Job], width: int | None) -> list[str]:
    """Return the lines of a table of jobs."""
    rows = [
        (
            str(job.job_id),
            job.state,
            spelled(job.scheduled_at),
            job.name or "",
            _request(job.args),
            "" if job.state == "completed" else job.job.last_error or "",
        )
        for job in jobs
    ]
    return table(_JOB, rows, _FLEXIBLE, width)


def schedules_table(
    schedules: Sequence[tuple[Schedule, datetime | None]], width: int | None
) -> list[str]:
    """Return the lines of a table of schedules, each with its next run."""
    rows = [
        (
            str(schedule.id),
            _state(schedule),
            _frequency(schedule.frequency),
            spelled(next_at) if next_at else "-",
            schedule.name or "",
            _request(schedule.args),
        )
        for schedule, next_at in schedules
    ]
    return table(_SCHEDULE, rows, _FLEXIBLE, width)


def pauses_table(pauses: Sequence[Pause], width: int | None) -> list[str]:
    """Return the lines of a table of what is paused."""
    rows = [(each.target, spelled(each.paused_at)) for each in pauses]
    return table(("paused", "since"), rows, ("paused",), width)


def breakers_table(breakers: Sequence[Breaker], width: int | None) -> list[str]:
    """Return the lines of a table of origins that are only probed."""
    rows = [
        (
            each.origin,
            str(each.failures),
            spelled(each.opened_at) if each.opened_at else "",
            spelled(each.probe_at) if each.probe_at else "",
        )
        for each in breakers
    ]
    return table(("origin", "failures", "since", "next probe"), rows, ("origin",), width)


def nodes_table(nodes: Sequence[Node], width: int | None) -> list[str]:
    """Return the lines of a table of the processes that serve the database."""
    rows = [
        (
            str(each.number),
            each.name,
            spelled(each.started_at),
            _seconds(each.lease_age_seconds, "ago"),
            _seconds(each.clock_offset_seconds, "ahead"),
            "yes" if each.is_this else "",
        )
        for each in nodes
    ]
    return table(_NODE, rows, _FLEXIBLE, width)


def logs_table(entries: Sequence[LogEntry], width: int | None) -> list[str]:
    """Return the lines of a table of log entries."""
    rows = [
        (str(each.id), spelled(each.inserted_at), str(each.job_id), _event(each))
        for each in entries
    ]
    return table(_LOG, rows, _FLEXIBLE, width)


def audit_table(entries: Sequence[AuditEntry], width: int | None) -> list[str]:
    """Return the lines of a table of changes, each with who made it."""
    rows = [
        (
            spelled(each.at),
            each.key_name if each.key_id and each.key_name else "the administrator",
            each.action,
            each.object or (f"{each.jobs:,} jobs" if each.kind == "jobs" else ""),
            to_json(each.detail) if each.detail else "",
        )
        for each in entries
    ]
    return table(("at", "key", "action", "object", "detail"), rows, ("key", "detail"), width)


def timeline_lines(events: Sequence[TimelineEvent], width: int | None) -> list[str]:
    """Return what happened, a time and a sentence each; of several jobs, which one."""
    is_one = len({each.job_id for each in events}) <= 1
    items = [
        (
            spelled(each.at),
            each.text if is_one or each.job_id is None else f"job {each.job_id}: {each.text}",
        )
        for each in events
    ]
    return pairs(items, width) or ["nothing had happened by then"]


def log_line(entry: LogEntry) -> str:
    """Return an entry as one line."""
    return f"{spelled(entry.inserted_at)}  job {entry.job_id}  {_event(entry)}"


def job_details(job: Job, width: int | None = None, newest_first: Sequence[LogEntry] = ()) -> str:
    """Return what a person wants to know of one job, and of its last attempt by its log entries."""
    head = f"job {job.job_id}: {job.state}, {_request(job.args)}"
    facts = [
        ("name", job.name),
        ("at", None if job.is_finished else spelled(job.scheduled_at)),
        ("held", _held(job)),
        ("schedule", str(job.schedule_id) if job.schedule_id else None),
        ("attempt", _attempt(job)),
        ("failed", job.job.last_error),
        ("note", "it was there before, with this idempotency key" if job.has_conflict else None),
        *_last_attempt(newest_first),
    ]
    given = [(name, value) for name, value in facts if value]
    return "\n".join([head, *pairs(given, width, "  ")])


def spelled(at: datetime) -> str:
    """Return a time in UTC, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def _state(schedule: Schedule) -> str:
    """Return whether it is enabled; one that is, and whose runs cannot be planned, is in error."""
    if schedule.disabled_at is not None:
        return "disabled"
    return "enabled" if schedule.error is None else "error"


def _held(job: Job) -> str | None:
    """Return what holds a waiting job back."""
    held = job.job.held_by
    if held is None:
        return None
    since = spelled(held.since)
    if held.reason == "breaker":
        return f"{held.target} failed again and again and is only probed, since {since}"
    is_all = held.target == "*"
    what, typed = ("everything", "--all") if is_all else (held.target, held.target)
    return f"{what} is paused, since {since}; `booper resume {typed}` goes on"


def _attempt(job: Job) -> str | None:
    if not job.job.attempt:
        return None
    most = f" of {job.job.max_attempts}" if job.job.max_attempts else ""
    return f"{job.job.attempt}{most}"


def _last_attempt(newest_first: Sequence[LogEntry]) -> list[tuple[str, str]]:
    """Return what the last attempt sent, and what came back."""
    sent = next((each for each in newest_first if each.event == _REQUEST), None)
    if sent is None:
        return []
    before = newest_first[: newest_first.index(sent)]
    came = next((each for each in before if each.event in _ENDINGS), None)
    facts = [("sent", _exchanged(spelled(sent.inserted_at), sent.payload))]
    if came is not None:
        payload = came.payload
        took = payload.get("duration_ms")
        after = "" if took is None else f", after {took} ms"
        if status := payload.get("status"):
            facts.append(("received", _exchanged(f"{status}{after}", payload)))
        else:
            facts.append(("no response", f"{payload.get('message')}{after}"))
    return facts


def _exchanged(head: str, payload: dict[str, Any]) -> str:
    """Return a line, headers below it, and the body below them, which is cut if it is long."""
    headers = [f"{name}: {value}" for name, value in (payload.get("headers") or {}).items()]
    body = payload.get("body")
    text = body if isinstance(body, str) else to_json(body)
    if body is None or text in ("", "{}"):
        return "\n".join([head, *headers])
    over = len(text) - _MAX_BODY
    cut = f"{text[:_MAX_BODY]}… and {over:,} characters more" if over > 0 else text
    return "\n".join([head, *headers, cut])


def _request(args: dict[str, Any]) -> str:
    return f"{str(args.get('method') or 'get').upper()} {args.get('url')}"


def _frequency(frequency: dict[str, Any]) -> str:
    if "cron" in frequency:
        return f"{frequency['cron']} {frequency.get('timezone', 'UTC')}"
    every = frequency.get("repeat_every")
    if isinstance(every, list):
        return f"every {every[0]} {every[1]}"
    return f"every {every}" if isinstance(every, str) else f"every {every} s"


def _event(entry: LogEntry) -> str:
    payload = entry.payload if isinstance(entry.payload, dict) else {}
    detail = payload.get("status") or payload.get("message") or payload.get("url") or ""
    return f"{entry.event} {detail}".rstrip()


def _seconds(seconds: float | None, word: str) -> str:
    return "" if seconds is None else f"{seconds:.3f} s {word}"
