"""What is typed for a command: data, headers, durations and times, read or refused by option."""

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from booper.client import InvalidArgument
from booper.client.fields import duration
from booper.model.duration import EXAMPLES, parse_duration
from booper.model.moment import InvalidMoment, parse_moment

_NUMBER = re.compile(r"\d+(\.\d+)?")
_DATA: Final = "expected NAME=VALUE, JSON, @FILE or - (standard input)"
# What begins JSON and no NAME=VALUE; a number, true, false or null stands alone.
_JSON_BEGINS: Final = ("{", "[", '"')
_JSON_WORD = re.compile(r"true|false|null|-?\d+(\.\d+)?([eE][-+]?\d+)?")


def data_of(typed: Sequence[str], *, is_text: bool = False) -> Any:
    """Read `--data`: JSON, a file or standard input, or `name=value` as often as there are fields.

    `is_text` says that a file or the standard input is not JSON, but text. What JSON says is
    returned as it is spelled, so that no digit of a number is lost.

    Raises:
        InvalidArgument: it is none of these, or several that cannot stand together.
    """
    if len(typed) != 1:
        return split_pairs("--data", typed, "=")
    (value,) = typed
    if value == "-" or value.startswith("@"):
        source, text = _read(value)
        return text if is_text else _json(source, text)
    if value.lstrip().startswith(_JSON_BEGINS) or _JSON_WORD.fullmatch(value.strip()):
        return _json("--data", value)
    return split_pairs("--data", typed, "=")


def query_of(typed: Sequence[str]) -> Any:
    """Read `--data` of a get, whose names and values become the query. Raises: InvalidArgument."""
    query = data_of(typed)
    if isinstance(query, msgspec.Raw) and not bytes(query).lstrip().startswith(b"{"):
        raise InvalidArgument(
            f"--data: with get it becomes the query; expected NAME=VALUE or a JSON object, "
            f"got {bytes(query)[:40].decode(errors='replace')!r}"
        )
    return query


def split_pairs(option: str, typed: Sequence[str], sign: str) -> dict[str, str]:
    """Read pairs of a name and a value. Raises: InvalidArgument, also for a name given twice."""
    found: dict[str, str] = {}
    for pair in typed:
        name, is_pair, value = pair.partition(sign)
        if not is_pair or not name.strip():
            expected = _DATA if sign == "=" else f"expected NAME{sign}VALUE"
            raise InvalidArgument(f"{option}: {expected}, got {pair!r}")
        if name in found:
            raise InvalidArgument(
                f"{option}: {name!r} is given twice; for several values, write JSON with a list"
            )
        if sign == ":" and name.lower() in map(str.lower, found):
            raise InvalidArgument(f"{option}: {name!r} is given twice, in different letter case")
        found[name] = value.strip() if sign == ":" else value
    return found


def duration_of(option: str, text: str) -> str | float:
    """Read a duration: an amount and a unit, or seconds.

    Raises:
        InvalidArgument: it is neither.
    """
    read = _number_or_text(text)
    try:
        duration(option, read)
    except InvalidArgument as error:
        raise InvalidArgument(
            f"{option}: expected a duration such as {EXAMPLES}, or seconds, got {text!r}"
        ) from error
    return read


def moment_of(option: str, text: str) -> str:
    """Check a point in time: ISO 8601, or a Unix time; how far off it may be, the server says.

    Raises:
        InvalidArgument: it is neither.
    """
    try:
        parse_moment(text, None)
    except InvalidMoment as error:
        raise InvalidArgument(f"{option}: {error}") from error
    return text


def past_of(option: str, text: str, now: datetime) -> str:
    """Read a time, or how long ago it was, such as `2 hours`. Raises: InvalidArgument."""
    if _NUMBER.fullmatch(text.strip()) is None:
        with suppress(InvalidArgument):
            return (now - _length(duration(option, text.removesuffix(" ago")))).isoformat()
    try:
        return parse_moment(text, None).isoformat()
    except InvalidMoment as error:
        raise InvalidArgument(f"{option}: {error}; or how long ago, such as '2 hours'") from error


def _length(written: Any) -> timedelta:
    return parse_duration(tuple(written) if isinstance(written, list) else written)


def _number_or_text(text: str) -> str | float:
    """Read a number that was typed; what is none stays text, for others to read."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return text
    return float(text) if found[1] else int(text)


def _read(value: str) -> tuple[str, str]:
    """Return the text of `@FILE` or `-`, and what to call it. Raises: InvalidArgument."""
    source = "--data: standard input" if value == "-" else f"--data: {value}"
    try:
        raw = sys.stdin.buffer.read() if value == "-" else Path(value[1:]).read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{source} cannot be read: {error.strerror}; {_DATA}") from error
    try:
        return source, raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"{source} is not in UTF-8: byte 0x{raw[error.start]:02x} at {error.start}"
        ) from error


def _json(source: str, text: str) -> msgspec.Raw:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        advice = ""
        if source != "--data":
            advice = "; for text, name its type: -H 'Content-Type: text/plain'"
        got = f", got {text[:40]!r}"
        raise InvalidArgument(f"{source}: expected JSON{got} ({error}){advice}") from error
    return msgspec.Raw(text.strip().encode())
