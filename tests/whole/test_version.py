"""The version: in one place, and with a part of the reference that says what is different in it."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import booper
from booper.docs import markdown

ROOT = Path(__file__).parents[2]


def test_the_version_stands_in_one_place() -> None:
    """The build reads it from there, so that it cannot differ."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "booper/__init__.py"
    quoted = f'"{booper.__version__}"'
    named = [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.glob("booper/**/*.py"))
        if quoted in path.read_text(encoding="utf-8")
    ]
    assert named == ["booper/__init__.py"]


def test_what_is_installed_has_that_version() -> None:
    """For pip, and for who asks booper."""
    assert importlib.metadata.version("booper") == booper.__version__
    command = [sys.executable, "-m", "booper", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown == f"booper {booper.__version__}\n"


def test_the_reference_has_the_changes_of_this_version() -> None:
    """The newest come first; those of the present version are there."""
    titles = re.findall(r"^## (.*)$", markdown("changes"), re.MULTILINE)
    assert booper.__version__ in titles
    released = [each for each in titles if re.fullmatch(r"\d+\.\d+\.\d+", each)]
    numbers = [tuple(map(int, each.split("."))) for each in released]
    assert numbers == sorted(numbers, reverse=True)
    assert titles in (released, [f"After {released[0]}", *released])
