"""The commands that ask a running booper: what they send, what they print, how they end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from booper.cli import main
from tests.processes import Daemon, allow_local_targets, serving, until
from tests.test_readme import BLOCKS

Booper = Callable[..., Result]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a booper that may reach this machine."""
    folder = tmp_path_factory.mktemp("served")
    allow_local_targets(folder)
    with serving(folder) as running:
        yield running


@pytest.fixture
def booper(daemon: Daemon) -> Booper:
    """Run a command against it, with its key in the environment."""
    environment = {"BOOPER_URL": daemon.url, "BOOPER_API_KEY": daemon.key}

    def run(*arguments: str, code: int = 0, **more: str) -> Result:
        result = CliRunner().invoke(main, arguments, env={**environment, **more})
        assert result.exit_code == code, result.output
        return result

    return run


def answered(result: Result) -> Any:
    """Return the JSON that was printed."""
    return json.loads(result.stdout)


def test_run_sends_what_was_typed(booper: Booper) -> None:
    """Data are the body, and with GET the query; times are as the hosted command has them."""
    options = ("--data", "content=Hi there", "-H", "X-Mood: good", "--in", "30 seconds")
    posted = answered(booper("run", "POST", "https://example.com/a", *options, "--json"))["args"]
    assert posted["body"] == {"content": "Hi there"}
    assert posted["headers"] == {"X-Mood": "good"}
    assert posted["schedule_in"] == [30, "seconds"]
    got = ("run", "get", "https://example.com/", "-d", "a=b", "--every", "5 minutes", "--json")
    asked = answered(booper(*got))["args"]
    assert (asked["query"], asked["repeat_every"]) == ({"a": "b"}, [5, "minutes"])
    older = ("create", "get", "https://example.com/", "--schedule", "in 2 hours", "--json")
    assert answered(booper(*older))["args"]["schedule_in"] == [2, "hours"]
    whole = ("run", "put", "https://example.com/", "-d", '{"a": [1]}', "--in", "9 days", "--json")
    assert answered(booper(*whole))["args"]["body"] == {"a": [1]}


def test_a_number_is_seconds_or_a_unix_time(booper: Booper) -> None:
    """1,893,456,000 s after 1970 it is 2030-01-01 (21,915 days of 86,400 s)."""
    get = ("run", "get", "https://example.com/", "--json")
    assert answered(booper(*get, "--in", "90"))["args"]["schedule_in"] == 90
    assert answered(booper(*get, "--in", "9", "--every", "1.5"))["args"]["repeat_every"] == 1.5
    at = answered(booper(*get, "--at", "1893456000"))["job"]["scheduled_at"]
    assert at == "2030-01-01T00:00:00Z"


def test_a_job_is_shown_called_off_and_sent_again(booper: Booper) -> None:
    """People read a table or a few lines."""
    made = answered(booper("run", "get", "https://example.com/job", "--in", "1 day", "--json"))
    number = str(made["job_id"])
    heads, first, *_ = booper("jobs", "list").stdout.splitlines()
    assert heads.split() == ["id", "state", "scheduled", "at", "what"]
    assert first.split()[:2] == [number, "scheduled"]
    assert first.endswith("GET https://example.com/job")
    assert "scheduled, GET https://example.com/job" in booper("jobs", "get", number).stdout
    assert f"job {number}: cancelled" in booper("jobs", "cancel", number).stdout
    assert [
        job["job_id"] for job in answered(booper("jobs", "list", "--state", "cancelled", "--json"))
    ]
    assert "cancelled" not in booper("jobs", "retry", number).stdout


def test_the_same_idempotency_key_is_told(booper: Booper) -> None:
    """A second create is the first job, and says so."""
    create = ("run", "get", "https://example.com/", "--in", "1 day", "--idempotency-key", "twice")
    assert "it was there before" not in booper(*create).stdout
    assert "it was there before" in booper(*create).stdout


