"""The two event loops that booper runs on, for tests of what reads and writes sockets."""

import pytest


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def both_loops(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Return an `anyio_backend`: asyncio's own loop for one run of a test, uvloop for another.

    `booper serve` is on uvloop; the program around an embedded booper may not be.
    """
    return "asyncio", {"use_uvloop": request.param}
