"""Transcripts: what a person types into two terminals and what they read there, played again.

    1$ booper serve             typed into the first terminal, which keeps running it
    2$ booper jobs list         typed into the second one, to its end; `> ` begins its other lines
    exit 3                      ... that it ended so; 0 where nothing is said
    1> a mail to ada            what the first terminal shows in time
    1^C                         Ctrl-C in the first terminal, and its end
    = main.py: starlette        a file saved: the first block of the documents with this text in it
    = main.py: starlette (minutes=45 -> seconds=1)      ... changed as a person would, to wait less

Lines between are what is printed. `…` in one stands for anything, alone on a line for any lines,
and `<key>` for a word, which later commands can name so.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from tests.support.documents import BLOCKS
from tests.support.processes import DEADLINE_SECONDS, until

PORT = "2667"
TERMINAL = '\n[logging]\nformat = "text"\n'
"""The log as on a terminal; what is printed goes to a file here."""

_STEP = re.compile(r"[12]\$ .*|1> .*|1\^C|= .*")
_SAVE = re.compile(r"(\S+): (.*?)(?: \((.*) -> (.*)\))?")
_WILD = re.compile(r"…|<(\w+)>")


class Step(NamedTuple):
    """What is done, with its line's number in the file, and the lines that are read after it."""

    number: int
    terminal: str
    typed: str
    printed: Sequence[str]
    exit_code: int


def steps_of(text: str) -> Iterator[Step]:
    """Read a transcript; what stands before its first step is for people."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _STEP.fullmatch(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        following = start + 1
        while following < end and lines[following].startswith("> "):
            following += 1
        more = [line.removeprefix("> ") for line in lines[start + 1 : following]]
        terminal, typed = _typed("\n".join([lines[start], *more]))
        printed = [line for line in lines[following:end] if not line.startswith("# ")]
        while printed and not printed[-1]:
            printed.pop()
        exit_code = int(printed.pop()[5:]) if printed and printed[-1].startswith("exit ") else 0
        yield Step(start + 1, terminal, typed, printed, exit_code)


def _typed(text: str) -> tuple[str, str]:
    if text == "1^C":
        return "^C", ""
    if text[:2] in ("= ", "1>"):
        return text[:2], text[2:].strip()
    return text[0], text[3:]


class Player:
    """Two terminals in a folder. Where the README says port 2667, another one is used."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = str(port)
        self._words: dict[str, str] = {}
        self._exports: list[str] = []
        self._running: subprocess.Popen[bytes] | None = None
        self._output = folder.parent / "terminal1"
        (folder / ".curlrc").write_text("silent\nshow-error\n")  # as on a terminal
        self._settings = folder.parent / "as-on-a-terminal.toml"
        self._settings.write_text(TERMINAL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def play(self, step: Step) -> None:
        """Play a step and compare. Raises: AssertionError, something else is read."""
        match step.terminal:
            case "1>":
                until(lambda: step.typed in self._shown().splitlines(), f"{step.typed!r} is shown")
            case "= ":
                self._save(step.typed)
            case "1":
                self._start(step)
            case "^C":
                self._stop(step)
            case _:
                self._run(step)

    def _save(self, how: str) -> None:
        found = _SAVE.fullmatch(how)
        assert found is not None, how
        name, key, old, new = found.groups()
        text = next(
            text for kind, text in BLOCKS if kind in ("python", "js", "toml") and key in text
        )
        assert old is None or old in text
        if name.endswith(".toml"):
            text += TERMINAL
        (self._folder / name).write_text(text.replace(old, new) if old else text)

    def _start(self, step: Step) -> None:
        assert self._running is None
        with self._output.open("wb") as output:
            self._running = subprocess.Popen(
                ["bash", "-c", "exec " + self._spelled(step.typed)],
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        until(lambda: self._matches(step) or self._has_ended(), f"line {step.number} shows that")
        self._compare(step, self._shown())

    def _stop(self, step: Step) -> None:
        assert self._running is not None
        before = self._shown()
        self._running.send_signal(signal.SIGINT)
        code = self._running.wait(DEADLINE_SECONDS)
        self._running = None
        assert code == step.exit_code, self._shown()
        self._compare(step, self._shown()[len(before) :])

    def _run(self, step: Step) -> None:
        done = subprocess.run(
            ["bash", "-c", "\n".join([*self._exports, self._spelled(step.typed)])],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=30,
            check=False,
        )
        printed = done.stdout.decode().replace(self._port, PORT)
        assert done.returncode == step.exit_code, f"line {step.number}: {printed}"
        if step.typed.startswith("export "):
            self._exports.append(self._spelled(step.typed))
        self._compare(step, printed)

    def _spelled(self, command: str) -> str:
        """Return a command with the words read before, and with the port that is used."""
        command = re.sub(r"<(\w+)>", lambda word: self._words.get(word[1], word[0]), command)
        command = command.replace(PORT, self._port)
        if re.match(r"booper (serve|dev)\b|uvicorn ", command):
            command += f" --port {self._port}"
        return command

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {
            "PATH": path,
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
            "BOOPER_CONFIG": str(self._settings),
            # What is asked without being told where: the port that stands for 2667 here.
            "BOOPER_URL": f"http://127.0.0.1:{self._port}",
        }

    def _shown(self) -> str:
        return self._output.read_text().replace(self._port, PORT)

    def _has_ended(self) -> bool:
        return self._running is None or self._running.poll() is not None

    def _matches(self, step: Step) -> bool:
        return _match(step.printed, self._shown()) is not None

    def _compare(self, step: Step, printed: str) -> None:
        found = _match(step.printed, printed)
        expected = "\n".join(step.printed)
        assert found, f"line {step.number}: expected\n{expected}\n\ngot\n{printed}"
        self._words |= found.groupdict()


def _match(lines: Sequence[str], printed: str) -> re.Match[str] | None:
    """Compare what was printed with lines, each of which has a line break before it here."""
    pattern = "".join(r"(?:\n.*)*?" if line == "…" else r"\n" + _line(line) for line in lines)
    text = printed.rstrip("\n")
    return re.fullmatch(pattern, "\n" + text if text else "")


def _line(line: str) -> str:
    pieces: list[str] = []
    end = 0
    for wild in _WILD.finditer(line):
        pieces.append(re.escape(line[end : wild.start()]))
        pieces.append(f"(?P<{wild[1]}>\\S+)" if wild[1] else ".*?")
        end = wild.end()
    return "".join(pieces) + re.escape(line[end:])
