"""The SQL of the filters of a list of jobs that no index of lists leads to."""

import re
import sqlite3
from typing import Final

import msgspec

from booper.store.values import JobFilter

TAG = "AND EXISTS (SELECT 1 FROM job_tags WHERE tag = :tag AND job_id = jobs.id)"
SCHEDULE = "AND +schedule_id = :schedule_id"
REPORTS = "AND +parent_id = :reports_of"
# The URL where `encode_args` writes it, behind a method at most: to parse a whole body costs
# milliseconds. A prefix by comparison, since LIKE would read % and _ in a URL.
# A host means all its origins, with a port those of that port, and an origin itself (RFC 6454).
HOST = """
AND (origin IN (:host, 'http://' || :host, 'https://' || :host)
    OR origin = CASE WHEN :host LIKE '%:80' THEN 'http://' || substr(:host, 1, length(:host) - 3)
        WHEN :host LIKE '%:443' THEN 'https://' || substr(:host, 1, length(:host) - 4) END
    OR substr(origin, 1, length(:host) + 8) = 'http://' || :host || ':'
    OR substr(origin, 1, length(:host) + 9) = 'https://' || :host || ':')
"""
URL_PREFIX = """
AND substr(args, instr(args, '"url":"') + 7, length(:url_prefix)) = :url_prefix
"""
# Most rows are passed over by the first comparison. What it finds may be the name of a field, or
# stand in the headers, whose values can be secret: the function knows.
TEXT = r"""
AND CASE WHEN args LIKE :text ESCAPE '\' THEN booper_values(args) LIKE :text ESCAPE '\' ELSE 0 END
"""

_IN_PATTERN: Final = re.compile(r"[\\%_]")


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that filters need beside SQL."""
    connection.create_function("booper_values", 1, searched_values, deterministic=True)


def searched_values(args: str) -> str:
    """Return the JSON of each value in stored args but the headers, in lines."""
    fields = msgspec.json.decode(args, type=dict[str, msgspec.Raw])
    return b"\n".join(value for name, value in fields.items() if name != "headers").decode()


def apart(wanted: JobFilter) -> str:
    """Return the filters that the streams' indexes know nothing of."""
    given = {
        TAG: wanted.tag,
        SCHEDULE: wanted.schedule_id,
        URL_PREFIX: wanted.url_prefix,
        HOST: wanted.host,
        REPORTS: wanted.reports_of,
        TEXT: wanted.text,
    }
    return " ".join(clause for clause, value in given.items() if value is not None)


def in_json(text: str | None) -> str | None:
    """Return text as it stands within a JSON string; what it begins with, begins the string."""
    return None if text is None else msgspec.json.encode(text).decode()[1:-1]


def pattern(text: str | None) -> str | None:
    """Return the pattern of LIKE for what has a text within its JSON."""
    if text is None:
        return None
    return f"%{_IN_PATTERN.sub(lambda found: f'{chr(92)}{found[0]}', in_json(text) or '')}%"
