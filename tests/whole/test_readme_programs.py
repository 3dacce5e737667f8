"""The programs of the README, in Python and in Node, run against a daemon as they stand there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from booper.client import Client
from tests.support.documents import block
from tests.support.processes import Daemon, allow_local_targets, serving


def program(command: Sequence[str], daemon: Daemon, folder: Path) -> str:
    """Run a program to its end beside a daemon, and return what it printed."""
    assert daemon.key is not None
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=folder,
        env={**os.environ, "BOOPER_URL": daemon.url, "BOOPER_API_KEY": daemon.key},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_python_program_makes_a_job_and_calls_it_off(tmp_path: Path) -> None:
    """It prints the job that waits, and leaves it cancelled."""
    allow_local_targets(tmp_path)
    (tmp_path / "hello.py").write_text(
        block("python", "from datetime import timedelta\n\nfrom booper.client")
    )
    with serving(tmp_path) as daemon:
        printed = program([sys.executable, "hello.py"], daemon, tmp_path)
        with Client(daemon.url, daemon.key) as client:
            (job,) = client.jobs.list()
    assert printed == f"{job.job_id} {job.scheduled_at}\n"
    assert job.state == "cancelled"


def test_the_node_program_makes_a_job(tmp_path: Path) -> None:
    """Nothing but the base URL says that this is not the hosted service."""
    node = shutil.which("node")
    if node is None and "CI" not in os.environ:
        pytest.skip("needs Node 18 or newer; the checks on a new machine install it")
    assert node is not None
    allow_local_targets(tmp_path)
    (tmp_path / "hello.mjs").write_text(block("js", "const base"))
    with serving(tmp_path) as daemon:
        printed = program([node, "hello.mjs"], daemon, tmp_path)
        with Client(daemon.url, daemon.key) as client:
            (job,) = client.jobs.list()
    assert printed == f"{job.job_id} scheduled\n"
    assert (job.idempotency_key, job.args["body"]) == ("hello-node", {"content": "Hello from Node"})
