"""A table of settings, checked as they are set: their types, and what types cannot say."""

from collections.abc import Mapping
from functools import cache
from pathlib import PurePath
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

import msgspec
from msgspec.structs import force_setattr

from booper.errors import ConfigError
from booper.model.duration import Duration
from booper.model.retry import EXPONENTIAL
from booper.setting_checks import CHECKS

_EXPECTED: Final = {
    str: "text",
    bool: "true or false",
    tuple[str, ...]: "a list of text",
    Duration: 'seconds or [n, unit], such as [1, "hour"], or "1h"',
    str | tuple[str, ...]: "an address or a list of addresses",
    str | list[Duration]: f'"{EXPONENTIAL}" or a list of durations',
}

# A secret is not repeated, not even a wrong one.
_SECRET: Final = frozenset(
    {
        "[database] url",
        "[database] listen_url",
        "[webhooks] secret",
        "[client] key",
        "[delivery] proxy",
        "[origin] proxy",
        "[alerts] url",
        "[alerts] heartbeat_url",
        "[alerts] smtp_password",
    }
)


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that are checked as they are set, in Python as in TOML.

    Raises:
        ConfigError: one is of another type, or out of its bounds.
    """

    def __post_init__(self) -> None:
        kind = type(self)
        for name, hint in hints(kind).items():
            label = f"[{kind.__name__.lower()}] {toml_name(name)}"
            force_setattr(self, name, _setting(label, hint, getattr(self, name)))


def toml_name(name: str) -> str:
    """Return what a setting is called in TOML: a word of Python's has an underscore more there."""
    return name.removesuffix("_")


@cache
def hints(kind: type) -> Mapping[str, Any]:
    """Return the types of a table's settings by their names."""
    return get_type_hints(kind, include_extras=True)


def _setting(label: str, kind: Any, value: Any) -> Any:
    """Return a setting as its type has it. Raises: ConfigError, it cannot be one."""
    if label == "[webhooks] secret" and isinstance(value, str):
        value = [value]  # one secret may stand alone
    if isinstance(value, PurePath):
        value = str(value)
    try:
        setting = msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        got = "" if label in _SECRET else f", got {_shown(value)}"
        raise ConfigError(f"{label}: expected {_expected(kind)}{got}") from error
    try:
        check = CHECKS.get(label)
        if check is not None:
            check(setting)
    except ValueError as error:
        raise ConfigError(f"{label}: {error}") from error
    return setting


def _shown(value: Any) -> str:
    """Return a value as TOML spells it, where that differs from Python."""
    return str(value).lower() if isinstance(value, bool) else f"{value!r:.200}"


def _expected(kind: Any) -> str:
    """Return which values a setting takes."""
    if NoneType in get_args(kind):
        kind = next(each for each in get_args(kind) if each is not NoneType)
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if choices := [f'"{choice}"' for choice in get_args(kind) if isinstance(choice, str)]:
        return " or ".join(choices)
    meta = next(item for item in get_args(kind) if isinstance(item, msgspec.Meta))
    noun = "a whole number" if get_args(kind)[0] is int else "a number"
    low = f"over {meta.gt}" if meta.gt is not None else f"from {meta.ge}"
    return f"{noun} {low} to {meta.le}"
