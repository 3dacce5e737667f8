"""The copy of a database from before its schema was changed, beside it; one is kept."""

import logging
from pathlib import Path

from booper.errors import BooperError, StartError
from booper.store.sqlite.backup import back_up, check_room, size_of
from booper.store.sqlite.unnamed import remove_left

log = logging.getLogger("booper.store")


def copy_before_upgrade(database: Path, version: int) -> None:
    """Copy a database that has schema `version` to `DATABASE.schema-VERSION`.

    The copy and the upgrade must both have room. An upgrade that was killed is made again with a
    new copy: the database has still its old schema then. Older copies are removed.

    Raises:
        StartError: there is too little room, or the copy could not be made.
    """
    real = database.resolve()
    target = real.with_name(f"{real.name}.schema-{version}")
    log.warning("%s has schema %d: it is copied to %s, then upgraded", database, version, target)
    try:
        # A migration may write every page anew: to the log, and from there to the file.
        check_room(real.parent, 3 * size_of(real), f"the upgrade of {database}, with a copy,")
        back_up(real, target, overwrite=True)
        for path in real.parent.glob(f"{real.name}.schema-*"):
            if path != target and path.name.rpartition("-")[2].isdigit():
                path.unlink()
        remove_left(real.parent, f".{real.name}.schema-")
    except OSError as error:
        raise StartError(f"cannot copy {database} before its upgrade: {error.strerror}") from error
    except BooperError as error:
        raise StartError(f"{error}; --no-copy upgrades without a copy") from error


def no_copy(database: Path, version: int) -> None:
    """Log that a database is upgraded without a copy."""
    log.warning("%s has schema %d: it is upgraded without a copy", database, version)
