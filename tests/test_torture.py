"""The short forms of the torture tests; `python -m tests.torture` runs the long ones."""

import pytest

from tests.torture.guarantees import GUARANTEES
from tests.torture.line import NotMeasured, Size


@pytest.mark.parametrize("name", GUARANTEES)
def test_the_guarantee_holds(name: str) -> None:
    """A few seconds of trying to break a guarantee do not break it."""
    try:
        tried = GUARANTEES[name](Size.SHORT)
    except NotMeasured as error:
        pytest.skip(f"not measured: {error}")
    assert tried.holds, tried.figure
