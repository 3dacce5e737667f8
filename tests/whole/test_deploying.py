"""The page about deploying: its commands and configurations, run as far as a test can."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from booper.config import read_config
from tests.support.deployed import (
    BLOCKS,
    KEY,
    PREFIX,
    SENDER,
    Deployed,
    Way,
    caddy,
    deployed,
    nginx,
)
from tests.support.documents import DOCS
from tests.support.processes import DEADLINE_SECONDS, bearer, run, until


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


def client_of(booper: Deployed) -> httpx.Client:
    """Return a client that calls a booper through its proxy, from an address of its own."""
    return httpx.Client(
        base_url=booper.url,
        headers=bearer(KEY),
        transport=httpx.HTTPTransport(verify=booper.front.trusted, local_address=SENDER),
        timeout=DEADLINE_SECONDS,
    )


@pytest.mark.parametrize("way", [nginx, caddy])
def test_booper_works_behind_a_proxy(tmp_path: Path, way: Way) -> None:
    """With its public URL, the real senders, large batches and live messages."""
    with deployed(tmp_path, way) as booper, client_of(booper) as client:
        job = {"url": "https://target.example/", "schedule_in": [1, "hour"]}
        made = client.post("/api/jobs", json=job)
        number = made.json()["data"]["job_id"]
        assert made.headers["location"] == f"https://example.com{PREFIX}/api/jobs/{number}"
        assert client.get(f"/api/jobs/{number}").json()["data"]["job_id"] == number

        forged = {"Authorization": "Bearer sk_wrong", "X-Forwarded-For": "192.0.2.1"}
        assert client.get("/api/jobs", headers=forged).status_code == 401
        refused = f"GET {PREFIX}/api/jobs from {SENDER} is refused"
        until(lambda: refused in booper.daemon.log, "it is logged")

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
    assert str(server.public) == f"https://example.com{PREFIX}"
    assert server.trusted_proxies == ("127.0.0.1",)
