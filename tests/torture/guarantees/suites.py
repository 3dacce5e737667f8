"""The tests of the API over PostgreSQL, and through a pool of five connections to it.

They are those that the usual run has over SQLite; here each suite is a pytest of its own. Those of
schemathesis are a suite by themselves.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from xml.etree import ElementTree

from tests.support.configs import Kind
from tests.torture.line import Line, Size, line

ROOT: Final = Path(__file__).parents[3]
SCHEMATHESIS: Final = "tests/api/test_schemathesis.py"
API: Final = ["tests/api", f"--ignore={SCHEMATHESIS}"]
MAX_SECONDS: Final = 4 * 3_600


def _api(kind: Kind, size: Size) -> Line:
    """Run all tests of the API; in short 40 of them, drawn evenly."""
    return _run(f"api_{kind.value}", kind, API, size.pick({}, {"BOOPER_SAMPLE": "40"}))


def _schemathesis(kind: Kind, size: Size) -> Line:
    """Send 200 random requests to each operation; in short 3 to each of 12."""
    short = {"BOOPER_SAMPLE": "12", "BOOPER_EXAMPLES": "3"}
    environment = size.pick({"BOOPER_EXAMPLES": "200"}, short)
    return _run(f"schemathesis_{kind.value}", kind, [SCHEMATHESIS], environment)


measure_api: Final = partial(_api, Kind.POSTGRES)
measure_api_pooled: Final = partial(_api, Kind.PGBOUNCER)
measure_schemathesis: Final = partial(_schemathesis, Kind.POSTGRES)
measure_schemathesis_pooled: Final = partial(_schemathesis, Kind.PGBOUNCER)


def twin() -> Line:
    """Run some tests of the API with a booper that takes the pool for a server of its own."""
    environment = {"BOOPER_SAMPLE": "20", "BOOPER_TEST_PREPARES": "yes"}
    return _run("api_pgbouncer", Kind.PGBOUNCER, API, environment)


def _run(name: str, kind: Kind, options: Sequence[str], environment: Mapping[str, str]) -> Line:
    """Run tests over a store; return how many there were, and what those say that failed."""
    sampling = ["-p", "tests.torture.sampling"] if "BOOPER_SAMPLE" in environment else []
    processes = 0 if sampling else os.cpu_count() or 1
    # Where this is part of a run of tests, those are other tests than that one's.
    inherited = {key: it for key, it in os.environ.items() if not key.startswith("PYTEST_XDIST")}
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--numprocesses={processes}", *sampling]
        done = subprocess.run(
            [*command, f"--junitxml={report}", *options],
            cwd=ROOT,
            env=inherited | {"BOOPER_TEST_STORE": kind.value, **environment},
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            check=False,
        )
        if not report.exists():
            return line(name, "no tests were run", [done.stdout[-1000:] + done.stderr[-1000:]])
        cases = ElementTree.parse(report).getroot().findall(".//testcase")
    skipped = sum(case.find("skipped") is not None for case in cases)
    faults = [fault for case in cases if (fault := _fault(case))]
    if done.returncode and not faults:
        faults = [done.stdout[-1000:] + done.stderr[-1000:]]
    return line(name, f"{len(cases)} tests, of which {skipped} were skipped", faults)


def _fault(case: ElementTree.Element) -> str:
    """Return which test failed and how, or nothing if it did not."""
    for kind in ("failure", "error"):
        if (found := case.find(kind)) is not None:
            return f"{case.get('classname')}::{case.get('name')}: {found.get('message', '')[:200]}"
    return ""
