"""The three standard streams of a command: they may be closed, full, or of another encoding."""

import logging
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn, TextIO

import click

log = logging.getLogger("booper")

_NAMES = {"stdin": (0, "r"), "stdout": (1, "w"), "stderr": (2, "w")}


class UnwritableError(OSError):
    """Standard output cannot be written: the disk is full, or its reader is gone."""


class _Output(TextIOWrapper):
    """Standard output, whose errors can be told from those of files."""

    def write(self, text: str) -> int:
        """Write text. Raises: UnwritableError."""
        try:
            return super().write(text)
        except OSError as error:
            raise UnwritableError(error.errno, error.strerror) from error

    def flush(self) -> None:
        """Write what is held. Raises: UnwritableError."""
        try:
            super().flush()
        except OSError as error:
            raise UnwritableError(error.errno, error.strerror) from error


def prepare() -> None:
    """Open what was closed (`>&-`), and let output escape the characters that it cannot encode.

    A socket must not get the number of a closed stream: libuv aborts the process when it closes
    one below 3, and what is printed would go to whoever is connected.
    """
    for name, (number, mode) in _NAMES.items():
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - to the end
    if type(sys.stdout) is TextIOWrapper:
        output = _output(sys.stdout)
        for name in ("stdout", "__stdout__"):  # shutil asks the second for the terminal's width
            setattr(sys, name, output)


def end_unwritable(error: UnwritableError) -> NoReturn:
    """End the process with a line, if there is a place for it."""
    discard(sys.stdout)
    with suppress(OSError):
        click.echo(f"booper: cannot write to standard output: {error.strerror}", err=True)
    discard(sys.stderr)
    sys.exit(1)


def say(text: str) -> None:
    """Print a daemon's line; one whose output cannot be written goes on, and logs that once."""
    try:
        click.echo(text)
    except OSError as error:
        discard(sys.stdout)
        log.warning("standard output cannot be written: %s", error.strerror)


def discard(stream: TextIO) -> None:
    """Send what is held, and all that follows, nowhere, or Python's own end would fail."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _output(stream: TextIOWrapper) -> _Output:
    encoding, is_unbuffered = stream.encoding, stream.write_through
    is_by_line = stream.line_buffering
    return _Output(
        stream.detach(),
        encoding,
        "backslashreplace",
        line_buffering=is_by_line,
        write_through=is_unbuffered,
    )
