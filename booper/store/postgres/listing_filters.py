"""The SQL of the filters of a list of jobs that no index of lists leads to."""

from collections.abc import Mapping
from typing import Final

from booper.store.postgres.values import text_in
from booper.store.searching import in_json, pattern
from booper.store.values import JobFilter

TAG: Final = "AND tags @> ARRAY[%(tag)s]"
SCHEDULE: Final = "AND schedule_id = %(schedule_id)s"
REPORTS: Final = "AND parent_id = %(reports_of)s"

# A host means all its origins, with a port those of that port, and an origin itself (RFC 6454).
HOST: Final = """
AND (origin = ANY(%(origins)s) OR starts_with(origin, %(http_host)s)
    OR starts_with(origin, %(https_host)s))
"""

# The URL where `encode_args` writes it, behind a method at most: a long text is read no further. A
# prefix by comparison, since LIKE would read % and _ in a URL.
URL_PREFIX: Final = """
AND substr(args, strpos(left(args, 1000), '"url":"') + 7, char_length(%(url_prefix)s::text))
    = %(url_prefix)s
"""

# Most rows are passed over by this. What it finds may be the name of a field, or stand in the
# headers: `booper.store.searching.has_text` decides. The collation knows the case of ASCII alone.
MAY_HAVE_TEXT: Final = """args COLLATE "C" ILIKE %(text)s"""


def apart(wanted: JobFilter) -> str:
    """Return the filters that the streams' indexes know nothing of, but that of a text."""
    given = {
        TAG: wanted.tag,
        SCHEDULE: wanted.schedule_id,
        REPORTS: wanted.reports_of,
        HOST: wanted.host,
        URL_PREFIX: wanted.url_prefix,
    }
    return " ".join(clause for clause, value in given.items() if value is not None)


def is_apart(wanted: JobFilter) -> bool:
    """Return whether there are filters that the streams' indexes know nothing of."""
    return bool(apart(wanted)) or wanted.text is not None


def reads_args(wanted: JobFilter) -> bool:
    """Return whether a filter reads what jobs send."""
    return wanted.url_prefix is not None or wanted.text is not None


def filter_values(wanted: JobFilter) -> Mapping[str, object]:
    """Return the values of the SQL of these filters."""
    host = text_in(wanted.host)
    return {
        "tag": text_in(wanted.tag),
        "schedule_id": wanted.schedule_id,
        "reports_of": wanted.reports_of,
        "url_prefix": in_json(wanted.url_prefix),
        "text": pattern(wanted.text),
        "origins": None if host is None else _origins(host),
        "http_host": None if host is None else f"http://{host}:",
        "https_host": None if host is None else f"https://{host}:",
    }


def _origins(host: str) -> list[str]:
    """Return the origins that a host means, but those of it with a port."""
    origins = [host, f"http://{host}", f"https://{host}"]
    if host.endswith(":80"):
        origins.append(f"http://{host.removesuffix(':80')}")
    if host.endswith(":443"):
        origins.append(f"https://{host.removesuffix(':443')}")
    return origins
