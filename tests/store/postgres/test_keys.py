"""Keys over several nodes: each learns soon of what the others do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from booper.model.key import ApiKey
from booper.store.base import Store
from booper.store.postgres import keys as module
from tests.conftest import START
from tests.support import stores
from tests.support.postgres import postgres
from tests.support.stores import MINUTE, key

pytestmark = pytest.mark.anyio

Nodes = tuple[Store, Store]


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Nodes]:
    """Return the stores of two nodes over one database."""
    async with postgres(tmp_path) as one, postgres(tmp_path) as other:
        yield one, other


async def test_a_key_of_another_node_is_found_at_once(nodes: Nodes) -> None:
    """It is looked for in the database, also where all are known that there were a moment ago."""
    one, other = nodes
    assert await other.keys.find(b"x" * 32) is None
    made = await one.keys.create(key("new", user="alice"), START)
    assert await other.keys.find(made.digest) == made
    assert await other.keys.list() == [made]


async def test_many_who_ask_for_one_unknown_key_find_nothing(nodes: Nodes) -> None:
    """Together and again, beside others whose keys are there."""
    one, other = nodes
    made = [await one.keys.create(key(str(n)), START + timedelta(seconds=n)) for n in range(9)]
    asked = [b"x" * 32, *(each.digest for each in made)] * 20
    found = await asyncio.gather(*map(other.keys.find, asked))
    assert found == [None, *made] * 20


async def test_a_key_that_another_node_revokes_is_soon_revoked_here(nodes: Nodes) -> None:
    """Whoever uses it has what is known read again, each second."""
    one, other = nodes
    made = await one.keys.create(key("new"), START)
    assert await other.keys.find(made.digest) == made
    revoked = await one.keys.revoke(made.id, START + MINUTE)
    assert await one.keys.find(made.digest) == revoked
    async with asyncio.timeout(10 * module.FRESH_SECONDS):
        while await other.keys.find(made.digest) != revoked:
            await other.counters.jobs()


async def test_what_was_revoked_once_stays_so_since_then(nodes: Nodes) -> None:
    """A second node that revokes it gets it as the first one has left it."""
    one, other = nodes
    made = await one.keys.create(key("new"), START)
    revoked = await one.keys.revoke(made.id, START + MINUTE)
    assert await other.keys.revoke(made.id, START + 2 * MINUTE) == revoked


async def test_one_user_of_a_name_however_many_nodes_make_it(nodes: Nodes) -> None:
    """Also the first user, who has no name to be asked for by."""

    async def first(store: Store, name: str) -> UUID:
        return (await store.keys.create(key(name), START)).user_id

    assert (
        len(set(await asyncio.gather(*(first(node, str(n)) for n, node in enumerate(nodes))))) == 1
    )
    asked = [node.keys.user("carol", START) for node in nodes * 3]
    assert len(set(await asyncio.gather(*asked))) == 1


async def test_the_last_use_is_the_latest_of_all_nodes(nodes: Nodes) -> None:
    """Whichever node writes first; a node whose clock is set back moves what it has written."""
    one, other = nodes
    made = await one.keys.create(key("new"), START)
    await other.keys.find(made.digest)
    one.keys.note_use(made, START + 5 * MINUTE)
    other.keys.note_use(made, START + 3 * MINUTE)
    await one.keys.write_uses()
    await other.keys.write_uses()
    assert await last_uses(nodes, made) == [START + 5 * MINUTE] * 2
    other.keys.note_use(made, START + 7 * MINUTE)
    await other.keys.write_uses()
    assert await last_uses(nodes, made) == [START + 7 * MINUTE] * 2
    other.keys.note_use(made, START + 2 * MINUTE)
    await other.keys.write_uses()
    assert await last_uses(nodes, made) == [START + 2 * MINUTE] * 2


async def last_uses(nodes: Nodes, made: ApiKey) -> list[object]:
    """Return the last use of a key as each node lists it."""
    lists = [await node.keys.list() for node in nodes]
    return [each.last_used_at for keys in lists for each in keys if each.id == made.id]


async def test_text_that_holds_nul_comes_back(nodes: Nodes) -> None:
    """PostgreSQL's text cannot hold it."""
    one, other = nodes
    made = await one.keys.create(key("a\0\uffffb", user="c\0d"), START)
    assert await other.keys.list() == [made]
    await one.pauses.add("a\0:1", START)
    assert await stores.paused(other) == ["a\0:1"]
    await other.pauses.remove("a\0:1", START)
    assert await stores.paused(one) == []
