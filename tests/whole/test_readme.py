"""The README: every command and snippet in it does what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from booper.config import read_config
from tests.support.documents import BLOCKS, README, ROOT, block, blocks_of
from tests.support.processes import Daemon, allow_local_targets, run, serving


def shell(script: str, daemon: Daemon, folder: Path) -> str:
    """Run a block as a person would paste it, against a daemon on another port."""
    script = script.replace("http://127.0.0.1:2667", daemon.url)
    script = script.replace('[5, "seconds"]', '[0.2, "seconds"]').replace(
        "2 seconds", "0.2 seconds"
    )
    script = re.sub(r"^curl", "curl -sS --fail-with-body", script, flags=re.MULTILINE)
    script = re.sub(r"^booper", f"{sys.executable} -m booper", script, flags=re.MULTILINE)
    assert daemon.key is not None
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "BOOPER_API_KEY": daemon.key,
        "BOOPER_URL": daemon.url,
    }
    done = subprocess.run(
        ["bash", "-euc", script],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_is_known_to_a_test() -> None:
    """A new snippet cannot come in without a test that runs it."""
    beginnings = [(kind, text.split()[0]) for kind, text in blocks_of(README)]
    assert beginnings == [
        ("sh", "python3"),
        ("sh", "pip"),
        ("sh", "curl"),
        ("sh", "curl"),
        ("sh", "curl"),
        ("sh", "booper"),
        ("python", "from"),
        ("python", "from"),
        ("sh", "booper"),
        ("sh", "curl"),
        ("python", "from"),
        ("toml", "[targets]"),
        ("sh", "booper"),
        ("sh", "booper"),
        ("sh", "booper"),
    ]


def test_the_readme_is_short_enough_to_be_read() -> None:
    """It has at most 2,500 words, and outside code no line over 120 characters."""
    assert len(README.split()) <= 2_500
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)
    assert [line for line in prose.splitlines() if len(line) > 120] == []


def test_the_two_first_commands_are_run_on_a_new_machine() -> None:
    """Installing and testing are steps of the checks themselves, to the letter."""
    script = (ROOT / ".ci" / "run").read_text()
    for beginning in ("python3 -m venv", "pip install -e"):
        assert block("sh", beginning).strip() in script


def test_the_ten_lines_and_what_follows_them(tmp_path: Path) -> None:
    """A job is created, read, found in the logs, and can be called off."""
    allow_local_targets(tmp_path)
    with serving(tmp_path, key="sk_readme_0123456789") as daemon:
        ten_lines, recurring = (text for _, text in BLOCKS if text.startswith("curl -X POST"))
        created = json.loads(shell(ten_lines, daemon, tmp_path))
        assert created["data"]["job"]["state"] == "scheduled"
        assert created["data"]["idempotency_key"] == "hello"
        following = shell(block("sh", "curl -H"), daemon, tmp_path)
        assert following.count('"data"') == 3
        responses = shell(recurring, daemon, tmp_path)
        assert '"frequency":{"cron":"0 9 * * MON-FRI","timezone":"Europe/Berlin"}' in responses


def test_the_commands_ask_the_running_booper(tmp_path: Path) -> None:
    """A job is watched to its end, another called off, a schedule listed, and booper is ready."""
    allow_local_targets(tmp_path)
    with serving(tmp_path) as daemon:
        printed = shell(block("sh", "booper run"), daemon, tmp_path)
    assert "job 1: completed" in printed
    assert "job 2: cancelled" in printed
    assert "0 9 * * MON-FRI Europe/Berlin" in printed
    assert "\nbooper is ready\nversion " in printed


def test_the_shell_completes_what_is_typed(tmp_path: Path) -> None:
    """With the line for bash, TAB after `booper jobs ca` knows what follows; zsh's is a script."""
    bash, zsh = block("sh", "eval").splitlines()
    installed = Path(sys.executable).parent
    typed = "COMP_WORDS=(booper jobs ca) COMP_CWORD=2; _booper_completion booper; echo $COMPREPLY"
    for script, response in (
        (f"{bash}\n{typed}", "cancel\n"),
        (zsh.replace("eval", "echo"), "compdef"),
    ):
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=tmp_path,
            env={"PATH": f"{installed}:/usr/local/bin:/usr/bin:/bin"},
            check=False,
        )
        assert response in done.stdout, done.stderr


def test_the_configuration_is_accepted(tmp_path: Path) -> None:
    """The example for one's own network reads as it says."""
    path = tmp_path / "booper.toml"
    path.write_text(block("toml", "[targets]"))
    targets = read_config(path, {}).targets
    assert (targets.require_https, targets.allow) == (False, ("10.0.0.0/8", "intranet.example"))
    check, serve = block("sh", "booper check").splitlines()
    done = run(tmp_path, *check.split()[1:])
    assert done.returncode == 0, done.stderr
    with serving(tmp_path, *serve.split()[2:]) as daemon:
        assert daemon.first_key is not None


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    """The three commands about keys work beside a running daemon."""
    allow_local_targets(tmp_path)
    with serving(tmp_path, key="sk_readme_0123456789") as daemon:
        printed = shell(block("sh", "booper keys"), daemon, tmp_path)
    assert "sk_" in printed
    assert "alice" in printed
    assert "revoked the API key 'deploy'" in printed


def test_a_backup_is_made_as_it_says(tmp_path: Path) -> None:
    """The command copies the database of a running daemon."""
    with serving(tmp_path, key="sk_readme_0123456789") as daemon:
        shell(block("sh", "booper backup"), daemon, tmp_path)
    assert (tmp_path / "monday.db").stat().st_size > 0


@pytest.mark.parametrize("name", re.findall(r"`booper/(\w+[/.]?\w*)/?`", README))
def test_the_map_names_what_is_there(name: str) -> None:
    """Every folder and file of the map exists."""
    assert (ROOT / "booper" / name).exists()
