"""The short forms of the torture tests; `python -m tests.torture` runs the long ones.

Those of `SHOWN` are left out here: they are built on the tests of these files, which run anyway.
"""

from pathlib import Path

import pytest

from tests.torture.guarantees import GUARANTEES, TWINS
from tests.torture.line import NotMeasured, Size

TESTS = Path(__file__).parents[1]
# guarantee -> the test file that shows it
SHOWN = {
    "guard": "guard/test_policy.py",
    "auth": "api/test_auth.py",
    "secrets": "whole/test_secrets.py",
    "connections": "server/test_connection_limits.py",
    "framing": "server/test_reader.py",
    "workers": "whole/test_worker_processes.py",
    "stillness": "browser/test_stillness.py",
    "proxied": "whole/test_deployed_streams.py",
}
# Needs what `.ci/build` builds, and a core for itself: `.ci/run` tries it.
BUILT = "executable"
# guarantee -> what its twin is found out by
FAULTS = {
    "nodes_peace": "came 2 times",
    "nodes_kill": "doubled, and not open at a kill",
    "nodes_fence": "late after step",
    "nodes_chaos": "lost: /",
    "nodes_limits": "slots had",
    "nodes_wake": "jobs that another node had to send came",
    "nodes_stuck": "never came",
    "nodes_readers": "entries of claims were read for a job",
    "nodes_probes": "after the one before",
    "nodes_cancelled": "where jobs are cancelled",
    "api_pgbouncer": "DuplicatePreparedStatement",
}


@pytest.mark.parametrize("name", [name for name in GUARANTEES if name not in (*SHOWN, BUILT)])
def test_the_guarantee_holds(name: str) -> None:
    """A few seconds of trying to break a guarantee do not break it."""
    try:
        tried = GUARANTEES[name](Size.SHORT)
    except NotMeasured as error:
        pytest.skip(f"not measured: {error}")
    assert tried.holds, tried.figure


@pytest.mark.parametrize(("name", "fault"), FAULTS.items())
def test_the_twin_is_seen_to_break_the_guarantee(name: str, fault: str) -> None:
    """The twin of the test above: what does not give the guarantee is found out, by that fault."""
    tried = TWINS[name]()
    assert not tried.holds
    assert fault in tried.figure


def test_each_twin_is_tried() -> None:
    """The table is complete."""
    assert FAULTS.keys() == TWINS.keys()


@pytest.mark.parametrize(("name", "file"), SHOWN.items())
def test_what_is_left_out_is_shown_elsewhere(name: str, file: str) -> None:
    """The guarantee is one, and the file is there."""
    assert name in GUARANTEES
    assert (TESTS / file).exists()


def test_what_must_be_built_is_tried_by_the_checks() -> None:
    """The executable is built before, and the short form is run."""
    script = (TESTS.parent / ".ci" / "run").read_text(encoding="utf-8")
    build, tried = "bash .ci/build\n", f"python -m tests.torture --short --only {BUILT}\n"
    assert -1 < script.find(build) < script.find(tried)
