"""The commands that ask a running booper: what they send, what they print, how they end."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from booper.cli import main
from booper.cli.typed import data_of
from tests.support.documents import BLOCKS
from tests.support.processes import Daemon, allow_local_targets, serving, until

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

    def run(*arguments: str, code: int = 0, input: str = "", **more: str) -> Result:
        result = CliRunner().invoke(main, arguments, env={**environment, **more}, input=input)
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
    assert heads.split()[:4] == ["id", "state", "scheduled", "at"]
    assert first.split()[:2] == [number, "scheduled"]
    assert "GET https://example.com/job" in first
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


@pytest.mark.parametrize(
    ("typed", "length"), [("1d", 86_400), ("90", 90), ("2 hours", [2, "hours"])]
)
def test_an_idempotency_key_stays_taken_for_as_long_as_was_typed(
    booper: Booper, daemon: Daemon, typed: str, length: int | list[Any]
) -> None:
    """A create with the key of a job that has finished makes none before the time is over."""
    create = ("run", "get", f"{daemon.url}/api/ping", "--idempotency-key", f"kept {typed}")
    made = answered(booper(*create, "--idempotency-ttl", typed, "--json"))
    assert made["args"]["idempotency_ttl"] == length
    number = str(made["job_id"])
    until(lambda: "completed" in booper("jobs", "get", number).stdout, "the job was sent")
    assert "it was there before" in booper(*create).stdout


def test_an_idempotency_ttl_without_a_key_is_refused(booper: Booper) -> None:
    """It says for how long a key is taken; the message names the option that was typed."""
    create = ("run", "get", "https://example.com/", "--idempotency-ttl", "1d")
    assert "--idempotency-key" in booper(*create, code=2).stderr


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


DATA = [
    (("[1,2]",), [1, 2]),
    ((' [1, "a"] ',), [1, "a"]),
    (('"text"',), "text"),
    (("true",), True),
    (("null",), None),
    (("5",), 5),
    (("-1.5e3",), -1500.0),
    (('{"a": [1]}',), {"a": [1]}),
    (("a=b",), {"a": "b"}),
    (("a=b", "c=[1]"), {"a": "b", "c": "[1]"}),
    (("a=",), {"a": ""}),
    (("a=b=c",), {"a": "b=c"}),
    (("@data.json",), {"from": "a file"}),
    (("@bom.json",), ["with a mark"]),
    (("-",), {"from": "standard input"}),
]


@pytest.mark.parametrize(("typed", "body"), DATA, ids=lambda case: str(case))
def test_data_are_json_pairs_a_file_or_standard_input(
    booper: Booper, tmp_path: Path, typed: tuple[str, ...], body: Any
) -> None:
    """As the help says; what begins like JSON is JSON."""
    (tmp_path / "data.json").write_text('{"from": "a file"}\n')
    (tmp_path / "bom.json").write_text('["with a mark"]', encoding="utf-8-sig")
    data = [part for each in typed for part in ("-d", each.replace("@", f"@{tmp_path}/"))]
    create = ("run", "post", "https://example.com/", "--in", "1 day", "--json", *data)
    made = answered(booper(*create, input='{"from": "standard input"}'))
    assert made["args"].get("body") == body


def test_no_digit_of_a_number_that_was_typed_is_lost() -> None:
    """The body leaves as it was spelled; a number of Python's would be 1.1 and 1e+20."""
    text = '{"a": 1.10, "b": 100000000000000000000.01}'
    assert bytes(data_of([f" {text}\n"])).decode() == text


def test_text_is_sent_as_it_is_if_its_type_is_named(booper: Booper, tmp_path: Path) -> None:
    """Else a file that is no JSON is a mistake."""
    (tmp_path / "note.txt").write_text("no JSON")
    create = ("run", "post", "https://example.com/", "--in", "1 day", "-d", f"@{tmp_path}/note.txt")
    typed = ("-H", "content-type: text/plain", "--json")
    assert answered(booper(*create, *typed))["args"]["body"] == "no JSON"
    assert "expected JSON, got 'no JSON'" in booper(*create, code=2).stderr


@pytest.mark.parametrize(
    ("words", "method"),
    [
        (("https://example.com/",), "get"),
        (("https://example.com/", "-d", "a=b"), "post"),
        (("PUT", "https://example.com/"), "put"),
        (("delete", "https://example.com/"), "delete"),
        (("get", "https://example.com/", "-d", "a=b"), "get"),
    ],
)
def test_a_method_may_be_left_out(booper: Booper, words: tuple[str, ...], method: str) -> None:
    """It is get then, as in the API, or post if there is a body, as with curl."""
    made = answered(booper("run", *words, "--in", "1 day", "--json"))
    assert made["args"]["method"] == method


