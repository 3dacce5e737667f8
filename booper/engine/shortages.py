"""Pauses after this machine lacked something: an attempt that met that is made again, uncounted."""

import logging
from datetime import datetime, timedelta

from booper.errors import Shortage

log = logging.getLogger("booper")

# The pause before an attempt is made again; it doubles while every attempt meets a shortage.
FIRST_PAUSE = timedelta(seconds=1)
MAX_PAUSE = timedelta(seconds=10)

# A shortage meets many attempts at once; one line in this time reports all.
LOG_EVERY = timedelta(seconds=10)


class Shortages:
    """The shortages in a row: how long to pause after the next one, and when it is logged."""

    def __init__(self) -> None:
        self._pause = timedelta(0)
        self._paused_until: datetime | None = None
        self._logged_at: datetime | None = None
        self._unlogged = 0

    def pause_after(self, error: Shortage, now: datetime) -> timedelta:
        """Return how long to wait before an attempt that met a shortage is made again; log it.

        Attempts that meet it together pause alike.
        """
        until = self._paused_until
        if until is None or not until - MAX_PAUSE <= now < until:
            self._pause = max(FIRST_PAUSE, min(2 * self._pause, MAX_PAUSE))
            self._paused_until = now + self._pause
        pause = self._pause
        self._unlogged += 1
        if self._logged_at is None or not timedelta(0) <= now - self._logged_at < LOG_EVERY:
            log.error(
                "%d attempts could not be made: %s; they are given back, uncounted, and made "
                "again in %g s",
                self._unlogged,
                error,
                pause.total_seconds(),
            )
            self._logged_at, self._unlogged = now, 0
        return pause

    def end(self) -> None:
        """Note that an attempt was made."""
        if self._paused_until is not None:
            self._pause, self._paused_until = timedelta(0), None
