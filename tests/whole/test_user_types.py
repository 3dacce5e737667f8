"""What users write against booper is checked by their type checker: mypy, strict."""

import subprocess
import sys
from pathlib import Path

from tests.support.documents import BLOCKS

USER = """
from datetime import timedelta
from typing import assert_type

import httpx
from booper.client import AsyncClient, Client, Creation, Invalid, Job
from booper.testing import Journey, Sent, VirtualBooper


def remind(client: Client) -> Job:
    with client:
        job = client.jobs.create(url="https://example.com", schedule_in=timedelta(days=3))
        assert_type(job, Job)
        for other in client.jobs.iterate(state="completed"):
            assert_type(other.job.attempt, int)
    return job


async def remind_soon() -> int:
    async with AsyncClient.from_env() as client:
        fields: Creation = {"url": "https://example.com", "method": "post", "body": {"a": 1}}
        try:
            job = await client.jobs.create(**fields)
        except Invalid as error:
            return len(error.fields)
        assert_type(job, Job)
        return len([entry.event async for entry in client.logs.iterate(job_id=job.job_id)])


def test_it(booper: VirtualBooper) -> None:
    booper.respond("https://example.com", 500, TimeoutError(), httpx.Response(200, json={}))
    remind(booper.client)
    assert_type(booper.advance(days=3), Journey)
    assert_type(booper.sent.to("*").one(), Sent)
    booper.respond("https://example.com", "500")  # type: ignore[arg-type]


WRONG = Client().jobs.create(url="https://example.com", schedule_inn=5)  # type: ignore[call-arg]
NAMELESS = Client().jobs.create(cron="@daily")  # type: ignore[call-arg]
"""


def test_a_users_file_passes_mypy_strict(tmp_path: Path) -> None:
    """The types reach the user; a misspelt field and a missing one are found.

    The README's programs, with the client, booper inside and the fixture, are users' files as well.
    """
    (tmp_path / "user.py").write_text(USER)
    programs = [text for kind, text in BLOCKS if kind == "python"]
    for number, text in enumerate(programs):
        (tmp_path / f"program{number}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
