"""Event streams through nginx and Caddy: the first event within a second, alive after silence.

At a host of booper's own and under a path of another one, all four at once.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from tests.support.deployed import Way
from tests.torture.line import Line, NotMeasured, Size, line
from tests.whole.test_deployed_streams import PREFIXES, WAYS, Streamed, streamed

MAX_SECONDS = 1.0


def measure(size: Size) -> Line:
    """Be silent for three minutes (in short not at all)."""
    for way in WAYS:
        if shutil.which(way.__name__) is None:
            raise NotMeasured(f"there is no {way.__name__}")
    silent_seconds = size.pick(180.0, 0.0)

    def tried(way: Way, prefix: str) -> Streamed:
        with TemporaryDirectory() as folder:
            return streamed(Path(folder), way, prefix, lambda: Event().wait(silent_seconds))

    cases = list(product(WAYS, PREFIXES))
    with ThreadPoolExecutor(len(cases)) as pool:
        found = list(pool.map(lambda case: tried(*case), cases))
    first = max(each.first_seconds for each in found)
    later = max(each.later_seconds for each in found)
    faults = [
        f"an event took {seconds:.2f} s" for seconds in (first, later) if seconds > MAX_SECONDS
    ]
    figure = (
        f"{len(found)} streams: first event after {first:.2f} s at most, the one after "
        f"{silent_seconds:.0f} s of silence after {later:.2f} s"
    )
    return line("proxied", figure, faults)
