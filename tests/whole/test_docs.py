"""The reference: complete, true where it can be run, and printed by `booper docs`."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_type_hints

import click
import httpx
import msgspec
import pytest
from click.testing import CliRunner

from booper.api.application import OPERATIONS
from booper.api.events import ChangeResource
from booper.cli import main
from booper.config import Config, Origin, read_config
from booper.docs import TOPICS, summary
from booper.docs.plain import plain
from booper.model.args import Args
from booper.model.event import EVENTS
from booper.setting_table import toml_name
from tests.support.described import check_report, described
from tests.support.documents import DOCS, README, ROOT, blocks_of
from tests.support.processes import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

SETTINGS = {
    (table, toml_name(name))
    for table, kind in get_type_hints(Config).items()
    if table != "origins"
    for name in get_type_hints(kind)
}
ITEM = re.compile(r"^- `(.+?)`: (.*?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)

# Contract §7: the keys of each log entry's payload.
PAYLOADS = {
    "worker.http.request": {"body", "headers", "query", "url"},
    "worker.http.response": {"status", "headers", "body", "duration_ms"},
    "worker.http.error": {"error", "message", "duration_ms"},
    "schedule.skipped": {"reason", "first", "last", "count"},
    "schedule.state_rejected": {"reason"},
}

# Which code each topic has, in order. The JSON and TOML of all of them is tried here, programs in
# test_library.py and test_readme_programs.py, scripts in test_readme.py and test_deploying.py.
CODE = {
    "guarantees": [],
    "fields": ["json"] * 3,
    "events": ["json"] * 14,
    "settings": ["toml"],
    "operating": ["json", "text", "sh"],
    "deploying": ["sh", "toml", "nginx", "caddy", "dockerfile", "yaml"],
    "nodes": ["toml", "toml", "yaml"],
    "metrics": ["yaml"] * 2,
    "alerts": ["json"],
    "clients": ["sh"],
    "embedding": ["python", "python"],
    "developing": [],
    "moving": ["js", "sh"],
    "changes": [],
}


def words(text: str) -> str:
    """Return text without the marks and line breaks of Markdown and of comments."""
    return " ".join(text.replace("`", "").split())


# --- complete -------------------------------------------------------------------------------------


def test_every_file_is_a_topic_and_begins_with_a_title_and_one_sentence() -> None:
    """The list of topics shows the sentence."""
    folder = ROOT / "booper" / "docs"
    assert {path.stem for path in folder.glob("*.md")} == set(TOPICS)
    for topic in TOPICS:
        assert DOCS[topic].startswith("# ")
        assert re.fullmatch(r"[^\n`]{20,90}\.", summary(topic))


def test_every_setting_is_there_as_the_example_configuration_has_it() -> None:
    """With its default and with the same words, so that neither can be forgotten."""
    found: dict[tuple[str, str], tuple[Any, str]] = {}
    for section in DOCS["settings"].split("\n## ")[1:]:
        title = section.splitlines()[0]
        for setting, text in ITEM.findall(section) if re.fullmatch(r"\[\w+\]", title) else ():
            [(name, default)] = tomllib.loads(setting).items()
            found[title.strip("[]"), name] = default, words(text)
    example = (ROOT / "booper.toml.example").read_text(encoding="utf-8")
    expected: dict[tuple[str, str], tuple[Any, str]] = {}
    table_name = ""
    for paragraph in re.split(r"\n{2,}", example):
        *comment, last = paragraph.strip().splitlines()
        if header := re.fullmatch(r"\[(\w+)\]", last):
            table_name = header[1]
        elif table_name and last.startswith("# "):
            [(name, default)] = tomllib.loads(last.removeprefix("# ")).items()
            text = " ".join(line.removeprefix("# ") for line in comment)
            expected[table_name, name] = default, words(text)
    assert expected.keys() == SETTINGS
    assert found == expected


def test_every_setting_of_an_origin_is_there() -> None:
    """With an example of each, that can be read."""
    section = DOCS["settings"].partition("## [origins.")[2].partition("\n## ")[0]
    examples = dict(
        pair for item, _ in ITEM.findall(section) for pair in tomllib.loads(item).items()
    )
    assert examples.keys() == get_type_hints(Origin).keys()
    assert Origin(**examples) != Origin()


def test_every_field_of_a_create_is_there() -> None:
    """And none that does not exist."""
    documented = [name for name, _ in ITEM.findall(DOCS["fields"])]
    assert sorted(documented) == sorted(field.name for field in msgspec.structs.fields(Args))


def test_every_event_and_report_has_an_example() -> None:
    """The log's by the contract's keys, the reports by the schemas of the API document."""
    titled = re.findall(
        r"^### (\S+)\n.*?```json\n(.*?)```", DOCS["events"], re.DOTALL | re.MULTILINE
    )
    examples = {name: json.loads(text) for name, text in titled}
    assert examples.keys() == {*EVENTS, *described()["webhooks"]}
    assert PAYLOADS.keys() == set(EVENTS)
    for event, keys in PAYLOADS.items():
        assert examples.pop(event).keys() == keys
    for kind, example in examples.items():
        assert example.get("type", "callback") == kind
        check_report(example)


def test_the_example_of_a_live_change_has_all_that_one_has() -> None:
    """In the types of the values that are sent."""
    [text] = re.findall(
        r"## Live changes\n.*?```json\n(.*?)```", DOCS["events"], re.DOTALL | re.MULTILINE
    )
    msgspec.json.decode(text, type=ChangeResource)
    assert json.loads(text).keys() == {each.name for each in msgspec.structs.fields(ChangeResource)}


def test_every_environment_variable_is_there() -> None:
    """Of those that begin with BOOPER_; the settings' page lists them."""
    sources = "".join(path.read_text() for path in (ROOT / "booper").rglob("*.py"))
    read = set(re.findall(r'"(BOOPER_[A-Z_]+)"', sources))
    assert read >= {"BOOPER_CONFIG", "BOOPER_URL"}
    assert sorted(name for name in read if f"- `{name}`: " not in DOCS["settings"]) == []


