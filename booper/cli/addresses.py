"""Addresses that are listened on, as they are printed and called."""

from booper.model.origin import LOOPBACK_OF


def is_every_address(host: str) -> bool:
    """Return whether this means all addresses of the machine, and can itself not be called."""
    return host in LOOPBACK_OF


def authority(host: str, port: int) -> str:
    """Return an address as a URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches what listens there."""
    return f"http://{authority(LOOPBACK_OF.get(host, host), port)}"
