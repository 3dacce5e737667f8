"""Folders for temporary files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from booper.errors import StartError


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Return a new folder, which is deleted with all it holds at the end of the block.

    Raises:
        StartError: no folder for temporary files can be written.
    """
    try:
        folder = TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise StartError(
            f"no folder for temporary files can be written ({reason}): set TMPDIR to one that can"
        ) from error
    with folder as name:
        yield Path(name)
