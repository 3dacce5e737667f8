"""Jobs without what they send: their args have no more than a method and a URL.

A page of jobs then costs what it shows, however large their bodies are: of the args the first
kilobytes are read, and not the chain of pages behind them.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from booper.model.job import Job
from booper.store.sqlite.job_columns import NAMES, job_of

# The method and the URL where `encode_args` writes them.
_HEAD: Final = re.compile(rb'\{(?:"method":"[^"\\]*",)?"url":"(?:[^"\\]|\\.)*"')
_HEAD_BYTES: Final = 34 * 1024

FETCH_BRIEF: Final = f"""
SELECT {", ".join("NULL" if name == "args" else name for name in NAMES)}
FROM (SELECT key AS place, value AS number FROM json_each(:ids))
CROSS JOIN jobs ON id = number ORDER BY place
"""
_ARGS: Final = NAMES.index("args")


def fetch_brief(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Job]:
    """Return jobs without what they send, in the order of their numbers here."""
    values = {"ids": msgspec.json.encode(ids).decode()}
    with _one_moment(connection):
        rows = connection.execute(FETCH_BRIEF, values).fetchall()
        return [job_of(_with_args(row, _brief_args(connection, row[0]))) for row in rows]


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Read all of a block as it was at one moment: a job may be deleted between two statements."""
    if connection.in_transaction:  # the writing connection's own, where it reads as well
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def _with_args(row: Sequence[Any], args: str) -> Sequence[Any]:
    return [*row[:_ARGS], args, *row[_ARGS + 1 :]]


def _brief_args(connection: sqlite3.Connection, number: int) -> str:
    with connection.blobopen("jobs", "args", number, readonly=True) as args:
        head = _HEAD.match(args.read(_HEAD_BYTES))
        if head is not None:
            return f"{head[0].decode()}}}"
        args.seek(0)
        fields = msgspec.json.decode(args.read(), type=dict[str, msgspec.Raw])
    shown = {name: fields[name] for name in ("method", "url") if name in fields}
    return msgspec.json.encode(shown).decode()
