"""`booper import crontab`: schedules from a crontab, once or again."""

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
from booper.cli.crontab_lines import MAX_LINES, local_zone
from booper.docs import markdown
from tests.support.documents import blocks_of
from tests.support.processes import DEADLINE_SECONDS, Daemon, allow_local_targets, serving

URL = "https://run.example.com/?c={command}"
LINES = """\
MAILTO=me@example.com
# Nightly backup
0 3 * * * backup --all
CRON_TZ=Europe/Berlin
@daily mail me%Hello
@daily mail me%Hello
"""

Import = Callable[..., Result]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Run a booper of its own for each test."""
    allow_local_targets(tmp_path)
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def crontab(daemon: Daemon, tmp_path: Path) -> Import:
    """Import these lines."""

    def run(text: str, *options: str, code: int = 0, url: str = URL, **more: str) -> Result:
        file = tmp_path / "crontab"
        file.write_text(text, encoding="utf-8")
        environment = {"BOOPER_URL": daemon.url, "BOOPER_API_KEY": daemon.key, "TZ": "Asia/Kolkata"}
        typed = ["import", "crontab", str(file), "--url", url, *options]
        result = CliRunner().invoke(main, typed, env={**environment, **more})
        assert result.exit_code == code, result.output
        return result

    return run


def schedules(daemon: Daemon) -> list[dict[str, Any]]:
    """Return the schedules that are there, the oldest first."""
    found: list[dict[str, Any]] = daemon.api.get("/api/schedules").json()["data"]
    return sorted(found, key=lambda each: str(each["id"]))


def results(result: Result) -> list[str]:
    """Return what became of each line, of what was printed as JSON."""
    return [line["result"] for line in json.loads(result.stdout)["lines"]]


def test_each_line_becomes_a_schedule(daemon: Daemon, crontab: Import) -> None:
    """Its command is in the URL and in the body; its zone is its own, or that of the machine."""
    printed = crontab(LINES).stdout
    assert "3 created, 0 changed, 0 unchanged\n" in printed
    assert "line 1 is left out: MAILTO" in printed
    first, *others = sorted(schedules(daemon), key=lambda each: str(each["name"]))
    assert (first["name"], len(others)) == ("Nightly backup", 2)
    assert first["frequency"] == {"cron": "0 3 * * *", "timezone": "Asia/Kolkata"}
    assert first["args"]["url"] == "https://run.example.com/?c=backup%20--all"
    assert first["args"]["body"] == {"command": "backup --all"}
    for other in others:
        assert other["frequency"] == {"cron": "@daily", "timezone": "Europe/Berlin"}
        assert other["args"]["body"] == {"command": "mail me", "input": "Hello"}


def test_an_import_again_changes_what_has_changed(daemon: Daemon, crontab: Import) -> None:
    """The schedule keeps its id; the others are left alone, and two equal lines stay two."""
    crontab(LINES)
    before = schedules(daemon)
    assert results(crontab(LINES, "--json")) == ["unchanged"] * 3
    changes = daemon.api.get("/api/audit").json()["data"]
    later = LINES.replace("0 3", "30 4").replace("Nightly", "Morning")
    assert results(crontab(later, "--json")) == ["changed", "unchanged", "unchanged"]
    assert len(daemon.api.get("/api/audit").json()["data"]) == len(changes) + 1
    after = schedules(daemon)
    assert [each["id"] for each in after] == [each["id"] for each in before]
    assert [each["frequency"]["cron"] for each in after if each["name"] == "Morning backup"] == [
        "30 4 * * *"
    ]


@pytest.mark.parametrize(
    ("option", "count"), [("--method=get", 3), ("--header=X-A: 2", 3), ("--timezone=UTC", 1)]
)
def test_an_option_that_changes_the_request_is_a_change(
    crontab: Import, option: str, count: int
) -> None:
    """As a changed line is; `--timezone` is for the line without a zone alone."""
    crontab(LINES, "--header=X-A: 1")
    rest = () if "header" in option else ("--header=X-A: 1",)
    again = results(crontab(LINES, option, *rest, "--json"))
    assert again == ["changed"] * count + ["unchanged"] * (3 - count)


def test_a_secret_header_is_sent_again(crontab: Import) -> None:
    """booper does not show its value, so nobody knows that it is the same."""
    crontab("@daily a\n", "-H", "Authorization: Bearer one")
    again = crontab("@daily a\n", "-H", "Authorization: Bearer two", "--json")
    assert results(again) == ["changed"]


def test_a_dry_run_makes_nothing(daemon: Daemon, crontab: Import) -> None:
    """It shows each line, its next run, and how many there would be."""
    printed = crontab(LINES, "--dry-run").stdout
    assert "3 would be created, 0 would be changed, 0 unchanged\n" in printed
    assert "0 3 * * *  Asia/Kolkata" in printed
    shown = json.loads(crontab(LINES, "--dry-run", "--json").stdout)
    assert shown["dry_run"] is True
    assert [line["line"] for line in shown["lines"]] == [3, 5, 6]
    assert schedules(daemon) == []


BAD = "@daily a\n61 * * * * b\n@daily c\n@reboot d\n"


def test_one_bad_line_keeps_all_out(daemon: Daemon, crontab: Import) -> None:
    """Each is named by its number; by --skip-bad the others are imported."""
    told = crontab(BAD, code=1).stderr
    assert "line 2: cron minute '61': 61 is not in 0 to 59\n" in told
    assert "line 4: cron alias '@reboot' is not supported" in told
    assert "nothing was imported" in told
    assert schedules(daemon) == []
    assert "line 2: " in crontab(BAD, "--skip-bad").stderr
    assert {each["name"] for each in schedules(daemon)} == {"a", "c"}


def test_a_line_that_booper_refuses_is_bad_as_well(daemon: Daemon, crontab: Import) -> None:
    """The guard's reason is told for each line, in a dry run too."""
    for options in ((), ("--dry-run",)):
        told = crontab("@daily 10.0.0.1\n", *options, url="http://{command}/", code=1).stderr
        assert "line 1: URL: host 10.0.0.1 is in a private network" in told
    assert schedules(daemon) == []


