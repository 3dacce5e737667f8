"""A start that cannot be ends in one line and an exit code, and changes no byte of any file."""

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from booper.store.sqlite.schema import APPLICATION_ID
from tests.support.processes import monotonic, run, serving, until
from tests.torture.line import Line, NotMeasured, Size, line

STILL_SECONDS = 0.5

Trap = Callable[[Path], AbstractContextManager[tuple[str, ...]]]
"""Make a folder in which no booper can start; yields the options that make it sure."""


@contextmanager
def random_bytes(folder: Path) -> Iterator[tuple[str, ...]]:
    """The database is no database."""
    (folder / "booper.db").write_bytes(Random(1).randbytes(20_000))
    yield ()


@contextmanager
def damaged(folder: Path) -> Iterator[tuple[str, ...]]:
    """The database's first page, which holds its schema, has lost its second half."""
    _make(folder)
    path = folder / "booper.db"
    content = path.read_bytes()
    path.write_bytes(content[:100] + Random(1).randbytes(3_996) + content[4_096:])
    yield ()


@contextmanager
def newer(folder: Path) -> Iterator[tuple[str, ...]]:
    """The database was written by a booper of the future: `user_version`, at offset 60."""
    _make(folder)
    path = folder / "booper.db"
    content = bytearray(path.read_bytes())
    assert content[68:72] == APPLICATION_ID.to_bytes(4, "big")
    content[60:64] = (10_000).to_bytes(4, "big")
    path.write_bytes(content)
    yield ()


@contextmanager
def read_only(folder: Path) -> Iterator[tuple[str, ...]]:
    """The folder is mounted read-only, which holds for root as well."""
    _make(folder)
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,bind,ro", str(folder))
        yield ()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def taken_port(folder: Path) -> Iterator[tuple[str, ...]]:
    """Another daemon listens there."""
    _make(folder)
    with TemporaryDirectory() as other, serving(Path(other)) as daemon:
        yield ("--port", str(daemon.api.base_url.port))


@contextmanager
def second_process(folder: Path) -> Iterator[tuple[str, ...]]:
    """Another daemon serves the database, and writes nothing more by itself."""
    with serving(folder):
        written, since = _files(folder), monotonic()

        def is_still() -> bool:
            nonlocal written, since
            if (now := _files(folder)) != written:
                written, since = now, monotonic()
            return monotonic() - since > STILL_SECONDS

        until(is_still, "the daemon has done what it does at its start")
        yield ()


TRAPS: tuple[Trap, ...] = (random_bytes, damaged, newer, read_only, taken_port, second_process)
MISSING = "read_only: not measured, "


def measure(size: Size) -> Line:
    """Try to start in every trap."""
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(_tried, TRAPS))
    missing = [fault for found in outcomes for fault in found if fault.startswith(MISSING)]
    faults = [fault for found in outcomes for fault in found if fault not in missing]
    if missing and size is Size.LONG:
        faults += missing
    figure = f"{len(TRAPS) - len(missing)} ways: one line, exit 1 or 2, no file changed"
    return line("start", "; ".join([figure, *missing]), faults)


def _tried(trap: Trap) -> list[str]:
    """Start in a trap; return what went wrong."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with trap(folder) as options:
                before = _files(folder)
                done = run(folder, "serve", *(options or ("--port", "0")))
                after = _files(folder)
        except NotMeasured as error:
            return [f"{MISSING}{error}"]
    faults = {
        f"exit {done.returncode}": done.returncode not in (1, 2),
        f"said {done.stderr!r}": not re.fullmatch(r"booper: .+\n", done.stderr),
        "changed a file": after != before,
    }
    return [f"{_name(trap)}: {what}" for what, is_wrong in faults.items() if is_wrong]


def _name(trap: Trap) -> str:
    return str(getattr(trap, "__name__", trap))


def _files(folder: Path) -> dict[str, bytes]:
    """Return the database and its log, byte for byte."""
    names = ("booper.db", "booper.db-wal")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def _make(folder: Path) -> None:
    with serving(folder) as daemon:
        daemon.stop()


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotMeasured("there is no mount command") from error
    if done.returncode:
        raise NotMeasured(f"nothing can be mounted: {done.stderr.strip()}")
