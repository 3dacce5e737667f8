"""What types cannot say of settings: a check for each that needs one."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from booper.engine.headers import check_name
from booper.engine.signing import Secret
from booper.errors import TargetRefused
from booper.guard.policy import parse_entry
from booper.guard.target import APP_HOST, parse_authority, parse_host, parse_origin
from booper.model.duration import Duration, parse_duration
from booper.model.key import check_key
from booper.model.origin import APP_NAME
from booper.model.proxy import ProxyURL
from booper.model.public_url import PublicURL
from booper.model.retention import parse_span
from booper.model.retry import parse_backoff
from booper.model.suggestion import did_you_mean
from booper.server.forwarded import TrustedProxies

_METRICS: Final = ("local", "open", "off")

MAX_METRICS_SCHEDULES: Final = 200
MAX_PORT: Final = 65_535
MAX_NAME: Final = 255

MIN_SIZE: Final = 1 << 20


def _check_listened(host: str | tuple[str, ...]) -> None:
    hosts = (host,) if isinstance(host, str) else host
    if not hosts:
        raise ValueError("expected an address or a list of addresses, got an empty list")
    for each in hosts:
        if not re.fullmatch(r"[\w.:%\[\]-]+", each):
            raise ValueError(f"expected an address such as 127.0.0.1 or ::, got {each!r}")


def _check_public_url(url: str) -> None:
    if url:
        PublicURL.parse(url)


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


def _check_app_name(name: str) -> None:
    if name and not APP_NAME.fullmatch(name):
        raise ValueError(
            "expected up to 63 lower-case letters, digits and inner hyphens, such as shop-web, "
            f"got {name!r:.200}"
        )


def _check_path(path: str) -> None:
    if "\0" in path or Path(path).name in ("", ".."):
        raise ValueError(f"expected the path of a file, got {path!r}")


def _check_database_url(url: str) -> None:
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise ValueError('expected a URL such as "postgresql://booper@db.example/booper"')


def _check_every(every: Duration) -> None:
    length = parse_duration(every)
    if timedelta(0) < length < timedelta(minutes=1):
        raise ValueError(f"expected 0 for none, or at least a minute; got {every!r}")


def _check_folder(path: str) -> None:
    if "\0" in path or not path:
        raise ValueError(f"expected the path of a folder, got {path!r}")


def _check_size(size: int) -> None:
    if 0 < size < MIN_SIZE:
        raise ValueError(f"expected at least {MIN_SIZE} (1 MiB), or 0 for no limit, got {size}")


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


def _check_cors(origins: tuple[str, ...]) -> None:
    for origin in origins:
        normal = _normal_origin(origin)
        if normal != origin:
            instead = f"; write {normal!r}" if normal else ""
            raise ValueError(
                'expected origins as browsers send them, such as "https://app.example.com", or '
                f'"*" for all; got {origin!r}{instead}'
            )


def _normal_origin(text: str) -> str | None:
    """Return how browsers spell an origin, None if it is none."""
    try:
        return text if text == "*" else parse_origin(text)
    except TargetRefused:
        return None


def read_origin_name(text: object) -> str:
    """Return the normal form of an origin, a host, or a host and a port.

    Raises:
        ValueError: it is none of them.
    """
    try:
        if isinstance(text, str):
            return parse_origin(text) if "//" in text or text == APP_HOST else parse_host(text)
    except TargetRefused as error:
        raise ValueError(f"{_NO_ORIGIN_NAME}: {error}") from error
    raise ValueError(_NO_ORIGIN_NAME)


def read_metrics(setting: str) -> tuple[str, int] | None:
    """Return the host and the port that metrics have of their own, None if they have none.

    Raises:
        ValueError: it is neither a word that is known nor an address.
    """
    if setting in _METRICS:
        return None
    host, _, port = setting.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_host = re.fullmatch(r"[\w.:%-]+", host) and (":" not in host or f"[{host}]:" in setting)
    if is_host and re.fullmatch(r"\d{1,5}", port, re.ASCII) and int(port) <= MAX_PORT:
        return host, int(port)
    hint = did_you_mean(setting, _METRICS)
    raise ValueError(
        f'expected "local", "open", "off", or an address such as "127.0.0.1:9667", '
        f"got {setting!r:.200}{f'; {hint}' if hint else ''}"
    )


def _check_metrics_schedules(names: tuple[str, ...]) -> None:
    if len(names) > MAX_METRICS_SCHEDULES:
        raise ValueError(f"expected at most {MAX_METRICS_SCHEDULES} schedules, got {len(names)}")
    for name in names:
        if not 0 < len(name) <= MAX_NAME:
            raise ValueError(f"expected names or ids of schedules, got {name!r:.80}")


def _check_proxy(url: str | None) -> None:
    if url:
        ProxyURL.parse(url)


def _check_file(path: str | None) -> None:
    if path is not None and ("\0" in path or not path):
        raise ValueError(f"expected the path of a PEM file, got {path!r}")


_NO_ORIGIN_NAME: Final = (
    'expected an origin such as "https://api.example.com:8443", or a host for all its origins'
)

CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "[server] host": _check_listened,
    "[server] public_url": _check_public_url,
    "[server] trusted_proxies": TrustedProxies,
    "[server] idempotency_ttl": parse_duration,
    "[server] cors_origins": _check_cors,
    "[retry] backoff": parse_backoff,
    "[retention] completed": parse_span,
    "[retention] cancelled": parse_span,
    "[retention] discarded": parse_span,
    "[retention] audit": parse_span,
    "[retention] buckets": parse_span,
    "[retention] max_bytes": _check_size,
    "[targets] allow": _check_allow,
    "[delivery] redact_headers": _check_names,
    "[delivery] app_host": _check_host,
    "[delivery] app_name": _check_app_name,
    "[database] path": _check_path,
    "[database] url": _check_database_url,
    "[database] listen_url": _check_database_url,
    "[backup] every": _check_every,
    "[backup] folder": _check_folder,
    "[delivery] proxy": _check_proxy,
    "[origin] proxy": _check_proxy,
    "[origin] ca": _check_file,
    "[origin] cert": _check_file,
    "[origin] key": _check_file,
    "[webhooks] secret": _check_secrets,
    "[channels] discord": _check_discord,
    "[server] metrics": read_metrics,
    "[metrics] schedules": _check_metrics_schedules,
    "[client] url": _check_client_url,
    "[client] key": _check_client_key,
}
"""What types cannot say of a setting, by its name; each raises ValueError."""
