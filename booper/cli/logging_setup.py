"""The daemon's log on its way to a stream: the lines of one turn of the event loop go together."""

import asyncio
import logging
import time
from typing import TextIO

from booper.cli.text import one_line, printable

FORMAT = "%(asctime)s %(levelname)s %(message)s"


class LineHandler(logging.Handler):
    """A log handler that writes the lines of one turn of the event loop together, below WARNING.

    Each write is a system call that gives up the interpreter's lock, so that a line for each of
    many jobs would have the event loop wait for other threads as often.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._held: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or hold it until the end of the loop's turn."""
        try:
            self._held.append(f"{self.format(record)}\n")
        except Exception:  # as every handler does: a line that cannot be spelled ends nothing else
            self.handleError(record)
            return
        loop = _running_loop()
        if loop is None or record.levelno >= logging.WARNING:
            self.flush()
        elif len(self._held) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is held; a stream that takes it no more loses it, for where else to tell."""
        self.acquire()
        try:
            held, self._held = self._held, []
            if held:
                self._stream.write("".join(held))
                self._stream.flush()
        except (OSError, ValueError):
            pass
        finally:
            self.release()


class LineFormatter(logging.Formatter):
    """A formatter like `FORMAT`, in UTC, that spells a second's time of day once for all its lines.

    What others wrote is in some of them: it can neither begin a line nor steer a terminal.
    """

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__(FORMAT)
        self.converter = time.gmtime
        self._second = -1
        self._spelled = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line, and what was raised below it."""
        if record.exc_info or record.exc_text or record.stack_info:
            return printable(super().format(record))
        return one_line(f"{self.formatTime(record)} {record.levelname} {record.getMessage()}")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return a record's time in UTC with its milliseconds."""
        second = int(record.created)
        if second != self._second:
            self._spelled = time.strftime(self.default_time_format, time.gmtime(second))
            self._second = second
        return f"{self._spelled}.{int(record.msecs):03}Z"


def log_to(stream: TextIO) -> None:
    """Log to a stream from INFO up; no more is looked up for a line than it shows.

    (https://docs.python.org/3/howto/logging.html#optimization)
    """
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = LineHandler(stream)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
