"""`booper systemd`: units that systemd accepts, that are hardened, and that fit the settings."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import DEADLINE_SECONDS, run

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze"
)

MAX_EXPOSURE = 1.5


def units(folder: Path, settings: str = "", *options: str) -> dict[str, str]:
    """Return the units for these settings."""
    (folder / "booper.toml").write_text(settings, encoding="utf-8")
    found = {}
    for unit in ("service", "socket"):
        done = run(folder, "systemd", unit, "--config", "booper.toml", *options)
        assert done.returncode == 0, done.stderr
        found[unit] = done.stdout
    return found


def values(unit: str, name: str) -> list[str]:
    """Return the values of a setting of a unit."""
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


SETTINGS = {
    "the defaults": ("", ()),
    "every address": ('[server]\nhost = ["0.0.0.0", "::"]\nport = 80\n', ()),
    "a database elsewhere": ('[database]\npath = "/srv/jobs/b.db"\n', ("--user", "daemon")),
}


@needs_systemd
@pytest.mark.parametrize("case", SETTINGS)
def test_systemd_accepts_the_units_and_finds_little_exposed(tmp_path: Path, case: str) -> None:
    """`verify` has nothing to say, `security` a rating of at most 1.5."""
    settings, options = SETTINGS[case]
    for unit, text in units(tmp_path, settings, *options).items():
        (tmp_path / f"booper.{unit}").write_text(text, encoding="utf-8")
    verified = analyzed(tmp_path, "verify", "./booper.service", "./booper.socket")
    assert verified == ""
    rated = analyzed(tmp_path, "security", "--offline=true", "./booper.service")
    found = re.search(r"Overall exposure level for booper\.service: ([\d.]+)", rated)
    assert found is not None, rated
    assert float(found[1]) <= MAX_EXPOSURE


def analyzed(folder: Path, *arguments: str) -> str:
    """Return what systemd-analyze prints, its errors included."""
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_without_a_unit_both_are_printed(tmp_path: Path) -> None:
    """Each below the path where it belongs."""
    printed = run(tmp_path, "systemd").stdout
    service, socket = (run(tmp_path, "systemd", unit).stdout for unit in ("service", "socket"))
    assert printed == f"{service}\n{socket}"
    assert service.startswith("# /etc/systemd/system/booper.service\n")
    assert socket.startswith("# /etc/systemd/system/booper.socket\n")


# hosts -> what the socket unit listens on, at port 2667
LISTENED = {
    '"127.0.0.1"': ["127.0.0.1:2667"],
    '"localhost"': ["127.0.0.1:2667"],
    '"0.0.0.0"': ["0.0.0.0:2667"],
    '["127.0.0.1", "::1"]': ["127.0.0.1:2667", "[::1]:2667"],
    '["0.0.0.0", "::", "127.0.0.1"]': ["[::]:2667"],
}


@pytest.mark.parametrize("hosts", LISTENED)
def test_the_socket_listens_where_the_settings_say(tmp_path: Path, hosts: str) -> None:
    """`::` is both families, whatever the system's default."""
    unit = units(tmp_path, f"[server]\nhost = {hosts}\n")["socket"]
    assert values(unit, "ListenStream") == LISTENED[hosts]
    assert values(unit, "BindIPv6Only") == (["both"] if "::]" in unit else [])


def test_the_service_runs_this_booper_with_these_settings(tmp_path: Path) -> None:
    """By absolute paths, spelled as systemd reads them; the stop waits for the grace."""
    folder = tmp_path / "50% of $all"
    folder.mkdir()
    unit = units(folder, "[delivery]\ngrace_seconds = 60\n")["service"]
    [command] = values(unit, "ExecStart")
    spelled = str(folder / "booper.toml").replace("%", "%%").replace("$", "$$")
    assert command.endswith(f' serve --config "{spelled}"')
    assert command.startswith("/")
    assert values(unit, "TimeoutStopSec") == ["80"]  # 60 and a margin of 20
    assert values(unit, "DynamicUser") == ["yes"]


def test_a_user_of_its_own_may_have_the_database_elsewhere(tmp_path: Path) -> None:
    """Its folder is the only other one that the service can write to."""
    unit = units(tmp_path, '[database]\npath = "/srv/jobs/b.db"\n', "--user", "jobs")["service"]
    assert values(unit, "ReadWritePaths") == ["/srv/jobs"]
    assert (values(unit, "User"), values(unit, "DynamicUser")) == (["jobs"], [])


@pytest.mark.parametrize("user", ["", "two words", "a\nUser=root", "1000"])
def test_a_user_is_a_name(tmp_path: Path, user: str) -> None:
    """Whatever else could stand in a unit's line is a wrong command line."""
    done = run(tmp_path, "systemd", "--user", user)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--user: expected the name of a user, such as booper" in done.stderr


REFUSED = {
    '[database]\npath = "/srv/b.db"\n': "[database] path: '/srv/b.db' is not in /var/lib/booper",
    '[database]\npath = "../b.db"\n': "[database] path: '../b.db' is not in /var/lib/booper",
    "[server]\nport = 0\n": "[server] port: a service needs a port from 1 to 65535, got 0",
    '[server]\nhost = "vps.example"\n': "[server] host: systemd listens on IP addresses",
}


@pytest.mark.parametrize("settings", REFUSED)
def test_settings_that_no_service_can_have_are_named(tmp_path: Path, settings: str) -> None:
    """In one line, with the exit code of a wrong configuration."""
    (tmp_path / "booper.toml").write_text(settings, encoding="utf-8")
    done = run(tmp_path, "systemd", "--config", "booper.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"booper: {REFUSED[settings]}")