def test_the_parts_of_a_line_are_quoted_in_the_url(daemon: Daemon, crontab: Import) -> None:
    """They cannot add a path, a query or a fragment of their own (RFC 3986 §2.2)."""
    url = "https://run.example.com/{user}/{name}?c={command}"
    crontab("# a/b\n@daily ro?ot run a&b=c#d é\n", "--system", url=url)
    (made,) = schedules(daemon)
    expected = "https://run.example.com/ro%3Fot/a%2Fb?c=run%20a%26b%3Dc%23d%20%C3%A9"
    assert made["args"]["url"] == expected
    assert made["args"]["body"] == {"command": "run a&b=c#d é", "user": "ro?ot"}


@pytest.mark.parametrize("command", ["$state.secret", "$$HOME/run", "$HOME/run"])
def test_a_command_is_no_reference_to_the_state(
    daemon: Daemon, crontab: Import, command: str
) -> None:
    """A text that begins with `$$` loses one `$` when it is sent (contract §6)."""
    crontab(f"@daily {command}\n")
    (made,) = schedules(daemon)
    assert made["args"]["body"] == {"command": f"${command}"}


def test_crontabs_with_prefixes_of_their_own_are_kept_apart(
    daemon: Daemon, crontab: Import
) -> None:
    """Two users may run the same command."""
    crontab("@daily a\n", "--prefix", "alice")
    crontab("@hourly a\n", "--prefix", "bob")
    assert [each["frequency"]["cron"] for each in schedules(daemon)] == ["@daily", "@hourly"]


# options, lines -> what is said, on a command line that is wrong
REFUSED = {
    (("--timezone", "Europe/Berlim"), "@daily a\n"): "did you mean 'Europe/Berlin'?",
    (("--header", "X"), "@daily a\n"): "--header: expected NAME:VALUE",
    ((), "@daily a\n" * (MAX_LINES + 1)): f"import at most {MAX_LINES} at a time",
    ((), "\udcff"): "is not in UTF-8: line 1",
}


