"""A booper behind a real proxy, with the configurations of the page about deploying."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.support.documents import DOCS, blocks_of
from tests.support.processes import DEADLINE_SECONDS, Daemon, serving, until

BLOCKS = dict(reversed(blocks_of(DOCS["deploying"])))
KEY = "sk_a_key_for_proxies"
PREFIX = "/tools/booper"
"""The path of the page; "" stands for a host of booper's own."""

# Not the address that the proxies come from, which is trusted.
SENDER = "127.0.0.2"


@dataclass(frozen=True, slots=True)
class Front:
    """A proxy: its origin, and whom a client trusts."""

    origin: str
    trusted: ssl.SSLContext | bool


Way = Callable[[Path, int, str], AbstractContextManager[Front]]
"""Run a proxy before a port, with the path that booper has there."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A booper, and the proxy before it."""

    daemon: Daemon
    front: Front
    prefix: str

    @property
    def url(self) -> str:
        """Return the URL of booper behind its proxy."""
        return f"{self.front.origin}{self.prefix}"


@contextmanager
def deployed(folder: Path, way: Way, prefix: str = PREFIX) -> Iterator[Deployed]:
    """Run a booper with the settings of the page, and a proxy before it."""
    (folder / "booper.toml").write_text(_block("toml", prefix), encoding="utf-8")
    with (
        serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon,
        way(folder, daemon.api.base_url.port or 0, prefix) as front,
    ):
        yield Deployed(daemon, front, prefix)


@contextmanager
def nginx(folder: Path, upstream: int, prefix: str) -> Iterator[Front]:
    """Run nginx with the block of the page, on a free port and with a certificate of its own."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "pem")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    port = _free_port()
    block = re.sub(r"/etc/ssl/\S+(?=;)", str(folder / "pem"), _block("nginx", prefix))
    block = block.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    block = block.replace("127.0.0.1:2667", f"127.0.0.1:{upstream}")
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        "daemon off; master_process off; pid pid; error_log stderr;\nevents {}\n"
        f"http {{ access_log off;\n{paths}{block}}}"
    )
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", "nginx.conf"]
    with _running(command, folder, port):
        yield Front(f"https://127.0.0.1:{port}", trusted)


@contextmanager
def caddy(folder: Path, upstream: int, prefix: str) -> Iterator[Front]:
    """Run Caddy with the block of the page, on a free port and without certificates."""
    port = _free_port()
    block = _block("caddy", prefix).replace("127.0.0.1:2667", f"127.0.0.1:{upstream}")
    block = block.replace("example.com {", f"http://127.0.0.1:{port} {{")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{block}")
    command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    with _running(command, folder, port):
        yield Front(f"http://127.0.0.1:{port}", False)


def _block(kind: str, prefix: str) -> str:
    """Return a configuration of the page, with another path in place of its own."""
    return BLOCKS[kind].replace(PREFIX, prefix)


def _free_port() -> int:
    """Return a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """Run a proxy that is installed, until the end of the block."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": str(folder)}
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        until(lambda: _is_open(process, folder, port), f"{command[0]} listens")
        yield
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE_SECONDS)


def _is_open(process: "subprocess.Popen[bytes]", folder: Path, port: int) -> bool:
    """Return whether a proxy listens."""
    assert process.poll() is None, (folder / "proxy.log").read_text()
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
