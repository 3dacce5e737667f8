"""Which changes of the settings a running booper can follow, and which wait for its next start."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from booper.config import Config, Origin
from booper.setting_table import toml_name

# What is not here is decided once: sockets, files, slots, and what is sized by them.
LIVE: Final[Mapping[str, Sequence[str]]] = {
    "server": (
        "public_url",
        "trusted_proxies",
        "max_body_bytes",
        "rate_limit",
        "rate_burst",
        "idempotency_ttl",
        "cors_origins",
    ),
    "targets": ("require_https", "allow_private_networks", "allow"),
    "delivery": (
        "timeout_seconds",
        "max_response_bytes",
        "redact_headers",
        "proxy",
        "proxy_resolves",
    ),
    "retry": ("max_attempts", "backoff"),
    "webhooks": ("secret",),
    "channels": ("discord",),
    "alerts": (
        "url",
        "form",
        "events",
        "failures",
        "late",
        "disk_free_bytes",
        "repeat",
        "heartbeat_url",
    ),
    "logging": ("format", "level", "access"),
    "client": ("url", "key"),
}
"""The settings of each table that can change while booper runs."""


class Changes(msgspec.Struct, frozen=True):
    """The settings to go on with, and the names of those that are new or wait for a start."""

    config: Config
    made: Sequence[str]
    waiting: Sequence[str]


def changes(old: Config, new: Config) -> Changes:
    """Return what changes from the settings that are used to those that are wanted."""
    made, waiting = list[str](), list[str]()
    tables = {}
    for name in Config.__struct_fields__:
        if name == "origins":
            continue
        before, after = getattr(old, name), getattr(new, name)
        followed = {}
        for setting in before.__struct_fields__:
            if (value := getattr(after, setting)) == getattr(before, setting):
                continue
            if setting in LIVE.get(name, ()):
                followed[setting] = value
                made.append(f"[{name}] {toml_name(setting)}")
            else:
                waiting.append(f"[{name}] {setting}")
        tables[name] = replace(before, **followed)
    origins = _origins(old.origins, new.origins, made, waiting)
    return Changes(replace(old, **tables, origins=origins), made, waiting)


def _origins(
    old: Mapping[str, Origin], new: Mapping[str, Origin], made: list[str], waiting: list[str]
) -> Mapping[str, Origin]:
    """Return the tables of origins to go on with: those that are wanted, but for their slots."""
    followed = {}
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, Origin()), new.get(name, Origin())
        if after.slots != before.slots:
            waiting.append(f'[origins."{name}"] slots')
        following = replace(after, slots=before.slots)
        if following != before:
            made.append(f'[origins."{name}"]')
        if following != Origin():
            followed[name] = following
    return followed