def test_run_sets_what_a_create_can_set(booper: Booper) -> None:
    """Attempts, timeout, tags, callback and webhook, by the names of the API without `_url`."""
    options = [
        "--max-attempts",
        "3",
        "--timeout",
        "5",
        "--tag",
        "a",
        "--tag",
        "b",
        "--name",
        "one",
        "--in",
        "90",
        "--json",
    ]
    reports = ("--callback", "https://example.com/c", "--webhook", "https://example.com/w")
    args = answered(booper("run", "https://example.com/", *options, *reports))["args"]
    assert (args["max_attempts"], args["timeout"], args["tags"]) == (3, 5, ["a", "b"])
    assert (args["callback_url"], args["webhook_url"]) == reports[1::2]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_options_may_stand_before_the_command(daemon: Daemon, place: int) -> None:
    """`booper --url X jobs list` is what is typed when a shell repeats the beginning."""
    words = ["jobs", "list"]
    words[place:place] = ["--url", daemon.url, f"--key={daemon.key}", "--json", "--limit", "1"]
    result = CliRunner().invoke(main, words, env={"BOOPER_URL": "", "BOOPER_API_KEY": ""})
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)) <= 1


def test_an_option_that_the_command_has_not_is_refused_all_the_same(booper: Booper) -> None:
    """Moving it changes nothing of that."""
    assert "No such option '--url'" in booper("--url", "http://127.0.0.1:1", "check", code=2).stderr
    assert "No such option '--nonsense'" in booper("--nonsense", "jobs", "list", code=2).stderr


def test_jobs_are_found_by_filters(booper: Booper) -> None:
    """Each that is given must hold."""

    def found(*options: str) -> set[int]:
        return {job["job_id"] for job in answered(booper("jobs", "list", "--json", *options))}

    def make(*options: str) -> int:
        create = ("run", "https://filters.example/", "--json", "--tag", "filters")
        return int(answered(booper(*create, *options))["job_id"])

    soon, later = make("--in", "1 hour"), make("--in", "9 days")
    cancelled = make("--in", "2 days")
    booper("jobs", "cancel", str(cancelled))
    assert found("--tag", "filters") == {soon, later, cancelled}
    assert found("--tag", "filters", "--state", "scheduled") == {soon, later}
    assert found("--tag", "filters", "--since", "2 hours") == {soon, later, cancelled}
    assert found("--tag", "filters", "--since", "2 hours ago", "--before", "1 hour ago") == set()
    assert found("--tag", "filters", "--since", "2099-01-01") == set()
    assert found("--url-prefix", "https://filters.", "--failed") == set()
    assert found("--tag", "nobody") == set()


def test_a_finished_job_is_shown_as_not_cancelled(daemon: Daemon, booper: Booper) -> None:
    """It is returned unchanged (contract §2), and the command says so."""
    number = str(answered(booper("run", "get", f"{daemon.url}/api/ping", "--json"))["job_id"])
    booper("jobs", "watch", number)
    shown = booper("jobs", "cancel", number).stdout
    assert f"job {number}: completed" in shown
    assert "not cancelled" in shown


def test_many_jobs_are_cancelled_and_sent_again_by_filter(booper: Booper) -> None:
    """`--dry-run` counts them first."""
    for _ in range(3):
        booper("run", "https://example.com/", "--in", "1 day", "--tag", "many")
    cancel = ("jobs", "cancel", "--tag", "many")
    assert booper(*cancel, "--dry-run").stdout == "3 jobs match, nothing was changed\n"
    assert booper(*cancel).stdout == "3 jobs match, 3 cancelled\n"
    assert answered(booper(*cancel, "--json")) == {"matched": 0, "changed": 0}
    assert booper("jobs", "retry", "--tag", "many").stdout == "3 jobs match, 3 sent again\n"
    booper(*cancel)
    for _ in range(2):
        booper("run", "https://example.com/", "--in", "1 day", "--tag", "early")
    run = ("jobs", "run", "--tag", "early")
    assert booper(*run, "--dry-run").stdout == "2 jobs match, nothing was changed\n"
    assert booper(*run).stdout == "2 jobs match, 2 due now\n"
    booper("jobs", "cancel", "--tag", "early")


