"""Every example in a help text or a message of the command line is one that works."""

import re
from ast import Constant, walk
from ast import parse as parsed
from collections.abc import Iterator
from pathlib import Path
from shlex import split
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner

import booper
from booper.cli import main
from booper.engine.origin_map import OriginMap
from tests.support.processes import Daemon, allow_local_targets, serving, until

EXAMPLE = re.compile(
    r"'([^']+)'"  # what needs quotes
    r"|(https?://[\w.]+(?::\d+)?(?:=https?://[\w.]+(?::\d+)?)?)"
    r"|\b((?:[\w-]+\.)+com(?::\d+)?)"
    r"|\b(\d+[smhdw][\dsmhdw]*)\b"
    r"|\b([A-Z][a-z]+/[A-Z][a-z]+)\b"
    r"|(?<=such as )([\w.]+\w)"
    r"|(?<= )(::)(?= )"
)
"""A value in a help text that can be typed as it stands."""

TYPED = re.compile(r"`(booper [^`]+)`")
"""A command line in a message, with names in capitals and braces for what the reader has."""


class Help(NamedTuple):
    """A value that the help of a command's option, or of the command itself (None), shows."""

    command: tuple[str, ...]
    option: str | None
    value: str


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the names of all commands that do something."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, (*path, name))
    else:
        yield path


def command_of(path: tuple[str, ...]) -> click.Command:
    """Return a command by its names."""
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


def values_in(text: str) -> list[str]:
    """Return the values that a help text shows."""
    return [next(filter(None, found)) for found in EXAMPLE.findall(text)]


def shown() -> Iterator[Help]:
    """Return all that the help texts show."""
    for path in commands(main):
        command = command_of(path)
        for option in command.params:
            for value in values_in(getattr(option, "help", None) or ""):
                yield Help(path, max(option.opts, key=len), value)
        if any(isinstance(each, click.Argument) for each in command.params):
            for value in values_in(command.help or ""):
                yield Help(path, None, value)


SHOWN = sorted(set(shown()), key=str)

# What a command needs besides, if its example is to be run; {job} is one that is completed.
REST = {
    ("run",): "--in 1d https://example.com/",
    ("create",): "--in 1d https://example.com/",
    ("jobs", "list"): "",
    ("jobs", "cancel"): "--dry-run",
    ("jobs", "retry"): "--dry-run",
    ("jobs", "run"): "--dry-run",
    ("jobs", "watch"): "{job}",
    ("logs", "list"): "",
    ("pause",): "",
    ("why",): "{job}",
}
INSTEAD = {
    "--in": "https://example.com/",
    "--schedule": "https://example.com/",
    "--timezone": "--cron @daily https://example.com/",
    "--idempotency-ttl": "--idempotency-key k --in 1d https://example.com/",
}
PARSED_ALONE = {("logs", "tail"), ("serve",), ("dev",)}
"""They run until they are stopped."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a booper with one job that is completed."""
    folder = tmp_path_factory.mktemp("served")
    allow_local_targets(folder)
    with serving(folder) as running:
        job = running.post(f"{running.url}/api/ping")
        until(lambda: "completed" in running.api.get(f"/api/jobs/{job}").text, "the job was sent")
        yield running


def test_the_help_texts_show_what_they_did_when_this_was_written() -> None:
    """The pattern finds them: an option that loses its example, or gets one, shows here."""
    options = {option for _, option, _ in SHOWN}
    assert options == {
        "--cron",
        "--event",
        "--every",
        "--host",
        "--idempotency-ttl",
        "--in",
        "--keep-for",
        "--map",
        "--schedule",
        "--timeout",
        "--at",
        "--before",
        "--since",
        "--timezone",
        None,
    }
    assert {"1h30m", "2 days", "0 9 * * MON-FRI", "::"} <= {each.value for each in SHOWN}


@pytest.mark.parametrize("example", SHOWN, ids=str)
def test_a_value_that_a_help_text_shows_is_accepted(daemon: Daemon, example: Help) -> None:
    """By the command whose help it is, up to the running booper where that can be."""
    path, option, value = example
    typed = [option, value] if option else [value]
    if path in PARSED_ALONE:
        command_of(path).make_context(path[-1], list(typed))
        if option == "--map":
            OriginMap.parse([value], {})
        return
    rest = INSTEAD.get(option or "", REST[path]).format(job=1)
    environment = {"BOOPER_URL": daemon.url, "BOOPER_API_KEY": daemon.key}
    result = CliRunner().invoke(main, [*path, *typed, *split(rest)], env=environment)
    assert result.exit_code == 0, result.output


def lines_in_messages() -> set[str]:
    """Return the command lines in the package's strings: in messages, and in docstrings."""
    found = set[str]()
    for file in Path(booper.__file__).parent.rglob("*.py"):
        for node in walk(parsed(file.read_text(encoding="utf-8"))):
            if isinstance(node, Constant) and isinstance(node.value, str):
                found |= set(TYPED.findall(node.value))
    return found


LINES = sorted(lines_in_messages())


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_that_a_message_shows_can_be_typed(line: str) -> None:
    """Its command and options are there, and it takes that many words."""
    words = split(line.replace("SCOPE", "read").replace("X", "http://127.0.0.1:1"))[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    if words:
        command.make_context(line, words)
    assert LINES
