"""The first API key in a file beside the database, until somebody has seen it on a terminal.

A process log is kept and read by others; this file is its owner's alone. It goes when the key is
revoked.
"""

import logging
import os
from pathlib import Path

from booper.errors import StartError
from booper.model.key import digest_of

log = logging.getLogger("booper")


class FirstKeyFile:
    """`<database>.first-key`, which may not be there."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}.first-key")

    def write(self, key: str) -> None:
        """Write a key, durably, in place of what an earlier start that failed has left.

        Raises:
            StartError: it cannot be written.
        """
        try:
            self.path.unlink(missing_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{key}\n")
                file.flush()
                os.fsync(descriptor)
        except OSError as error:
            raise StartError(
                f"cannot write the first API key to {self.path}: {error.strerror}"
            ) from error

    def digest(self) -> bytes | None:
        """Return the digest of the key in the file, None where there is none."""
        try:
            return digest_of(self.path.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            return None

    def remove(self) -> None:
        """Remove the file, if it is there."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            log.error("cannot remove %s: %s; remove it yourself", self.path, error.strerror)
