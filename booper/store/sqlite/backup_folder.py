"""A folder of backups of one database, named by their times: how many are kept, and which."""

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from booper.errors import BooperError
from booper.store.sqlite.backup import back_up, check_there
from booper.store.sqlite.unnamed import Guarded, remove_left

_TIME: Final = "%Y%m%dT%H%M%SZ"


class BackupFolder:
    """Backups of `database` in `folder`, such as `booper-20300131T120000Z.db`.

    Of those, the `keep` newest are kept when one is made, or all if it is None. Other files are
    left alone.
    """

    def __init__(self, database: Path, folder: Path, keep: int | None) -> None:
        self._database = database
        self._folder = folder
        self._keep = keep
        stem, suffix = re.escape(database.stem), re.escape(database.suffix)
        self._name = re.compile(rf"{stem}-(\d{{8}}T\d{{6}}Z){suffix}")

    def newest_at(self, now: datetime) -> datetime | None:
        """Return when the newest backup until `now` was made, None if there is none.

        Raises:
            BooperError: the folder cannot be read.
        """
        times = map(self._time_of, self._found(now))
        return max((time for time in times if time <= now), default=None)

    def make(
        self,
        now: datetime,
        is_stopped: Callable[[], bool] = lambda: False,
        guarded: Guarded = nullcontext,
    ) -> tuple[Path, int]:
        """Make a backup, then remove the oldest; return its path and its bytes.

        Nothing is removed if it could not be made.

        Raises:
            StartError: there is no database.
            BooperError: the backup could not be made.
        """
        database = self._database
        target = self._folder / f"{database.stem}-{now.strftime(_TIME)}{database.suffix}"
        check_there(database)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            remove_left(self._folder, f".{database.stem}-")
        except OSError as error:
            raise BooperError(f"cannot write to {self._folder}: {error.strerror}") from error
        size = back_up(database, target, is_stopped=is_stopped, guarded=guarded)
        if self._keep is not None:
            self._remove_oldest(now, self._keep)
        return target, size

    def _remove_oldest(self, now: datetime, keep: int) -> None:
        for path in self._found(now)[:-keep]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise BooperError(f"cannot remove {path}: {error.strerror}") from error

    def _found(self, now: datetime) -> Sequence[Path]:
        """Return the backups that are there, in the order in which they make room for others.

        Oldest first, behind those whose times lie ahead: they were made under a clock that was
        wrong, and must not outlive all others.
        """
        try:
            paths = [path for path in self._folder.iterdir() if self._name.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BooperError(f"cannot read {self._folder}: {error.strerror}") from error
        return sorted(paths, key=lambda path: ((at := self._time_of(path)) <= now, at))

    def _time_of(self, path: Path) -> datetime:
        found = self._name.fullmatch(path.name)
        assert found is not None
        return datetime.strptime(found[1], _TIME).replace(tzinfo=UTC)