def test_what_was_sent_is_in_the_logs(booper: Booper, daemon: Daemon) -> None:
    """The newest first, with the status that came back."""
    made = answered(booper("run", "get", f"{daemon.url}/api/ping", "--json"))
    number = str(made["job_id"])

    def finished() -> bool:
        return str(answered(booper("jobs", "get", number, "--json"))["job"]["state"]) == "completed"

    until(finished, "the request was answered")
    _, response, request = booper("logs", "list", "--job", number).stdout.splitlines()
    assert response.endswith("worker.http.response 200")
    assert request.endswith(f"worker.http.request {daemon.url}/api/ping")
    assert json.loads(booper("logs", "get", response.split()[0]).stdout)["payload"]["status"] == 200


def test_a_schedule_is_looked_at_stopped_and_deleted(booper: Booper) -> None:
    """Its next times are told in its own zone: nine o'clock stays nine o'clock."""
    weekly = ("--cron", "0 9 * * MON", "--timezone", "Europe/Berlin", "--json")
    made = answered(booper("run", "get", "https://example.com/", *weekly))
    schedule = made["schedule_id"]
    assert schedule in booper("schedules", "list").stdout
    times = booper("schedules", "next", schedule, "--count", "3").stdout.splitlines()
    assert [line[11:19] for line in times] == ["09:00:00"] * 3
    assert "disabled" in booper("schedules", "disable", schedule).stdout
    assert "booper schedules enable" in booper("schedules", "next", schedule).stdout
    assert "enabled" in booper("schedules", "enable", schedule).stdout
    assert "0 9 * * MON Europe/Berlin" in booper("schedules", "get", schedule).stdout
    assert "is deleted" in booper("schedules", "delete", schedule).stdout
    booper("schedules", "get", schedule, code=1)


@pytest.mark.parametrize("command", ["get", "disable", "enable"])
def test_one_schedule_is_no_list_for_programs(booper: Booper, command: str) -> None:
    """As with one job, they find its fields at the top."""
    made = answered(booper("run", "get", "https://example.com/", "--cron", "@daily", "--json"))
    schedule = made["schedule_id"]
    assert answered(booper("schedules", command, schedule, "--json"))["id"] == schedule


def test_status_tells_that_booper_is_ready(booper: Booper) -> None:
    """No key is needed."""
    assert booper("status", BOOPER_API_KEY="").stdout == "booper is ready\n"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("jobs", "get", "999999"), 1, "404 Not found"),
        (("jobs", "get", ".."), 2, "expected the id"),
        (("run", "get", "nonsense"), 1, "/url"),
        (
            ("run", "get", "https://example.com", "--in", "soon"),
            2,
            "--in: expected a duration such as",
        ),
        (
            ("run", "get", "https://example.com", "--every", "inf"),
            2,
            "--every: expected a duration",
        ),
        (
            ("run", "get", "https://example.com", "--at", "soon"),
            2,
            "--at: expected an ISO",
        ),
        (
            ("run", "get", "https://example.com", "--at", "20300131"),
            2,
            "--at: '20300131' could be 2030-01-31T00:00:00Z or 1970-08-23T22:55:31Z",
        ),
        (
            ("run", "get", "https://example.com", "--at", "2020-01-01"),
            2,
            "--at: 2020-01-01 has passed; leave --at out to send the request now",
        ),
        (("run", "get", "https://example.com", "--at", "1577836800"), 2, "has passed"),
        (
            ("run", "get", "https://example.com", "--at", "2020-01-01", "--every", "1 day"),
            2,
            "has passed",
        ),
        (
            ("run", "get", "https://example.com", "--timezone", "Europe/Berlin"),
            2,
            "--timezone is the zone of --cron, and of an --at without one",
        ),
        (
            ("run", "get", "https://example.com", "--timezone", "UTC", "--at", "2099-01-01T00Z"),
            2,
            "nothing here needs it",
        ),
        (
            ("run", "get", "https://example.com", "--timezone", "UTC", "--every", "5m"),
            2,
            "nothing here needs it",
        ),
        (("jobs", "watch", "1", "--every", "soon"), 2, "1h30m"),
        (("logs", "tail", "--every", "2h"), 2, "must be from 0.01 to 3600 seconds, got '2h'"),
        (("run", "get", "https://example.com", "-d", "x"), 2, "--data: expected name=value"),
        (("run", "get", "https://example.com", "-d", "{"), 2, "--data: expected JSON"),
        (("run", "get", "https://example.com", "-d", "a=1", "-d", "a=2"), 2, "given twice"),
        (("run", "get", "https://example.com", "-H", "x"), 2, "--header: expected name:value"),
        (("run", "get", "https://example.com", "--in", "1 day", "--schedule", "x"), 2, "older"),
        (("run", "walk", "https://example.com"), 2, "'METHOD': 'walk' is not one of 'get'"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    booper: Booper, arguments: tuple[str, ...], code: int, told: str
) -> None:
    """1 means that booper refused, 2 that it cannot be sent."""
    assert told in booper(*arguments, code=code).stderr


