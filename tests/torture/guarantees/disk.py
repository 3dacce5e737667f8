"""A full disk and I/O errors: refused in words, nothing lost, and work resumes by itself.

A daemon on a small tmpfs that is filled up; and a booper behind a shim that lets calls fail, at
each of the first 200 (see `failing_disk.py`).
"""

import errno
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.processes import (
    Daemon,
    LocalTarget,
    allow_local_targets,
    listening_target,
    monotonic,
    serving,
    until,
)
from tests.torture import shim
from tests.torture.line import Line, NotMeasured, Size, line

CALLS = 200
SHIM_SECONDS = 900.0
TMPFS = "size=8m"
HELD = 4
FALLING_DUE = 3
RESUMES_WITHIN = 5.0


def measure(size: Size) -> Line:
    """Fail each of the first 200 calls (in short 4 of them), and fill a disk."""
    first, step = size.pick((1, 1), (1, 66))
    module = "tests.torture.failing_disk"
    printed = shim.run(module, str(first), str(step), str(CALLS), seconds=SHIM_SECONDS)
    *faults, tried = printed.splitlines()
    resumed, more = _fill()
    figure = (
        f"{tried} failing calls survived; a full tmpfs refused creates, answered reads, sent "
        f"nothing, and went on {resumed:.2f} s after there was space"
    )
    return line("disk", figure, [*faults, *more])


def _fill() -> tuple[float, list[str]]:
    """Fill the disk of a daemon; return how long it took to go on, and what went wrong."""
    with (
        TemporaryDirectory() as name,
        _tmpfs(Path(name) / "disk") as disk,
        listening_target() as target,
    ):
        allow_local_targets(Path(name))
        target.hold()
        with serving(Path(name), "--database", "disk/booper.db") as daemon:
            jobs = [daemon.post(f"{target.url}/held/{n}") for n in range(HELD)]
            until(lambda: len(target.held) == HELD, "the first jobs are on their way")
            jobs += [
                daemon.post(f"{target.url}/due/{n}", schedule_in=0.3) for n in range(FALLING_DUE)
            ]
            filler = _filled(disk)
            faults = _suffer(daemon, target)
            filler.unlink()
            begun = monotonic()
            until(lambda: _all_completed(daemon, jobs), "all jobs have completed")
            resumed = monotonic() - begun
            daemon.post(target.url, schedule_in=3600)
        if resumed > RESUMES_WITHIN:
            faults.append("too late")
        faults += [f"{p} was sent {n} times" for p, n in Counter(target.paths()).items() if n > 1]
        return resumed, faults


def _suffer(daemon: Daemon, target: LocalTarget) -> list[str]:
    """Watch a daemon on a full disk, while responses arrive and jobs are due."""
    body = {"url": target.url, "schedule_in": 3600}
    statuses = {
        "create": daemon.api.post("/api/jobs", json=body).status_code in (503, 507),
        "list": daemon.api.get("/api/jobs").status_code == 200,
        "/healthz": daemon.api.get("/healthz").status_code == 200,
    }
    target.release()
    until(
        lambda: daemon.log.count("its result is written once") >= HELD,
        "the results wait for the store",
    )
    until(lambda: "the loop waits for the store" in daemon.log, "the loop waits for the store")
    faults = [
        f"{what} was answered otherwise" for what, is_right in statuses.items() if not is_right
    ]
    if len(target.received) != HELD:
        faults.append("a request was sent that could not be claimed")
    return faults


def _all_completed(daemon: Daemon, jobs: list[int]) -> bool:
    return all(daemon.job(number)["state"] == "completed" for number in jobs)


def _filled(folder: Path) -> Path:
    """Write a file for which there is no more space."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return path


@contextmanager
def _tmpfs(folder: Path) -> Iterator[Path]:
    """Mount a small disk at a new folder. Raises: NotMeasured."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", TMPFS, "none", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotMeasured("there is no mount command") from error
    if done.returncode:
        raise NotMeasured(f"a tmpfs cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
