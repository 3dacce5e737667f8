"""The daemon's log on its way to a stream: the lines of one turn of the event loop go together."""

import asyncio
import logging
import logging.config
import sys
import threading
from typing import TextIO

from booper.cli.log_lines import JSONFormatter, LineFormatter, Record
from booper.log_settings import Logging

log = logging.getLogger("booper")


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


def log_to(stream: TextIO, settings: Logging) -> None:
    """Log to a stream as the settings say, from now on; no more is looked up than a line shows.

    (https://docs.python.org/3/howto/logging.html#optimization)
    """
    logging._srcfile = None
    logging.setLogRecordFactory(Record)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": _formatter(stream, settings)}},
            "handlers": {"stream": {"()": LineHandler, "stream": stream, "formatter": "line"}},
            "root": {"handlers": ["stream"], "level": settings.level.upper()},
            "loggers": {
                "uvicorn": {"level": "ERROR" if settings.level == "error" else "WARNING"},
                "booper.requests": {"level": "NOTSET" if settings.access else "WARNING"},
            },
        }
    )
    logging.captureWarnings(True)
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread


def is_json(stream: TextIO, settings: Logging) -> bool:
    """Return whether a log to this stream is JSON."""
    return settings.format == "json" or (settings.format == "auto" and not stream.isatty())


def _formatter(stream: TextIO, settings: Logging) -> type[logging.Formatter]:
    return JSONFormatter if is_json(stream, settings) else LineFormatter


def _log_unraisable(raised: "sys.UnraisableHookArgs") -> None:
    """Log what was raised where nobody can catch it, as in a finalizer."""
    error = raised.exc_value
    log.error("%s: %r", raised.err_msg or "ignored", raised.object, exc_info=error)


def _log_thread(raised: threading.ExceptHookArgs) -> None:
    """Log what has ended a thread."""
    if raised.exc_type is not SystemExit and raised.exc_value is not None:
        name = raised.thread.name if raised.thread else "unknown"
        log.error("the thread %s has failed", name, exc_info=raised.exc_value)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
