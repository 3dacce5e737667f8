"""The fence: open until a moment, and not opened again by a lease that has already ended."""

from math import inf

from booper.fence import Fence


def test_a_fence_that_nobody_moves_is_open() -> None:
    """A process whose claims nobody can take over may always send."""
    assert Fence().is_open()


def test_a_moment_that_has_passed_closes_the_fence() -> None:
    """The clock that counts begins at 0."""
    fence = Fence()
    fence.move(0.0)
    assert not fence.is_open()


def test_an_open_fence_is_extended() -> None:
    """A lease that was renewed in time goes on."""
    fence = Fence()
    assert fence.extend(inf)
    assert fence.is_open()


def test_a_closed_fence_is_not_extended() -> None:
    """What was begun has been cut off: the renewal came too late."""
    fence = Fence()
    fence.move(0.0)
    assert not fence.extend(inf)
    assert not fence.is_open()