# --- true -----------------------------------------------------------------------------------------


def test_every_block_of_code_is_tried_somewhere() -> None:
    """A new one cannot come in without a test."""
    assert {topic: [kind for kind, _ in blocks_of(DOCS[topic])] for topic in TOPICS} == CODE


@pytest.mark.parametrize("body", [text for _, text in blocks_of(DOCS["fields"])])
async def test_every_create_is_accepted(api: httpx.AsyncClient, body: str) -> None:
    """As it stands."""
    response = await api.post("/api/jobs", content=body)
    assert response.status_code == 201, response.text


def test_the_configuration_is_accepted(tmp_path: Path) -> None:
    """It opens what it says."""
    path = tmp_path / "booper.toml"
    [(_, text)] = blocks_of(DOCS["settings"])
    path.write_text(text, encoding="utf-8")
    targets = read_config(path, {}).targets
    assert (targets.require_https, targets.allow) == (False, ("10.0.0.0/8", "intranet.example"))


def test_the_configuration_of_a_node_is_accepted(tmp_path: Path) -> None:
    """It names the database that it says, which is not opened."""
    path = tmp_path / "booper.toml"
    path.write_text(blocks_of(DOCS["nodes"])[0][1], encoding="utf-8")
    assert read_config(path, {}).database.url == "postgresql://booper@db.example/booper"


@pytest.mark.parametrize("name", ["README", *TOPICS])
def test_what_is_named_exists(name: str) -> None:
    """Commands with their options, settings with their tables, and paths of the API."""
    text = README if name == "README" else DOCS[name]
    code = re.findall(
        r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    )
    for each in (" ".join(span.split()) for span in code):
        if each.startswith("booper "):
            check_command(each.split()[1:])
        if setting := re.fullmatch(r"\[(\w+)\] (\w+)", each):
            assert setting.groups() in SETTINGS, each
        if path := re.fullmatch(r"(?:([A-Z]+) )?(/api/[^?\s]*)(\?.*)?", each):
            check_path(path[1], path[2])


