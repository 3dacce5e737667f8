"""Jobs without what they send: their args have no more than a method and a URL.

A page of jobs then costs what it shows, however large their bodies are: of the args the first
kilobytes are read.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from booper.model.job import Job
from booper.store.postgres.job_columns import NAMES, job_of
from booper.store.postgres.search import Match, rows_of
from booper.store.postgres.transaction import PostgresTransaction
from booper.store.postgres.values import Row

# The method and the URL where `encode_args` writes them, within what is read of the args.
_HEAD: Final = re.compile(r'\{(?:"method":"[^"\\]*",)?"url":"(?:[^"\\]|\\.)*"')
_HEAD_LENGTH: Final = 34 * 1024

_BRIEF: Final = ", ".join(
    f"left(args, {_HEAD_LENGTH})" if name == "args" else name for name in NAMES
)

FETCH_LIVE: Final = f"SELECT {_BRIEF} FROM live_jobs WHERE id = ANY(%(ids)s)"
FETCH_ENDED: Final = f"""
SELECT {_BRIEF} FROM ended_jobs
WHERE class = ANY(%(classes)s) AND ended_at = ANY(%(times)s) AND id = ANY(%(ids)s)
"""
FIND_ENDED: Final = f"SELECT {_BRIEF} FROM ended_jobs WHERE id = ANY(%(ids)s)"

WHOLE_ARGS: Final = "SELECT args FROM jobs WHERE id = %(id)s"

_ARGS: Final = NAMES.index("args")


def fetch_brief(transaction: PostgresTransaction, found: Sequence[Match]) -> list[Job]:
    """Return jobs that were found in the same transaction, in their order, in brief."""
    rows = rows_of(transaction, found, FETCH_LIVE, FETCH_ENDED)
    return _brief(transaction, rows, [item.id for item in found])


def find_brief(transaction: PostgresTransaction, ids: Sequence[int]) -> list[Job]:
    """Return jobs without what they send, those there are, in the order of their numbers here."""
    rows = transaction.execute(FETCH_LIVE, {"ids": list(ids)}).fetchall()
    known = {row[0] for row in rows}
    others = [number for number in ids if number not in known]
    if others:
        rows += transaction.execute(FIND_ENDED, {"ids": others}).fetchall()
    return _brief(transaction, rows, ids)


def _brief(transaction: PostgresTransaction, rows: Sequence[Row], ids: Sequence[int]) -> list[Job]:
    found = {row[0]: row for row in rows}
    return [job_of(_shortened(transaction, found[number])) for number in ids if number in found]


def _shortened(transaction: PostgresTransaction, row: Row) -> Sequence[Any]:
    """Return a row with a method and a URL in the place of its args."""
    head = _HEAD.match(row[_ARGS])
    args = f"{head[0]}}}" if head is not None else _method_and_url(transaction, row[0])
    return [*row[:_ARGS], args, *row[_ARGS + 1 :]]


def _method_and_url(transaction: PostgresTransaction, number: int) -> str:
    """Return the method and the URL of args in which they stand elsewhere, or are longer."""
    (args,) = transaction.execute(WHOLE_ARGS, {"id": number}).fetchall()[0]
    fields = msgspec.json.decode(args, type=dict[str, msgspec.Raw])
    shown = {name: fields[name] for name in ("method", "url") if name in fields}
    return msgspec.json.encode(shown).decode()