@pytest.mark.parametrize(("options", "text"), REFUSED, ids=str)
def test_a_wrong_command_line_ends_with_2(
    crontab: Import, tmp_path: Path, options: tuple[str, ...], text: str
) -> None:
    """And with what would be right."""
    if text == "\udcff":
        (tmp_path / "latin").write_bytes(b"@daily caf\xe9\n")
        typed = ["import", "crontab", str(tmp_path / "latin"), "--url", URL]
        result = CliRunner().invoke(main, [*typed, "--server", "http://127.0.0.1:1"])
        assert (result.exit_code, REFUSED[options, text] in result.stderr) == (2, True)
        return
    assert REFUSED[options, text] in crontab(text, *options, code=2).stderr


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("https://x.example.com/{cmd}", "'{cmd}' is no part of a line; write {command}, {name}"),
        ("https://x.example.com/{user}", "only lines of a system crontab (--system) name a user"),
    ],
)
def test_a_wrong_template_is_refused(crontab: Import, template: str, told: str) -> None:
    """With the parts that there are."""
    assert told in crontab("@daily a\n", url=template, code=2).stderr


@pytest.mark.parametrize("file", ["/etc/crontab", "/etc/cron.d/anything"])
def test_a_system_crontab_is_known_by_its_place(file: str) -> None:
    """Its users would be taken for commands."""
    typed = ["import", "crontab", file, "--url", URL, "--server", "http://127.0.0.1:1"]
    result = CliRunner().invoke(main, typed)
    assert (result.exit_code, "add --system" in result.stderr) == (2, True)


def test_a_crontab_comes_from_standard_input_too(daemon: Daemon) -> None:
    """As `crontab -l` prints it; an unreachable server is named by its option here."""
    typed = ["import", "crontab", "-", "--url", URL, "--server", daemon.url, "--timezone", "UTC"]
    key = {"BOOPER_API_KEY": daemon.key}
    result = CliRunner().invoke(main, typed, env=key, input="@daily a\n")
    assert result.exit_code == 0, result.output
    assert [each["name"] for each in schedules(daemon)] == ["a"]
    typed[typed.index(daemon.url)] = "http://127.0.0.1:1"
    result = CliRunner().invoke(main, typed, env=key, input="@daily a\n")
    assert (result.exit_code, "--server or BOOPER_URL" in result.stderr) == (3, True)


def test_the_zone_of_a_machine_has_its_name(tmp_path: Path) -> None:
    """By TZ, else by where /etc/localtime leads; without both it is UTC (localtime(5))."""
    zones = tmp_path / "zoneinfo" / "Europe"
    zones.mkdir(parents=True)
    (zones / "Berlin").touch()
    link = tmp_path / "localtime"
    assert local_zone({}, link) == "UTC"
    link.symlink_to(zones / "Berlin")
    assert local_zone({}, link) == "Europe/Berlin"
    assert local_zone({"TZ": ":Asia/Kolkata"}, link) == "Asia/Kolkata"
    assert local_zone({"TZ": "CET-1CEST"}, link) is None
    link.unlink()
    link.write_bytes(b"a copy of a zone")
    assert local_zone({}, link) is None


def test_the_command_of_the_reference_works(daemon: Daemon, tmp_path: Path) -> None:
    """With a crontab of its own; without `--dry-run` the schedule is made."""
    (command,) = (text for language, text in blocks_of(markdown("moving")) if language == "sh")
    assert command.startswith("crontab -l | booper ")
    program = f"printf '@daily a\\n' | {sys.executable} -m booper "
    script = command.replace("crontab -l | booper ", program)
    for text, count in ((script, 0), (script.replace(" --dry-run", ""), 1)):
        done = subprocess.run(
            ["sh", "-c", text],
            cwd=tmp_path,
            env={**os.environ, "BOOPER_URL": daemon.url, "BOOPER_API_KEY": str(daemon.key)},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        assert len(schedules(daemon)) == count
