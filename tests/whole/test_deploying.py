"""The page about deploying: its commands and configurations, run as far as a test can."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from booper.config import read_config
from tests.support.documents import DOCS, blocks_of
from tests.support.processes import DEADLINE_SECONDS, Daemon, bearer, run, serving, until

BLOCKS = dict(reversed(blocks_of(DOCS["deploying"])))
KEY = "sk_a_key_for_proxies"
PATH = "/tools/booper"

# Not the address that the proxies come from, which is trusted.
SENDER = "127.0.0.2"

Way = Callable[[Path, int], AbstractContextManager[tuple[str, ssl.SSLContext | bool]]]
"""Run a proxy before a port; gives the URL of booper behind it, and whom a client trusts."""


def test_the_units_are_installed_by_the_commands_there(tmp_path: Path) -> None:
    """With another folder for the units, and a systemctl that notes what it is asked."""
    script = BLOCKS["sh"].replace("/etc/systemd/system", str(tmp_path))
    script = re.sub(r"^booper", f"{sys.executable} -m booper", script, flags=re.MULTILINE)
    script = f"systemctl() {{ echo systemctl $@; }}\n{script}"
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines() == [
        "systemctl daemon-reload",
        "systemctl enable --now booper.socket booper.service",
    ]
    for unit in ("service", "socket"):
        assert (tmp_path / f"booper.{unit}").read_text().startswith("# /etc/systemd/system/booper.")


# --- proxies --------------------------------------------------------------------------------------


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[tuple[str, ssl.SSLContext | bool]]:
    """Run nginx with the block of the page, on a free port and with a certificate of its own."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "pem")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    port = free_port()
    block = re.sub(r"/etc/ssl/\S+(?=;)", str(folder / "pem"), BLOCKS["nginx"])
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
    with proxy(command, folder, port):
        yield f"https://127.0.0.1:{port}{PATH}", trusted


@contextmanager
def caddy(folder: Path, upstream: int) -> Iterator[tuple[str, ssl.SSLContext | bool]]:
    """Run Caddy with the block of the page, on a free port and without certificates."""
    port = free_port()
    block = BLOCKS["caddy"].replace("127.0.0.1:2667", f"127.0.0.1:{upstream}")
    block = block.replace("example.com {", f"http://127.0.0.1:{port} {{")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{block}")
    command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    with proxy(command, folder, port):
        yield f"http://127.0.0.1:{port}{PATH}", False


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def proxy(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """Run a proxy that is installed, until the end of the block."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": str(folder)}
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        until(lambda: is_open(process, folder, port), f"{command[0]} listens")
        yield
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE_SECONDS)


def is_open(process: "subprocess.Popen[bytes]", folder: Path, port: int) -> bool:
    """Return whether a proxy listens."""
    assert process.poll() is None, (folder / "proxy.log").read_text()
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def proxied(folder: Path, way: Way) -> Iterator[tuple[Daemon, httpx.Client]]:
    """Run a booper with the settings of the page, a proxy before it, and a client of that."""
    (folder / "booper.toml").write_text(BLOCKS["toml"], encoding="utf-8")
    with (
        serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon,
        way(folder, daemon.api.base_url.port or 0) as (url, trusted),
        httpx.Client(
            base_url=url,
            headers=bearer(KEY),
            transport=httpx.HTTPTransport(verify=trusted, local_address=SENDER),
            timeout=DEADLINE_SECONDS,
        ) as client,
    ):
        yield daemon, client


@pytest.mark.parametrize("way", [nginx, caddy])
def test_booper_works_behind_a_proxy(tmp_path: Path, way: Way) -> None:
    """With its public URL, the real senders, large batches and live messages."""
    with proxied(tmp_path, way) as (daemon, client):
        job = {"url": "https://target.example/", "schedule_in": [1, "hour"]}
        made = client.post("/api/jobs", json=job)
        number = made.json()["data"]["job_id"]
        assert made.headers["location"] == f"https://example.com{PATH}/api/jobs/{number}"
        assert client.get(f"/api/jobs/{number}").json()["data"]["job_id"] == number

        forged = {"Authorization": "Bearer sk_wrong", "X-Forwarded-For": "192.0.2.1"}
        assert client.get("/api/jobs", headers=forged).status_code == 401
        until(lambda: f"GET {PATH}/api/jobs from {SENDER} is refused" in daemon.log, "it is logged")

        large = {**job, "body": "x" * 50_000}
        batch = client.post("/api/jobs/batch", json={"jobs": [large] * 100})
        assert batch.status_code == 201

        with client.stream("GET", "/api/channels/news/events") as events:
            message = {"content": "live", "author": "a", "channel": "news"}
            assert client.post("/api/broadcast", json=message).status_code == 200
            assert any("live" in line for line in events.iter_lines())


# --- a container ----------------------------------------------------------------------------------


def test_the_container_runs_a_command_that_exists(tmp_path: Path) -> None:
    """No more of it can be tried without Docker, and the page says so."""
    [command] = re.findall(r"^CMD (.*)$", BLOCKS["dockerfile"], re.MULTILINE)
    program, *arguments = json.loads(command)
    assert program == "booper"
    refused = run(tmp_path, *arguments, "--port", "0")  # the last one counts
    assert "listening on 0.0.0.0 needs an API key" in refused.stderr
    assert "were not built or run by the tests" in DOCS["deploying"]


def test_the_settings_behind_a_proxy_are_accepted(tmp_path: Path) -> None:
    """And say what the page says."""
    (tmp_path / "booper.toml").write_text(BLOCKS["toml"], encoding="utf-8")
    server = read_config(tmp_path / "booper.toml", {}).server
    assert str(server.public) == f"https://example.com{PATH}"
    assert server.trusted_proxies == ("127.0.0.1",)
