"""What can be set: every setting, its one default and its bounds, and reading them from TOML.

Only `app` and `cli` see this module; the rest receives the values it needs.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec.structs import force_setattr

from booper.alert_settings import Alerts
from booper.errors import ConfigError
from booper.log_settings import Logging
from booper.model.duration import Duration
from booper.model.public_url import PublicURL
from booper.model.retry import EXPONENTIAL
from booper.model.suggestion import did_you_mean
from booper.setting_checks import read_metrics, read_origin_name
from booper.setting_table import Table, hints, toml_name
from booper.toml_file import load_toml

Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=900)]


class Server(Table, frozen=True, kw_only=True):
    """Where the API listens, and the bounds of what comes in there."""

    host: str | tuple[str, ...] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 2667
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=1 << 30)] = 1 << 20
    max_connections: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    rate_limit: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 0.0
    rate_burst: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 20
    idempotency_ttl: Duration = 0
    cors_origins: tuple[str, ...] = ()
    metrics: str = "local"
    pages: bool = True

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the addresses to listen on."""
        return (self.host,) if isinstance(self.host, str) else self.host

    @property
    def public(self) -> PublicURL | None:
        """Return the URL under which others reach the API, None if that is not known."""
        return PublicURL.parse(self.public_url) if self.public_url else None

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Return the address that metrics have of their own, None if they have none."""
        return read_metrics(self.metrics)


class Database(Table, frozen=True, kw_only=True):
    """Where jobs are kept: in the SQLite file `path`, or in the PostgreSQL database of `url`."""

    path: str = "booper.db"
    url: str = ""
    pooled: bool = False
    listen_url: str = ""
    durability: Literal["full", "normal"] = "full"
    copy_before_upgrade: bool = True


class Backup(Table, frozen=True, kw_only=True):
    """How often the daemon makes a backup, where, and how many it keeps; `every` 0 makes none."""

    every: Duration = 0
    folder: str = "backups"
    keep: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 7


class Targets(Table, frozen=True, kw_only=True):
    """Which targets a request may reach; `allow` lists hosts and CIDRs that are always fine."""

    require_https: bool = True
    allow_private_networks: bool = False
    allow: tuple[str, ...] = ()


class Delivery(Table, frozen=True, kw_only=True):
    """The limits of requests: how many at once, how long each takes, and what is kept of them."""

    concurrency: Count = 64
    per_host: Count = 16
    timeout_seconds: Seconds = 30.0
    max_response_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 26)] = 256 << 10
    grace_seconds: Annotated[float, msgspec.Meta(ge=0, le=900)] = 10.0
    redact_headers: tuple[str, ...] = ()
    app_host: str = "localhost"
    app_name: str = ""
    proxy: str = ""
    proxy_resolves: bool = False


class Limits(Table, frozen=True, kw_only=True):
    """How many jobs of one user may wait."""

    max_waiting: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0


class Origin(Table, frozen=True, kw_only=True):
    """Settings of one origin, or of all origins of a host; None means the setting for all."""

    slots: Count | None = None
    proxy: str | None = None
    proxy_resolves: bool | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool | None = None


class Retry(Table, frozen=True, kw_only=True):
    """The number and the times of retries, unless a job says otherwise."""

    max_attempts: Count = 15
    backoff: str | list[Duration] = EXPONENTIAL


class Retention(Table, frozen=True, kw_only=True):
    """How long what has ended is kept: a duration, or "forever"."""

    completed: Duration = (30, "days")
    cancelled: Duration = (30, "days")
    discarded: Duration = (90, "days")
    audit: Duration = (365, "days")
    buckets: Duration = (400, "days")
    schedule_runs: Count = 20
    max_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)] = 0


class Webhooks(Table, frozen=True, kw_only=True):
    """Secrets that sign webhook events and callbacks; two while one replaces the other."""

    secret: tuple[str, ...] = ()


class Channels(Table, frozen=True, kw_only=True):
    """Where the messages of a channel go beside its live feed."""

    discord: str = ""


class Metrics(Table, frozen=True, kw_only=True):
    """What metrics name: the schedules, by name or id, whose last success they show."""

    schedules: tuple[str, ...] = ()


class Client(Table, frozen=True, kw_only=True):
    """The server of the client commands, and their key; empty means `[server]`, and no key."""

    url: str = ""
    key: str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, a table each. Raises: ConfigError, for a table that is none."""

    server: Server = msgspec.field(default_factory=Server)
    database: Database = msgspec.field(default_factory=Database)
    backup: Backup = msgspec.field(default_factory=Backup)
    targets: Targets = msgspec.field(default_factory=Targets)
    delivery: Delivery = msgspec.field(default_factory=Delivery)
    retry: Retry = msgspec.field(default_factory=Retry)
    retention: Retention = msgspec.field(default_factory=Retention)
    webhooks: Webhooks = msgspec.field(default_factory=Webhooks)
    channels: Channels = msgspec.field(default_factory=Channels)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    logging: Logging = msgspec.field(default_factory=Logging)
    limits: Limits = msgspec.field(default_factory=Limits)
    client: Client = msgspec.field(default_factory=Client)
    origins: Mapping[str, Origin] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        force_setattr(self, "origins", _by_origin(self.origins))
        for name, kind in hints(Config).items():
            table = getattr(self, name)
            if name != "origins" and not isinstance(table, kind):
                raise ConfigError(f"{name}: expected {kind.__name__}(…), got {table!r:.80}")


