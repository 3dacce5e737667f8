"""The lines of a crontab (crontab(5)): what each runs and when, or what is wrong with it.

Commands are read as cron reads them, and nothing is run. A user's crontab has five fields and a
command; a system crontab has the name of a user between them.
"""

import re
from typing import Final

import msgspec

from booper.model.cron import InvalidCron, parse
from booper.model.timezones import InvalidTimezone, check_timezone

MAX_NAME: Final = 255

_FIELDS: Final = 5
_SETTING: Final = re.compile(r"""(["']?)([A-Za-z_]\w*)\1\s*=\s*(.*)""", re.ASCII)
_ZONES: Final = ("CRON_TZ", "TZ")
"""The settings that name a zone; the first counts where there are both."""

# A `%` that no backslash stands before ends a line; what follows the first is the input.
_PERCENT: Final = re.compile(r"(?<!\\)%")

# The heads of the columns, as crontabs have them in a comment above the first line.
_HEADS: Final = re.compile(r"\bdom\b.*\bdow\b")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line that runs a command.

    `timezone` is None where the crontab names none; `input` is what the command gets at its
    standard input, `user` whom a system crontab runs it as.
    """

    line: int
    cron: str
    command: str
    name: str
    timezone: str | None = None
    input: str | None = None
    user: str | None = None


class Remark(msgspec.Struct, frozen=True):
    """What is to be known of a line."""

    line: int
    detail: str


class Crontab(msgspec.Struct, frozen=True):
    """A crontab: its commands, the lines that are wrong, and the settings that are left out."""

    entries: tuple[Entry, ...]
    faults: tuple[Remark, ...]
    left_out: tuple[Remark, ...]


def read_crontab(text: str, *, has_users: bool) -> Crontab:
    """Read a crontab; `has_users` is whether it is a system crontab."""
    reader = _Reader(has_users)
    for number, line in enumerate(text.split("\n"), 1):
        reader.read(number, line.strip())
    return Crontab(tuple(reader.entries), tuple(reader.faults), tuple(reader.left_out))


class _Reader:
    """Reads line by line; a comment names the line below it, and a zone holds until the next."""

    def __init__(self, has_users: bool) -> None:
        self._has_users = has_users
        self._comment = ""
        self._zones: dict[str, tuple[int, str]] = {}
        self.entries: list[Entry] = []
        self.faults: list[Remark] = []
        self.left_out: list[Remark] = []

    def read(self, number: int, line: str) -> None:
        """Read the next line, without the spaces around it."""
        comment, self._comment = self._comment, ""
        if line.startswith("#"):
            self._comment = _name_in(line.strip("# \t"))
        elif setting := _SETTING.fullmatch(line):
            self._set(number, setting[2], _unquoted(setting[3]))
        elif line:
            try:
                self.entries.append(self._entry(number, line, comment))
            except ValueError as error:
                self.faults.append(Remark(number, str(error)))

    def _set(self, number: int, name: str, value: str) -> None:
        if name in _ZONES:
            self._zones[name] = (number, value.removeprefix(":"))
            try:
                self._zone()
            except InvalidTimezone as error:
                self.faults.append(Remark(number, str(error)))
        else:
            self.left_out.append(Remark(number, f"{name}: a request has no environment"))

    def _zone(self) -> str | None:
        """Return the zone that holds now, None if no line names one. Raises: InvalidTimezone."""
        named = (self._zones[name][1] for name in _ZONES if name in self._zones)
        zone = next(filter(None, named), None)
        if zone is not None:
            check_timezone(zone)
        return zone

    def _entry(self, number: int, line: str, comment: str) -> Entry:
        """Read a line that runs a command. Raises: ValueError, with what would be right."""
        cron, user, rest = _columns(line, self._has_users)
        try:
            timezone = self._zone()
        except InvalidTimezone:
            at = ", ".join(str(line) for line, _ in self._zones.values())
            raise ValueError(f"its time zone is unknown (see line {at})") from None
        command, *lines = (part.replace("\\%", "%") for part in _PERCENT.split(rest))
        return Entry(
            line=number,
            cron=cron,
            command=command.rstrip(),
            name=(comment or command.strip())[:MAX_NAME],
            timezone=timezone,
            input="\n".join(lines) if lines else None,
            user=user,
        )


def _name_in(comment: str) -> str:
    """Return a comment if it can be a name: neither a line put out of use nor heads."""
    if _HEADS.search(comment) or _SETTING.fullmatch(comment):
        return ""
    try:
        _columns(comment, has_users=False)
    except ValueError:
        return comment
    return ""


def _columns(line: str, has_users: bool) -> tuple[str, str | None, str]:
    """Return the times, the user and the command of a line. Raises: ValueError."""
    count = 1 if line.startswith("@") else _FIELDS
    words = line.split(None, count)
    cron, rest = " ".join(words[:count]), "".join(words[count:])
    if len(words) < count:
        raise ValueError(
            f"expected five fields of time and a command, such as '0 9 * * * backup', got {line!r}"
        )
    try:
        parse(cron)
    except InvalidCron as error:
        raise ValueError(str(error)) from None
    if not has_users:
        return cron, None, _checked(rest, "the five fields" if count > 1 else cron)
    user, command = [*rest.split(None, 1), "", ""][:2]
    return cron, user, _checked(command, f"the user {user!r}")


def _checked(command: str, before: str) -> str:
    """Return a command. Raises: ValueError, there is none."""
    if not command or command.startswith("%"):
        raise ValueError(f"there is no command behind {before}")
    return command


def _unquoted(value: str) -> str:
    """Return the value of a setting without the quotes around it."""
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value
