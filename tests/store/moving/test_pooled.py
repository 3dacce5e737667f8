"""A move through a pooler that gives each transaction a connection."""

from contextlib import ExitStack, closing
from pathlib import Path

from booper.store.moving.mover import begin, move
from booper.store.moving.opening import opened
from booper.store.postgres.connections import Connector
from tests.support.pgbouncer import POOL_SIZE, pooled
from tests.support.postgres import database
from tests.support.varied import differences, fill

SHOW = """
SELECT current_setting('default_transaction_read_only'), current_setting('transaction_read_only'),
    current_setting('enable_sort')
"""


def settings(url: str) -> set[tuple[str, ...]]:
    """Return the settings of each connection that the pooler has."""
    connector, found = Connector(url, prepares=False), set[tuple[str, ...]]()
    with ExitStack() as stack:
        for _ in range(POOL_SIZE):
            connection = stack.enter_context(closing(connector.open()))
            connection.execute("BEGIN")
            found.update(connection.execute(SHOW))
    return found


def test_a_move_leaves_connections_as_they_were(tmp_path: Path) -> None:
    """A node may be given them next, and it writes; there and back, rows are the same."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    fill(first, 1)
    with database() as direct:
        url = pooled(direct)
        for source, target in ((str(first), url), (url, str(second))):
            with opened(source, target) as (ours, theirs):
                assert begin(ours, theirs)
                move(ours, theirs, lambda count: None)
            assert settings(url) == {("off", "off", "on")}
    assert differences(first, second) == []
