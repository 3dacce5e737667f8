"""What the types of settings cannot say: the checks of hosts, paths, secrets, URLs and keys."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from booper.engine.headers import check_name
from booper.engine.signing import Secret
from booper.errors import TargetRefused
from booper.guard.policy import parse_entry
from booper.guard.target import parse_authority
from booper.model.duration import parse_duration
from booper.model.key import check_key
from booper.model.retry import parse_backoff


def _check_listened(host: str | tuple[str, ...]) -> None:
    hosts = (host,) if isinstance(host, str) else host
    if not hosts:
        raise ValueError("expected an address or a list of addresses, got an empty list")
    for each in hosts:
        if not re.fullmatch(r"[\w.:%\[\]-]+", each):
            raise ValueError(f"expected an address such as 127.0.0.1 or ::, got {each!r}")


def _check_allow(entries: tuple[str, ...]) -> None:
    for entry in entries:
        parse_entry(entry)


def _check_names(names: tuple[str, ...]) -> None:
    for name in names:
        check_name(name)


def _check_host(host: str) -> None:
    try:
        parse_authority(host)
    except TargetRefused as error:
        raise ValueError(
            f"expected a host or host:port such as app.example, got {host!r}"
        ) from error


def _check_path(path: str) -> None:
    if "\0" in path or Path(path).name in ("", ".."):
        raise ValueError(f"expected the path of a file, got {path!r}")


def _check_secrets(secrets: tuple[str, ...]) -> None:
    if len(secrets) > 2:
        raise ValueError(f"expected at most two secrets, got {len(secrets)}")
    for secret in secrets:
        Secret.parse(secret)


def _check_discord(url: str) -> None:
    if url and not url.startswith("https://"):
        raise ValueError("expected the https URL of a Discord webhook")


def _check_client_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none, a bracket that is not closed
        is_fine = False
    if url and not is_fine:
        raise ValueError(f"expected a URL such as http://127.0.0.1:2667, got {url!r}")


def _check_client_key(key: str) -> None:
    if key:
        check_key(key)


CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "[server] host": _check_listened,
    "[server] idempotency_ttl": parse_duration,
    "[retry] backoff": parse_backoff,
    "[targets] allow": _check_allow,
    "[delivery] redact_headers": _check_names,
    "[delivery] app_host": _check_host,
    "[database] path": _check_path,
    "[webhooks] secret": _check_secrets,
    "[channels] discord": _check_discord,
    "[client] url": _check_client_url,
    "[client] key": _check_client_key,
}
"""What types cannot say of a setting, by its name; each raises ValueError."""