def test_a_job_shows_what_its_last_attempt_sent_and_received(
    booper: Booper, daemon: Daemon
) -> None:
    """Why it failed is one command away, and needs no 36 characters."""
    url = f"{daemon.url}/api/jobs?nonsense=1"
    data = ("-d", "question=why", "--max-attempts", "1", "--name", "to be refused")
    number = str(answered(booper("run", "post", url, *data, "--json"))["job_id"])

    def shown() -> str | None:
        text = booper("jobs", "get", number).stdout
        return text if "discarded" in text else None

    text = until(shown, "the job was discarded") or ""
    assert f"job {number}: discarded, POST {url}" in text
    assert '{"question":"why"}' in text
    assert "received  401, after" in text
    assert "Unauthenticated" in text
    row = next(line for line in booper("jobs", "list").stdout.splitlines() if "refused" in line)
    assert "the target responded 401" in row


def test_a_job_without_a_response_says_so_in_words(booper: Booper) -> None:
    """A port where nobody listens gives no response; no name of an error stands before it."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
    create = ("run", "post", url, "--max-attempts", "1", "--json")
    number = str(answered(booper(*create))["job_id"])
    text = until(
        lambda: "discarded" in (text := booper("jobs", "get", number).stdout) and text,
        "the job was discarded",
    )
    [line] = [line for line in str(text).splitlines() if "no response" in line]
    assert re.fullmatch(r"  no response  \S.*, after [0-9.]+ ms", line)
    assert "connect:" not in line


@pytest.mark.parametrize("number", ["1.10", "-0.50", "1e5", "1E-7", "0.1234567890123456789"])
def test_a_number_is_shown_with_the_digits_it_came_with(
    booper: Booper, daemon: Daemon, number: str
) -> None:
    """In what was sent, in JSON, in lists and in the log; 1.10 is no 1.1 to who reads versions."""
    data = ("-d", f'{{"version": {number}}}', "--max-attempts", "1")
    create = booper("run", "post", f"{daemon.url}/api/echo", *data, "--json").stdout
    assert f'"version":{number}' in create
    job_id = str(json.loads(create)["job_id"])
    until(lambda: "completed" in booper("jobs", "get", job_id).stdout, "the job was sent")
    assert f'{{"version":{number}}}' in booper("jobs", "get", job_id).stdout
    for command in (("jobs", "list"), ("jobs", "get", job_id), ("logs", "list", "--job", job_id)):
        assert f'"version":{number}' in booper(*command, "--json").stdout


def test_a_schedule_is_named_by_its_name_or_the_first_part_of_its_id(booper: Booper) -> None:
    """A part that several have is refused, with their ids."""
    create = ("run", "https://example.com/", "--cron", "@daily", "--json", "--name")
    one = answered(booper(*create, "one by name"))["schedule_id"]
    two = answered(booper(*create, "two by name"))["schedule_id"]
    get = ("schedules", "get", "--json")
    assert answered(booper(*get, "one by name"))["id"] == one
    assert answered(booper(*get, two[:35]))["id"] == two
    assert one in booper(*get, two[:6], code=2).stderr
    assert "there is no schedule" in booper(*get, "nobody", code=1).stderr
    booper("schedules", "delete", "one by name")
    booper("schedules", "delete", two)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("jobs", "get", "999999"), 1, "there is no job 999999 (404 Not found)"),
        (("jobs", "get", ".."), 2, "expected an id"),
        (("run", "get", "nonsense"), 1, "booper: URL: "),
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
            "--timezone applies to --cron, and to an --at without a zone",
        ),
        (
            ("run", "get", "https://example.com", "--timezone", "UTC", "--at", "2099-01-01T00Z"),
            2,
            "there is neither",
        ),
        (
            ("run", "get", "https://example.com", "--timezone", "UTC", "--every", "5m"),
            2,
            "there is neither",
        ),
        (("jobs", "watch", "1", "--every", "soon"), 2, "1h30m"),
        (("logs", "tail", "--every", "2h"), 2, "must be from 0.01 to 3600 seconds, got '2h'"),
        (("run", "get", "https://example.com", "-d", "x"), 2, "--data: expected NAME=VALUE"),
        (("run", "get", "https://example.com", "-d", "{"), 2, "--data: expected JSON"),
        (("run", "get", "https://example.com", "-d", "a=1", "-d", "a=2"), 2, "given twice"),
        (("run", "get", "https://example.com", "-H", "x"), 2, "--header: expected NAME:VALUE"),
        (("run", "get", "https://example.com", "--in", "1 day", "--schedule", "x"), 2, "older"),
        (("run",), 2, "there is no URL"),
        (("run", "post"), 2, "there is no URL"),
        (("run", "https://example.com", "post"), 2, "`booper run post https://example.com`"),
        (("run", "post", "https://example.com", "x"), 2, "expected METHOD and URL, got 3 words"),
        (("run", "get", "https://example.com", "-d", "[1]"), 2, "becomes the query; expected"),
        (("run", "post", "https://a.example", "-d", "[1"), 2, "--data: expected JSON, got '[1'"),
        (("run", "post", "https://a.example", "-d", '{"a":NaN}'), 2, "--data: expected JSON"),
        (("run", "post", "https://a.example", "-d", "[1e999]"), 2, "--data: expected JSON"),
        (("run", "post", "https://a.example", "-d", "@/none"), 2, "@/none cannot be read: No such"),
        (("jobs", "cancel"), 2, "or --all for every job"),
        (("jobs", "cancel", "1", "--tag", "a"), 2, "give an ID or filters, not both"),
        (
            ("jobs", "list", "--failed", "--state", "completed"),
            2,
            "--failed and --state exclude each other",
        ),
        (("jobs", "list", "--since", "soon"), 2, "--since: expected an ISO 8601 time"),
        (("jobs", "list", "--since", "soon"), 2, "or how long ago, such as '2 hours'"),
        (("run", "walk", "https://example.com"), 2, "METHOD: 'walk' is not one of get, post"),
        (
            ("run", "https://example.com", "--in", "5s", "--at", "2030-01-31T09:00:00Z"),
            1,
            "--at: give either --in or --at, not both",
        ),
        (
            ("run", "https://example.com", "--every", "5s", "--cron", "@daily"),
            1,
            "--every: give either cron or --every, not both",
        ),
        (
            ("run", "https://example.com", "--idempotency-ttl", "5m"),
            2,
            "--idempotency-ttl has no effect without --idempotency-key",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    booper: Booper, arguments: tuple[str, ...], code: int, told: str
) -> None:
    """1 means that booper refused, 2 that it cannot be sent."""
    assert told in booper(*arguments, code=code).stderr


def test_a_wrong_key_and_a_silent_server_are_told(booper: Booper) -> None:
    """3 means that no response came; both say what to do next."""
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


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("held.example", "held.example"),
        ("held.example:8443", "held.example:8443"),
        ("https://held.example", "https://held.example"),
        ("--all", "*"),
    ],
)
def test_a_pause_is_made_seen_and_ended(booper: Booper, typed: str, target: str) -> None:
    """A waiting job says what holds it, and so does the status."""
    port = ":8443" if ":8443" in typed else ""
    create = ("run", f"https://held.example{port}/", "--in", "1 day", "--json")
    number = str(answered(booper(*create))["job_id"])
    try:
        assert [each["target"] for each in answered(booper("pause", typed, "--json"))] == [target]
        what = "everything" if target == "*" else target
        shown = booper("jobs", "get", number).stdout
        assert f"{what} is paused" in shown
        assert f"`booper resume {typed}` goes on" in shown
        assert re.search(rf"^paused +{re.escape(what)}, since 20", booper("status").stdout, re.M)
    finally:
        assert answered(booper("resume", typed, "--json")) == []
    assert "is paused" not in booper("jobs", "get", number).stdout
    first, *others = booper("status").stdout.splitlines()
    assert first == "booper is ready"
    assert not any(line.startswith("paused") for line in others)


def test_nodes_are_listed(booper: Booper) -> None:
    """Over SQLite it is one: it has no lease, and no clock but the database's."""
    [head, row] = booper("nodes").stdout.splitlines()
    assert head.split() == ["number", "name", "started", "at", "clock", "this", "one"]
    assert row.split()[-4:] == ["0.000", "s", "ahead", "yes"]
    [node] = json.loads(booper("nodes", "--json").stdout)
    assert (node["name"], node["is_this"]) == (socket.gethostname(), True)


def test_breakers_are_listed_and_reset(booper: Booper) -> None:
    """None is open here; what there is none of is no error."""
    assert booper("breakers", "list").stdout.split()[:2] == ["origin", "failures"]
    assert booper("breakers", "reset", "https://example.com").stdout == "nothing was only probed\n"
    assert "which target?" in booper("breakers", "reset", code=2).stderr
    assert "host: expected a host" in booper("pause", "a b", code=1).stderr
