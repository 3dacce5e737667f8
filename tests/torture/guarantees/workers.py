"""Two web workers that embed booper, and the one that sends is killed: the other goes on."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.processes import allow_local_targets, listening_target
from tests.support.workers import crash, working
from tests.torture.line import Line, Size, line

TAKEOVER_SECONDS = 5.0


def measure(size: Size) -> Line:
    """Post 1,000 jobs (in short 100) to both, and kill with SIGKILL when half were accepted."""
    jobs = size.pick(1_000, 100)
    with TemporaryDirectory() as name, listening_target() as target:
        folder = Path(name)
        allow_local_targets(folder)
        with working(folder) as workers:
            seen = crash(workers, target, jobs)
    again = {path for path, times in Counter(seen.received).items() if times > 1}
    faults = [f"lost: {path}" for path in seen.acknowledged - set(seen.received)]
    faults += [f"not asked for: {path}" for path in set(seen.received) - seen.acknowledged]
    faults += [f"sent again: {path}" for path in again - seen.in_flight]
    if len(seen.acknowledged) < jobs:
        faults.append(f"only {len(seen.acknowledged)} creates were accepted")
    if seen.takeover_seconds > TAKEOVER_SECONDS:
        faults.append("too slow")
    figure = (
        f"{len(set(seen.received))} of {jobs} jobs arrived; {len(again)} twice, of "
        f"{len(seen.in_flight)} in flight at the kill; sent again after "
        f"{seen.takeover_seconds:.2f} s, allowed {TAKEOVER_SECONDS:.0f}"
    )
    return line("workers", figure, faults)
