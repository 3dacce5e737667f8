"""The lines of a crontab as creates, compared with the schedules that are there.

The idempotency key of a line is made of its user, command and input. So a line whose time or name
has changed is found again, and its schedule is changed in place.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import quote

from booper.cli.failures import message
from booper.client import Client, Invalid, InvalidArgument, Preview
from booper.client.fields import Creation
from booper.model.args import METHODS_WITH_BODY
from booper.model.crontab import Crontab, Entry, Remark, read_crontab
from booper.model.timezones import InvalidTimezone, check_timezone

MAX_LINES: Final = 1_000
"""As many creates as one request may have."""

STANDARD_INPUT: Final = Path("-")
LOCALTIME: Final = Path("/etc/localtime")
_ZONES: Final = "/zoneinfo/"
_SYSTEM: Final = (Path("/etc/crontab"), Path("/etc/cron.d"))
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_COMPARED: Final = ("method", "url", "cron", "timezone", "headers", "body")

Result = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is the same for each line; without a timezone it is that of this machine."""

    template: str
    method: str
    headers: Mapping[str, str]
    timezone: str | None
    prefix: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A line and the create that it becomes; `refusal` is why its target is not reached now."""

    entry: Entry
    fields: Creation
    result: Result
    next_at: datetime | None
    refusal: str | None


def read_file(file: Path, *, has_users: bool) -> Crontab:
    """Read a crontab. Raises: InvalidArgument."""
    if not has_users and any(file.absolute().is_relative_to(each) for each in _SYSTEM):
        raise InvalidArgument(f"{file} is a system crontab, whose lines name a user; add --system")
    source = "standard input" if file == STANDARD_INPUT else str(file)
    try:
        raw = sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
        found = read_crontab(raw.decode("utf-8-sig"), has_users=has_users)
    except OSError as error:
        raise InvalidArgument(
            f"{source} cannot be read: {error.strerror}; name a crontab, or - for standard input"
        ) from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidArgument(f"{source} is not in UTF-8: line {line}") from error
    if len(found.entries) > MAX_LINES:
        raise InvalidArgument(
            f"{source} has {len(found.entries)} lines; import at most {MAX_LINES} at a time"
        )
    return found


def planned_lines(
    client: Client, found: Crontab, wanted: Wanted, faults: list[Remark]
) -> Iterator[Planned]:
    """Compare each line with what is there; those that booper refuses are added to the faults.

    A target that cannot be reached now is none of these: a create does not ask for it either.
    """
    seen = Counter[str]()
    zone = _zone(wanted, found.entries)
    for entry in found.entries:
        key = _key(wanted.prefix, entry)
        seen[key] += 1
        name = key if seen[key] == 1 else f"{key}:{seen[key]}"
        fields = _fields(entry, wanted, entry.timezone or zone, name)
        try:
            preview = client.jobs.preview(**fields)
        except Invalid as error:
            faults.append(Remark(entry.line, message(error)))
            continue
        next_at = preview.next_runs[0] if preview.next_runs else None
        result = _result(client, preview, fields)
        yield Planned(entry, fields, result, next_at, preview.guard.reason)


def _fields(entry: Entry, wanted: Wanted, timezone: str, key: str) -> Creation:
    """Return the create of a line. Raises: InvalidArgument, the template is wrong."""
    fields: dict[str, Any] = {
        "method": wanted.method,
        "url": _filled(wanted.template, entry),
        "cron": entry.cron,
        "timezone": timezone,
        "name": entry.name,
        "idempotency_key": key,
        "on_conflict": "replace",
    }
    if wanted.headers:
        fields["headers"] = dict(wanted.headers)
    if wanted.method.upper() in METHODS_WITH_BODY:
        parts = {"command": entry.command, "input": entry.input, "user": entry.user}
        fields["body"] = {name: _plain(text) for name, text in parts.items() if text is not None}
    return cast(Creation, fields)


def _plain(text: str) -> str:
    """Return text of a body that is no reference to `$state` and the like."""
    return f"${text}" if text.startswith("$") else text


def _filled(template: str, entry: Entry) -> str:
    """Return a URL with the parts of a line in it. Raises: InvalidArgument."""
    parts = {"command": entry.command, "name": entry.name, "user": entry.user}

    def part(found: re.Match[str]) -> str:
        text = parts.get(found[1])
        if text is None:
            known = ", ".join(f"{{{name}}}" for name, text in parts.items() if text is not None)
            hint = "; only lines of a system crontab (--system) name a user"
            raise InvalidArgument(
                f"--url: {found[0]!r} is no part of a line; write {known}"
                + (hint if found[1] == "user" else "")
            )
        return quote(text, safe="")

    return _FIELD.sub(part, template)


def _key(prefix: str, entry: Entry) -> str:
    """Return a line's idempotency key: the same however often it is imported, at any time."""
    parts = "\0".join((entry.user or "", entry.command, entry.input or ""))
    return f"{prefix}:{sha256(parts.encode()).hexdigest()[:32]}"


def _zone(wanted: Wanted, entries: Sequence[Entry]) -> str:
    """Return the zone of lines without one. Raises: InvalidArgument, it is needed and not known."""
    if wanted.timezone is not None:
        try:
            check_timezone(wanted.timezone)
        except InvalidTimezone as error:
            raise InvalidArgument(f"--timezone: {error}") from error
        return wanted.timezone
    if all(entry.timezone for entry in entries):
        return "UTC"  # for none of them
    zone = local_zone(os.environ, LOCALTIME)
    if zone is None:
        raise InvalidArgument(
            "the time zone of this machine has no name; give it by --timezone, such as "
            "--timezone Europe/Berlin"
        )
    return zone


def local_zone(environment: Mapping[str, str], localtime: Path) -> str | None:
    """Return the name of a machine's zone, as `TZ` or `/etc/localtime` have it; None without one.

    A machine without either has UTC (localtime(5)).
    """
    named = environment.get("TZ", "").removeprefix(":")
    if not named:
        if not os.path.lexists(localtime):
            return "UTC"
        named = os.path.realpath(localtime).rpartition(_ZONES)[2]
    try:
        check_timezone(named)
    except InvalidTimezone:
        return None
    return named


def _result(client: Client, preview: Preview, fields: Creation) -> Result:
    """Return whether a schedule of this key is there, and whether it is the same.

    One with a secret header is never known to be: booper does not show its value.
    """
    if preview.conflict is None or preview.conflict.schedule_id is None:
        return "new"
    there = client.schedules.get(preview.conflict.schedule_id)
    is_same = there.name == fields.get("name") and all(
        (there.args.get(name) or None) == (fields.get(name) or None) for name in _COMPARED
    )
    return "unchanged" if is_same else "changed"
