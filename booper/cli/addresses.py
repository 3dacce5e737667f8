"""Addresses that are listened on, as they are printed and called."""

from typing import Final

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def is_every_address(host: str) -> bool:
    """Return whether this means all addresses of the machine, and can itself not be called."""
    return host in _LOOPBACK


def authority(host: str, port: int) -> str:
    """Return an address as a URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches what listens there."""
    return f"http://{authority(_LOOPBACK.get(host, host), port)}"
