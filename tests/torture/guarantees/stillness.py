"""A list that is looked at: with 1,000 changes a second, nothing moves under the pointer.

Row 7 is pointed at, rows 3 and 5 are ticked, and a form is open. The state of row 7 turns right
within a second. `tests/browser/test_stillness.py` shows that it finds a list without the rule.
"""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from booper.clock import SystemClock
from booper.config import Config, Database, Targets
from tests.browser.chromium import installed, running_chromium
from tests.browser.site import Site
from tests.browser.stillness import BATCH, MAX_SECONDS, creates, tried
from tests.support.processes import monotonic
from tests.torture.line import Line, NotMeasured, Size, line

PER_SECOND = 1_000
LEAST_SHARE = 0.9
"""How much of the load must have been made for it to count."""


def measure(size: Size) -> Line:
    """Look for a minute (in short for two seconds)."""
    if installed() is None:
        raise NotMeasured("there is no Chromium (Debian: chromium)")
    seconds = size.pick(60, 2)

    async def paced(site: Site) -> int:
        """Make changes at an even rate for half of the time."""
        began, count = monotonic(), 0
        while count < PER_SECOND * seconds // 2:
            await creates(site)
            count += BATCH
            early = began + count / PER_SECOND - monotonic()
            await SystemClock().pause(timedelta(seconds=max(0.0, early)))
        return count

    with running_chromium() as chromium, TemporaryDirectory() as folder:
        config = Config(
            database=Database(path=str(Path(folder) / "booper.db"), durability="normal"),
            targets=Targets(require_https=False, allow_private_networks=True),
        )
        seen = chromium.run(tried(chromium, config, paced))
    faults = list(seen.faults)
    rate = seen.changes / seen.seconds
    if rate < LEAST_SHARE * PER_SECOND:
        faults.append(f"only {rate:,.0f} changes a second")
    if seen.slowest_seconds > MAX_SECONDS:
        faults.append(f"the state of row 7 was wrong for {seen.slowest_seconds:.2f} s")
    figure = (
        f"{rate:,.0f} changes a second for {seen.seconds:.0f} s, {seen.frames:,} frames; "
        f"the state of row 7 was right after {seen.slowest_seconds:.2f} s"
    )
    return line("stillness", figure, faults)
