"""Whether a database is whole: what SQLite can tell of a file."""

import sqlite3

# Pages, rows, indexes, CHECKs and NOT NULLs (https://www.sqlite.org/pragma.html).
INTEGRITY = "PRAGMA integrity_check(20)"


def check_integrity(connection: sqlite3.Connection) -> list[str]:
    """Return what is damaged, at most 20 lines; nothing of a file that is whole."""
    found = [str(line) for (line,) in connection.execute(INTEGRITY)]
    return [] if found == ["ok"] else found
