"""What can be set: every setting, its one default and its bounds, and reading them from TOML.

Only `app` and `cli` see this module; the rest receives the values it needs.
"""

import tomllib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

import msgspec
from msgspec.structs import force_setattr

from booper.errors import ConfigError
from booper.model.duration import Duration
from booper.model.retry import EXPONENTIAL
from booper.model.suggestion import did_you_mean
from booper.setting_checks import CHECKS

Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=900)]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that are checked as they are set, in Python as in TOML.

    Raises:
        ConfigError: one is of another type, or out of its bounds.
    """

    def __post_init__(self) -> None:
        kind = type(self)
        for name, hint in _hints(kind).items():
            label = f"[{kind.__name__.lower()}] {name}"
            force_setattr(self, name, _setting(label, hint, getattr(self, name)))


class Server(Table, frozen=True, kw_only=True):
    """Where the API listens, and the bounds of what comes in there."""

    host: str | tuple[str, ...] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 2667
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=1 << 30)] = 1 << 20
    max_connections: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    rate_limit: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 0.0
    rate_burst: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 20
    idempotency_ttl: Duration = 0

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the addresses to listen on."""
        return (self.host,) if isinstance(self.host, str) else self.host


class Database(Table, frozen=True, kw_only=True):
    """Where jobs are kept; "normal" is faster, but a power loss can take the last moments."""

    path: str = "booper.db"
    durability: Literal["full", "normal"] = "full"


class Targets(Table, frozen=True, kw_only=True):
    """Which targets a request may reach; `allow` lists hosts and CIDRs that are always fine."""

    require_https: bool = True
    allow_private_networks: bool = False
    allow: tuple[str, ...] = ()


class Delivery(Table, frozen=True, kw_only=True):
    """How requests are sent: how many at once, the bounds of each, and what is kept of them."""

    concurrency: Count = 64
    per_host: Count = 16
    timeout_seconds: Seconds = 30.0
    max_response_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 26)] = 256 << 10
    grace_seconds: Annotated[float, msgspec.Meta(ge=0, le=900)] = 10.0
    redact_headers: tuple[str, ...] = ()
    app_host: str = "localhost"


class Retry(Table, frozen=True, kw_only=True):
    """How often and when a failed attempt is made again, unless its job says otherwise."""

    max_attempts: Count = 15
    backoff: str | list[Duration] = EXPONENTIAL


class Webhooks(Table, frozen=True, kw_only=True):
    """Secrets that sign webhook events and callbacks; two while one replaces the other."""

    secret: tuple[str, ...] = ()


class Channels(Table, frozen=True, kw_only=True):
    """Where the messages of a channel go beside its live feed."""

    discord: str = ""


class Client(Table, frozen=True, kw_only=True):
    """Whom commands ask and with which key; empty is what `[server]` says, and no key."""

    url: str = ""
    key: str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, a table each. Raises: ConfigError, for a table that is none."""

    server: Server = msgspec.field(default_factory=Server)
    database: Database = msgspec.field(default_factory=Database)
    targets: Targets = msgspec.field(default_factory=Targets)
    delivery: Delivery = msgspec.field(default_factory=Delivery)
    retry: Retry = msgspec.field(default_factory=Retry)
    webhooks: Webhooks = msgspec.field(default_factory=Webhooks)
    channels: Channels = msgspec.field(default_factory=Channels)
    client: Client = msgspec.field(default_factory=Client)

    def __post_init__(self) -> None:
        for name, kind in _hints(Config).items():
            if not isinstance(table := getattr(self, name), kind):
                raise ConfigError(f"{name}: expected {kind.__name__}(…), got {table!r:.80}")


_EXPECTED: Final = {
    str: "text",
    bool: "true or false",
    tuple[str, ...]: "a list of text",
    Duration: 'seconds or [n, unit], such as [1, "hour"], or "1h"',
    str | tuple[str, ...]: "an address or a list of addresses",
    str | list[Duration]: f'"{EXPONENTIAL}" or a list of durations',
}

# A secret is not repeated, not even a wrong one.
_SECRET: Final = frozenset({"[webhooks] secret", "[client] key"})


def read_config(path: Path | None, overrides: Mapping[str, Mapping[str, Any]]) -> Config:
    """Read a TOML file, if there is one, and lay `overrides` (table → key → value) over it.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or wrong.
    """
    settings = _load(path) if path is not None else {}
    where = str(path) if path is not None else "configuration"
    for table, values in overrides.items():
        given = {key: value for key, value in values.items() if value is not None}
        if isinstance(settings.get(table, {}), dict):
            settings[table] = {**settings.get(table, {}), **given}
    return _convert(settings, where)


def _load(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    try:
        return tomllib.loads(_decode(path, raw))
    # Not TOML, a number too long to read; nested too deeply.
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _decode(path: Path, raw: bytes) -> str:
    """Return the text of a file in UTF-8, as TOML is, without the mark that some editors write.

    Raises:
        ConfigError: it is in another encoding.
    """
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or (raw[1:] and b"\0" in raw[:2]):
        raise ConfigError(f"{path} is in UTF-16 or UTF-32; save it in UTF-8")
    try:
        return raw.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        where = f"byte 0x{raw[error.start]:02x} in line {line}"
        raise ConfigError(f"{path} is not in UTF-8: {where}; save it in UTF-8") from error


def _convert(settings: dict[str, Any], where: str) -> Config:
    tables = _hints(Config)
    for name in settings:
        shown = name if name.isprintable() else repr(name)
        _check_name(name, tables, f"{where}: unknown table [{shown}]", "tables")
    converted = {
        name: _table(name, tables[name], values, where) for name, values in settings.items()
    }
    return Config(**converted)


def _table(name: str, kind: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: {name} must be a table, write [{name}] above its settings")
    for key in values:
        _check_name(key, _hints(kind), f"{where}: [{name}] unknown setting {key!r}", "settings")
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


@cache
def _hints(kind: type) -> Mapping[str, Any]:
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
    """Say which values a setting takes."""
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if choices := [f'"{choice}"' for choice in get_args(kind) if isinstance(choice, str)]:
        return " or ".join(choices)
    meta = next(item for item in get_args(kind) if isinstance(item, msgspec.Meta))
    noun = "a whole number" if get_args(kind)[0] is int else "a number"
    low = f"over {meta.gt}" if meta.gt is not None else f"from {meta.ge}"
    return f"{noun} {low} to {meta.le}"


def _check_name(name: str, known: Mapping[str, object], message: str, noun: str) -> None:
    if name in known:
        return
    hint = did_you_mean(name, known)
    raise ConfigError(f"{message}; {f'{hint} ' if hint else ''}The {noun} are {', '.join(known)}")
