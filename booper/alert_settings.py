"""The settings of `[alerts]`, and what types cannot say of them.

Errors do not repeat a URL: it may hold a token.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from booper.errors import ConfigError, TargetRefused
from booper.guard.target import parse_target
from booper.model.alert import parse_interests
from booper.model.duration import Duration, parse_duration
from booper.setting_table import Table, toml_name
from booper.wire.alert import Form, ntfy_parts

SHORTEST_REPEAT: Final = timedelta(minutes=1)

# What goes into the headers of a mail; the server judges the rest.
_ADDRESS: Final = re.compile(r"[^\s<>,;:\x00-\x1f\x7f]+@[^\s<>,;:@\x00-\x1f\x7f]+")


def _check_url(url: str) -> None:
    if not url:
        return
    try:
        is_fine = not parse_target(url).is_app
    except TargetRefused:
        is_fine = False
    if not is_fine:
        raise ValueError("expected an http:// or https:// URL without a user name")


def _check_repeat(repeat: Duration) -> None:
    if timedelta(0) < parse_duration(repeat) < SHORTEST_REPEAT:
        raise ValueError(f"expected 0 for once only, or at least a minute; got {repeat!r}")


def _check_host(host: str) -> None:
    if host and not re.fullmatch(r"[\w.:%-]+", host):
        raise ValueError(f"expected a host such as smtp.example.com, got {host!r:.80}")


def _check_from(address: str) -> None:
    if address and not _ADDRESS.fullmatch(address):
        raise ValueError(f"expected an address such as booper@example.com, got {address!r:.80}")


def _check_to(addresses: Sequence[str]) -> None:
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise ValueError(f"expected addresses such as you@example.com, got {address!r:.80}")


_CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "url": _check_url,
    "events": parse_interests,
    "late": parse_duration,
    "repeat": _check_repeat,
    "heartbeat_url": _check_url,
    "smtp_host": _check_host,
    "from_": _check_from,
    "to": _check_to,
}


class Alerts(Table, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What is told of what is wrong, and how; a setting called `from` is `from_` in Python."""

    url: str = ""
    form: Literal["booper", "ntfy", "discord", "slack"] = "booper"
    events: tuple[str, ...] = ()
    failures: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    late: Duration = (5, "minutes")
    disk_free_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)] = 1 << 28
    repeat: Duration = (1, "hour")
    heartbeat_url: str = ""
    smtp_host: str = ""
    smtp_port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password: str = ""
    from_: str = ""
    to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, check in _CHECKS.items():
            _checked(name, check, getattr(self, name))
        if self.url and Form(self.form) is Form.NTFY:
            _checked("url", ntfy_parts, self.url)
        if self.smtp_host and not (self.from_ and self.to):
            missing = 'to = ["you@example.com"]' if self.from_ else 'from = "booper@example.com"'
            raise ConfigError(
                f"[alerts] smtp_host: a mail needs a sender and a receiver; write {missing}"
            )


def _checked(name: str, check: Callable[[Any], object], value: Any) -> None:
    """Check a setting. Raises: ConfigError."""
    try:
        check(value)
    except ValueError as error:
        raise ConfigError(f"[alerts] {toml_name(name)}: {error}") from error
