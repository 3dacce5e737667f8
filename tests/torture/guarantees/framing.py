"""Requests are framed as h11 frames them, however they are cut; what differs is on purpose."""

from tests.support.framing import Framing, compare_many
from tests.torture.line import Line, Size, line

SEED = 9112


def measure(size: Size) -> Line:
    """Compare 20,000 streams of requests (in short 2,000)."""
    count = size.pick(20_000, 2_000)
    try:
        reasons = compare_many(count, SEED)
    except Framing as error:
        return line("framing", f"of {count:,} streams of requests", [str(error)])
    same = reasons.pop(None, 0)
    why = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common())
    return line(
        "framing",
        f"{count:,} streams of requests made up by chance: {same:,} read as h11 reads them, the "
        f"others differ on purpose ({why})",
        [],
    )
