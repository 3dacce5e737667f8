"""The lines of the daemon's log: text for people, or JSON for programs."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from booper.api.request_log import current_id
from booper.cli.text import ascii_json, one_line, printable
from booper.clock import wall_seconds

FORMAT = "%(asctime)s %(levelname)s %(message)s"

MAX_LINE: Final = 40_000
"""The bytes of a line of JSON: journald cuts one at 48 KiB, and no half of it would be JSON."""

MAX_MESSAGE: Final = 16_000
"""The characters of a line's message as text."""

FIELDS: Final = (
    "job_id",
    "attempt",
    "state",
    "method",
    "origin",
    "path",
    "status",
    "error",
    "duration_ms",
    "client",
    "key_id",
)
"""What a line of JSON may have from its record's `fields`, which are its `extra` to Python."""

_NO_FIELDS: Final[Mapping[str, Any]] = {}
_LEVELS: Final = {name: name.lower() for name in logging.getLevelNamesMapping()}

_encode: Final = msgspec.json.Encoder().encode


class Record(logging.LogRecord):
    """A record of what a line may show, and nothing of files and threads, which takes longer."""

    def __init__(
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        sinfo: str | None = None,
    ) -> None:
        self.name, self.msg, self.args = name, msg, args
        if args and len(args) == 1 and isinstance(args[0], Mapping) and args[0]:
            self.args = args[0]  # for `%(name)s`, as the module does it
        self.levelno, self.levelname = level, logging.getLevelName(level)
        self.exc_info, self.exc_text, self.stack_info = exc_info, None, sinfo
        self.created = wall_seconds()
        self.msecs = self.created % 1 * 1000


class _Formatter(logging.Formatter):
    """A formatter whose times are in UTC; it spells a second's time once for all its lines."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__(FORMAT)
        self.converter = time.gmtime
        self._second = -1
        self._spelled = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return a record's time in UTC with its milliseconds."""
        second = int(record.created)
        if second != self._second:
            self._spelled = time.strftime(self.default_time_format, time.gmtime(second))
            self._second = second
        return f"{self._spelled}.{int(record.msecs):03}Z"


class LineFormatter(_Formatter):
    """A formatter like `FORMAT`, for people.

    What others wrote is in some lines: it can neither begin a line nor steer a terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line, and what was raised below it."""
        request_id = current_id.get().decode("ascii")
        if record.exc_info or record.exc_text or record.stack_info:
            if request_id:
                record = logging.makeLogRecord(vars(record))
                record.msg, record.args = f"{record.getMessage()} (request {request_id})", None
            return printable(super().format(record))
        message = _shortened(record.getMessage(), MAX_MESSAGE)
        if request_id:
            message = f"{message} (request {request_id})"
        return one_line(f"{self.formatTime(record)} {record.levelname} {message}")


class JSONFormatter(_Formatter):
    """A formatter of one JSON object a line, in ASCII, whatever is in a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON, its longest texts cut where the line would be too long."""
        values = self._values(record)
        line, limit = _json(values), MAX_LINE
        while len(line) > MAX_LINE:
            limit //= 2
            line = _json({name: _shortened(value, limit) for name, value in values.items()})
        return line

    def _values(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what a record has, by the names of the fields."""
        values = {
            "time": self.formatTime(record),
            "level": _LEVELS.get(record.levelname) or record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := current_id.get():
            values["request_id"] = request_id.decode("ascii")
        values |= vars(record).get("fields", _NO_FIELDS)
        if record.exc_info:
            values["exception"] = record.exc_text or self.formatException(record.exc_info)
        elif record.exc_text:
            values["exception"] = record.exc_text
        if record.stack_info:
            values["stack"] = self.formatStack(record.stack_info)
        return values


def _json(values: dict[str, Any]) -> str:
    try:
        encoded = _encode(values)
    except (msgspec.MsgspecError, UnicodeEncodeError, TypeError, NotImplementedError):
        encoded = _encode({name: _plain(value) for name, value in values.items()})
    return ascii_json(encoded)


def _plain(value: object) -> object:
    """Return a value that JSON can say; half of a surrogate pair is spelled out."""
    if isinstance(value, int | float):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode()


def _shortened(value: Any, limit: int) -> Any:
    """Return a value whose text has at most so many characters, from its two ends."""
    if not isinstance(value, str) or len(value) <= limit:
        return value
    half = limit // 2
    return f"{value[:half]} … {len(value) - 2 * half} characters … {value[-half:]}"
