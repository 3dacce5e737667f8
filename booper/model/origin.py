"""Origins: scheme, host and port, by which slots, queues, breakers and pauses tell targets apart.

An origin is written as RFC 6454 §6.1 does, without a default port: `https://api.example.com:8443`.
The program around booper is `app:`, or `app://NAME` if it has a name. It parses nothing:
`guard.target` does.
"""

import re
from functools import lru_cache
from zlib import crc32

DEFAULT_PORTS = {"http": 80, "https": 443}

LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Where this machine reaches a socket that listens on every address."""

APP_ORIGIN = "app:"
"""The program around booper, if it has no name; no host is written so."""

APP_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""The names that programs around booper can have."""

_PORT = re.compile(r"[^:/]+://[^/?#]*:([0-9]+)(?:[/?#]|$)")


def origin_of(scheme: str, host: str, port: int | None) -> str:
    """Return an origin in its normal form; `host` is without brackets, None a default port."""
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" + ("" if port in (None, DEFAULT_PORTS[scheme]) else f":{port}")


def app_origin(name: str) -> str:
    """Return the origin of a program around booper by its name, empty if it has none."""
    return f"{APP_ORIGIN}//{name}" if name else APP_ORIGIN


def is_app(origin: str) -> bool:
    """Return whether an origin is a program around booper, this one's or another's."""
    return origin.startswith(APP_ORIGIN)


@lru_cache(maxsize=4096)
def names_of(origin: str) -> tuple[str, ...]:
    """Return the names under which a pause may mean an origin.

    They are the origin itself, its host with the port, and its host. An IPv6 host has brackets.
    Of a program around booper with a name the other one is `app:`, for all programs.
    """
    scheme, separator, authority = origin.partition("://")
    if not separator:
        return (origin,)
    if is_app(origin):
        return origin, APP_ORIGIN
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = authority, str(DEFAULT_PORTS[scheme])
    return origin, f"{host}:{port}", host


@lru_cache(maxsize=4096)
def path_key(url: str) -> int:
    """Return a number by which paths of one origin are told apart, the query left out."""
    before_query = url.partition("#")[0].partition("?")[0]
    _, _, after_scheme = before_query.partition(":")
    authority_and_path = after_scheme.removeprefix("//")
    _, _, path = authority_and_path.partition("/")
    return crc32(path.encode("utf-8", "replace"))


def stored_origin(url: str, host: str) -> str:
    """Return the origin of a job stored before origins were: its URL was vetted, `host` is normal.

    A report whose URL was refused has neither.
    """
    if not host or host == APP_ORIGIN:
        return host
    port = _PORT.match(url)
    scheme = url.partition(":")[0].lower()
    return origin_of(scheme, host, int(port[1]) if port else None)
