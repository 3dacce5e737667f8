"""How booper is doing, as a person reads it: the lines of `booper status`."""

from collections.abc import Iterator, Mapping
from typing import Any

from booper.cli.table import pairs

_UNITS = ("B", "kB", "MB", "GB", "TB")


def overview_lines(found: Mapping[str, Any], width: int | None) -> list[str]:
    """Return the lines of what `/api/status` has, none of a status that has nothing of it."""
    return pairs(list(_items(found)), width) if "version" in found else []


def _items(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "version", f"{found['version']}, Python {found['python']}, SQLite {found['sqlite']}"
    jobs, due, slots = found["jobs"], found["due"], found["slots"]
    yield "jobs", ", ".join(f"{count:,} {state}" for state, count in jobs.items())
    if due["count"]:
        more = "+" if due["are_more"] else ""
        yield "overdue", f"{due['count']:,}{more}, since {_time(due['oldest_at'])}"
    yield "last hour", _rates(found["last_hour"])
    busiest = ", ".join(f"{origin} {count}" for origin, count in slots["origins"].items())
    yield "in flight", f"{slots['taken']} of {slots['total']}{busiest and ': '}{busiest}"
    yield "reports", f"{found['reports_waiting']:,} waiting"
    for each in found["pauses"]:
        target = "everything" if each["target"] == "*" else each["target"]
        yield "paused", f"{target}, since {_time(each['paused_at'])}"
    for each in found["breakers"]:
        yield "failing", f"{each['origin']}, probed since {_time(each['opened_at'])}"
    sizes = [f"{part} {_size(size)}" for part, size in found["database_bytes"].items()]
    if found["disk_free_bytes"] is not None:
        sizes[-1] += f"; {_size(found['disk_free_bytes'])} free on the disk"
    yield "database", ", ".join(sizes)
    if found["backups"] is not None:
        yield "backups", _backups(found["backups"])
    for each in found["alerts"]["open"]:
        subject = f" {each['subject']}" if each["subject"] else ""
        count = f" ({each['count']:,} times)" if each["count"] > 1 else ""
        yield (
            "alert",
            f"{each['kind']}{subject}, since {_time(each['since'])}: {each['detail']}{count}",
        )
    if found["alerts"]["error"]:
        yield "alerts", f"cannot be sent: {found['alerts']['error']}"


def _rates(rates: Mapping[str, Any]) -> str:
    counts = [f"{rates[name]:,} {name}" for name in ("completed", "failed", "discarded", "skipped")]
    if rates["late_seconds"] is not None:
        counts.append(f"99 % at most {rates['late_seconds']:g} s late")
    return ", ".join(counts)


def _backups(backups: Mapping[str, Any]) -> str:
    last = "none yet" if backups["last_at"] is None else f"the last at {_time(backups['last_at'])}"
    late = ", too old" if backups["is_late"] else ""
    return "; ".join(filter(None, [f"{last}{late}", backups["error"]]))


def _time(text: str) -> str:
    return f"{text[:19].replace('T', ' ')}Z"


def _size(count: float) -> str:
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