def test_a_wrong_key_and_a_silent_server_are_told(booper: Booper) -> None:
    """3 means that no answer came; both say what to do next."""
    refused = booper("jobs", "list", "--key", "sk_nobody_0123456789", code=1).stderr
    assert "BOOPER_API_KEY" in refused
    assert "sk_nobody" not in refused
    assert "booper serve" in booper("status", "--url", "http://127.0.0.1:1", code=3).stderr


@pytest.mark.parametrize("source", ["option", "environment", "file"])
def test_whom_to_ask_and_the_key_come_from_option_environment_and_file(
    daemon: Daemon, tmp_path: Path, source: str
) -> None:
    """The first of these that says it counts; what comes after it is wrong here."""
    sources = ["option", "environment", "file"]
    url = {one: daemon.url if one == source else "http://127.0.0.1:1" for one in sources}
    key = {one: daemon.key if one == source else "sk_nobody_0123456789" for one in sources}
    config = tmp_path / "booper.toml"
    config.write_text(
        f'[server]\nport = 1\n[client]\nurl = "{url["file"]}"\nkey = "{key["file"]}"\n'
    )
    environment = {"BOOPER_URL": url["environment"], "BOOPER_API_KEY": key["environment"]}
    options = ("--url", url["option"], "--key", key["option"])
    result = CliRunner().invoke(
        main,
        ("jobs", "list", "--config", str(config), *(options if source == "option" else ())),
        env=dict.fromkeys(environment, "") if source == "file" else environment,
    )
    assert result.exit_code == 0, result.output


def test_without_a_url_the_server_of_the_file_is_asked(daemon: Daemon, tmp_path: Path) -> None:
    """With the key of `[client]`; a URL that was typed leaves that key as it is."""
    port = daemon.url.rpartition(":")[2]
    config = tmp_path / "booper.toml"
    config.write_text(f'[server]\nport = {port}\n[client]\nkey = "{daemon.key}"\n')
    environment = {"BOOPER_URL": "", "BOOPER_API_KEY": "", "BOOPER_CONFIG": str(config)}
    for options in ((), ("--url", daemon.url)):
        result = CliRunner().invoke(main, ("jobs", "list", *options), env=environment)
        assert result.exit_code == 0, result.output


def test_a_wrong_client_of_the_file_is_told_in_a_line(tmp_path: Path) -> None:
    """2 means that the configuration is wrong; what it says is named."""
    config = tmp_path / "booper.toml"
    config.write_text('[client]\nurl = "localhost"\n')
    arguments = ("status", "--config", str(config))
    result = CliRunner().invoke(main, arguments, env={"BOOPER_URL": "", "BOOPER_API_KEY": ""})
    assert result.exit_code == 2
    assert result.stderr == (
        f"booper: {config}: [client] url: "
        "expected a URL such as http://127.0.0.1:2667, got 'localhost'\n"
    )


@pytest.mark.parametrize(
    ("typed", "offered"), [("jobs w", "watch"), ("jobs list --state ca", "cancelled")]
)
def test_a_shell_completes_what_is_typed(tmp_path: Path, typed: str, offered: str) -> None:
    """By the line that the README has in ~/.bashrc; its function is called as bash does."""
    (line,) = (
        line
        for kind, text in BLOCKS
        if kind == "sh"
        for line in text.splitlines()
        if "bash_source" in line
    )
    words = f"booper {typed}"
    script = f"""
        {line}
        COMP_WORDS=({words}) COMP_CWORD={len(words.split()) - 1}
        _booper_completion booper
        echo "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [offered]
