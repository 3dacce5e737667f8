"""The SQL of the filters of a list of jobs that no index of lists leads to."""

import sqlite3

from booper.store.searching import searched_values
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


def add_functions(connection: sqlite3.Connection) -> None:
    """Add the functions that filters need beside SQL."""
    connection.create_function("booper_values", 1, searched_values, deterministic=True)


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
