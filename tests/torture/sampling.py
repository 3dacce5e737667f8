"""A plug-in of pytest that runs some of the tests alone, drawn evenly.

`BOOPER_SAMPLE` is how many at most: each n-th of those that were collected.
"""

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect all but the sample."""
    step = max(1, -(-len(items) // int(os.environ["BOOPER_SAMPLE"])))
    drawn = set(items[::step])
    config.hook.pytest_deselected(items=[item for item in items if item not in drawn])
    items[:] = [item for item in items if item in drawn]
