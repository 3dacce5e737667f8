"""Deleting beside jobs: it is the size of the transactions that spares the others."""

from tests.torture.guarantees import pruning
from tests.torture.line import Size


def test_large_batches_hold_the_writer_for_too_long() -> None:
    """With 50,000 rows in each transaction the guarantee does not hold."""
    done = pruning.measure(Size.SHORT, batch=50_000)
    assert not done.holds
    assert "a transaction of" in done.figure, done.figure