def check_command(typed: list[str]) -> None:
    """Check that a command exists, and its options."""
    command: click.Command = main
    for word in typed:
        if word.startswith("--"):
            known = {name for option in command.params for name in option.opts}
            assert word in known or word == "--help", typed
        elif isinstance(command, click.Group):
            assert word in command.commands, typed
            command = command.commands[word]
        elif command.name == "docs":
            assert word in TOPICS, typed


def check_path(method: str | None, path: str) -> None:
    """Check that the API has a path, for a method if one is named."""
    shape = re.sub(r"\{\w+\}", "{}", path)
    known = [(each.method, re.sub(r"\{\w+\}", "{}", each.template)) for each in OPERATIONS]
    is_of_dev = path.startswith("/api/dev/")
    assert is_of_dev or any(shape == one and method in (None, m) for m, one in known), path


# --- printed --------------------------------------------------------------------------------------


def test_without_a_topic_all_are_listed() -> None:
    """A line for each, with what it is about."""
    result = CliRunner().invoke(main, ["docs"])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"{name:10}  {summary(name)}" for name in TOPICS]


@pytest.mark.parametrize("typed", ["settings", "SETTINGS"])
def test_a_program_gets_the_markdown(typed: str) -> None:
    """Byte for byte, in any letter case of the topic."""
    result = CliRunner().invoke(main, ["docs", typed])
    assert (result.exit_code, result.stdout) == (0, DOCS["settings"])


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("setings", "did you mean 'settings'?"),
        ("event", "did you mean 'events'?"),
        ("nothing", "expected guarantees, fields, events, settings, operating, deploying, nodes"),
    ],
)
def test_a_wrong_topic_is_an_error_that_names_a_right_one(typed: str, hint: str) -> None:
    """With the exit code of a wrong command line."""
    result = CliRunner().invoke(main, ["docs", typed])
    assert result.exit_code == 2
    assert f"there is no topic '{typed}'; {hint}" in result.stderr


def test_a_terminal_gets_plain_text_through_the_pager(tmp_path: Path) -> None:
    """The pager here turns letters around, which shows that it was asked."""
    terminal, other_end = os.openpty()
    environment = {**os.environ, "PAGER": "tr a-z A-Z", "TERM": "xterm", "COLUMNS": "60"}
    command = [sys.executable, "-m", "booper", "docs", "moving"]
    try:
        done = subprocess.run(
            command,
            stdin=other_end,
            stdout=other_end,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_SECONDS,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        shown = os.read(terminal, 1 << 16).decode()
    finally:
        os.close(terminal)
        os.close(other_end)
    assert "MOVING OVER TO BOOPER\r\n\r\nFROM THE HOSTED BOOPER" in shown
    assert "`" not in shown.split("CONST BASE")[0]


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# A title\n", "A TITLE\n"),
        ("## Part\n\n### Piece\n", "PART\n\nPiece\n"),
        ("One `two` **three**\nfour.\n", "One two three four.\n"),
        ("a bb ccc dddd eeeee ffffff\n", "a bb ccc dddd eeeee\nffffff\n"),
        (
            "- aaaa bbbb cccc dddd eeee\n  ffff\n- g\n",
            "- aaaa bbbb cccc\n  dddd eeee ffff\n\n- g\n",
        ),
        ("```sh\nls `pwd`\n\n# all\n```\n", "    ls `pwd`\n\n    # all\n"),
        ("Before:\n```\nx\n```\n", "Before:\n\n    x\n"),
    ],
)
def test_markdown_becomes_plain_text(markdown: str, text: str) -> None:
    """In 20 columns: no marks, titles in capitals, code indented and as it is."""
    assert plain(markdown, 20) == text


def test_plain_text_is_no_wider_than_is_easy_to_read() -> None:
    """A wide terminal gets lines of 100 columns."""
    assert max(map(len, plain("word " * 100, 300).splitlines())) == 99  # 20 words, 19 spaces