_EXAMPLE_ORIGIN: Final = '[origins."https://api.example.com:8443"]'


def read_config(path: Path | None, overrides: Mapping[str, Mapping[str, Any]]) -> Config:
    """Read a TOML file, if there is one, and lay `overrides` (table → key → value) over it.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or wrong.
    """
    settings = load_toml(path) if path is not None else {}
    where = str(path) if path is not None else "configuration"
    for table, values in overrides.items():
        given = {key: value for key, value in values.items() if value is not None}
        if isinstance(settings.get(table, {}), dict):
            settings[table] = {**settings.get(table, {}), **given}
    return _convert(settings, where)


def given_config(config: Config | None) -> Config:
    """Return the configuration that is given, else that of the file in `BOOPER_CONFIG`, if any.

    Raises:
        ConfigError: what is given is none, or the file is wrong.
    """
    if config is None:
        path = os.environ.get("BOOPER_CONFIG")
        return read_config(Path(path) if path else None, {})
    if not isinstance(config, Config):
        raise ConfigError(
            f"config: expected Config(…), got {config!r:.80}; BOOPER_CONFIG names a file"
        )
    return config


def _convert(settings: dict[str, Any], where: str) -> Config:
    tables = hints(Config)
    for name in settings:
        shown = name if name.isprintable() else repr(name)
        _check_name(name, tables, f"{where}: unknown table [{shown}]", "tables")
    converted = {
        name: _table(name, tables[name], values, where)
        for name, values in settings.items()
        if name != "origins"
    }
    origins = _origins(settings.get("origins", {}), where)
    try:
        return Config(**converted, origins=origins)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _by_origin(tables: Any) -> Mapping[str, Origin]:
    """Return tables of origins by the normal forms of their names. Raises: ConfigError."""
    if not isinstance(tables, Mapping):
        raise ConfigError(f"origins: expected a table for each origin, got {tables!r:.80}")
    found: dict[str, Origin] = {}
    for given, table in tables.items():
        if not isinstance(table, Origin):
            raise ConfigError(f"origins: expected Origin(…) for {given!r}, got {table!r:.80}")
        try:
            name = read_origin_name(given)
        except ValueError as error:
            raise ConfigError(f"[origins.{_quoted(given)}] {error}") from error
        if name in found:
            raise ConfigError(f"[origins.{_quoted(given)}] is there twice, as {name!r} too")
        found[name] = table
    return found


def _quoted(name: object) -> str:
    """Return a name as TOML has it in a table's header."""
    return '"' + f"{name!r}"[1:-1] + '"'


def _origins(tables: Any, where: str) -> Mapping[str, Origin]:
    if not isinstance(tables, dict):
        raise ConfigError(f"{where}: origins must be tables, such as {_EXAMPLE_ORIGIN}")
    found: dict[str, Origin] = {}
    for name, values in tables.items():
        title = f"origins.{_quoted(name)}"
        if not isinstance(values, dict):
            raise ConfigError(
                f"{where}: [origins] {name}: settings of origins stand in a table for each, "
                f"such as {_EXAMPLE_ORIGIN}"
            )
        found[name] = _table(title, Origin, values, where)
    return found


def _table(name: str, kind: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: {name} must be a table, write [{name}] above its settings")
    names = {toml_name(known): known for known in hints(kind)}
    for key in values:
        _check_name(key, names, f"{where}: [{name}] unknown setting {key!r}", "settings")
    try:
        return kind(**{names[key]: value for key, value in values.items()})
    except ConfigError as error:
        message = str(error).removeprefix(f"[{kind.__name__.lower()}] ")
        raise ConfigError(f"{where}: [{name}] {message}") from error


def _check_name(name: str, known: Mapping[str, object], message: str, noun: str) -> None:
    if name not in known:
        hint = did_you_mean(name, known)
        advice = f"{hint} The" if hint else "the"
        raise ConfigError(f"{message}; {advice} {noun} are {', '.join(known)}")
