"""Keys that operators give to several nodes: none is lost to a node that is given another."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import anyio
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import StartError
from booper.first_key import FIXED_KEY_NAME, revoke_left_forever
from booper.model.key import NewKey, digest_of
from booper.store.base import Store
from booper.store.postgres.connections import Connector
from booper.store.postgres.node_rows import FORGET
from booper.store.postgres.transaction import GONE_NODE
from tests.conftest import KEY, START
from tests.support.postgres import postgres, url_in
from tests.support.stores import MINUTE

pytestmark = pytest.mark.anyio

OTHER_KEY = "sk_another_key_of_the_operator_0123456789"


def given(text: str) -> NewKey:
    """Return a key of the operator."""
    return NewKey("BOOPER_API_KEY", None, digest_of(text))


def execute(folder: Path, query: str) -> None:
    """Change the database of a folder beside its nodes."""
    with closing(Connector(url_in(folder)).open()) as opened:
        opened.execute(query)


def pass_since_the_end(folder: Path, minutes: int) -> None:
    """Put the ends of nodes that were given a key so far back."""
    execute(folder, f"UPDATE keys SET given_until = given_until - interval '{minutes} minutes'")


async def valid(store: Store) -> set[bytes]:
    """Return the digests of the keys that are not revoked."""
    return {key.digest for key in await store.keys.list() if key.revoked_at is None}


def of(*texts: str) -> set[bytes]:
    """Return the digests of keys."""
    return {digest_of(text) for text in texts}


# --- the first key --------------------------------------------------------------------------------


async def test_two_nodes_that_start_at_once_make_one_first_key(
    config: Config, tmp_path: Path
) -> None:
    """The one that made it has it in a file; the other one leaves no file."""
    config = replace(config, database=replace(config.database, url=url_in(tmp_path)))
    folders = [tmp_path / "one", tmp_path / "two"]
    boopers = []
    for number, folder in enumerate(folders):
        folder.mkdir()
        database = replace(config.database, path=str(folder / "booper.db"))
        boopers.append(Booper(replace(config, database=database), random=Random(number)))
    await asyncio.gather(*(booper.__aenter__() for booper in boopers))
    try:
        [key] = [booper.first_key for booper in boopers if booper.first_key is not None]
        files = {path for folder in folders for path in folder.glob("*.first-key")}
        [file] = files
        assert file.read_text(encoding="utf-8").strip() == key
        async with postgres(tmp_path) as store:
            assert await valid(store) == of(key)
    finally:
        for booper in boopers:
            await booper.__aexit__(None, None, None)


async def test_many_nodes_at_once_make_one_first_key(tmp_path: Path) -> None:
    """Only the one that makes it prepares for it, for good."""
    prepared: list[int] = []
    async with postgres(tmp_path) as one, postgres(tmp_path) as two, postgres(tmp_path) as three:
        nodes = [one, two, three] * 3

        def first(number: int) -> NewKey:
            return NewKey("first", None, bytes([number]) * 32)

        made = await asyncio.gather(
            *(
                node.keys.create_first(first(n), START, partial(prepared.append, n))
                for n, node in enumerate(nodes)
            )
        )
        [key] = [each for each in made if each is not None]
        assert await one.keys.list() == [key]
        assert prepared[-1] == key.digest[0]


async def test_nodes_that_are_given_one_key_make_it_once(tmp_path: Path) -> None:
    """Each finds the same."""
    async with postgres(tmp_path) as one, postgres(tmp_path) as other:
        keys = await asyncio.gather(
            *(node.keys.ensure(given(KEY), START) for node in [one, other] * 3)
        )
        assert await one.keys.list() == [keys[0]]
        assert set(keys) == {keys[0]}


# --- replacing ------------------------------------------------------------------------------------


async def replaced(store: Store, text: str = OTHER_KEY) -> None:
    """Give a node another key, and revoke those that it has replaced."""
    key = await store.keys.ensure(given(text), START)
    await store.keys.revoke_replaced(key, START + MINUTE)


async def test_a_key_that_another_node_is_given_stays(tmp_path: Path) -> None:
    """However long that node runs, also where it is not renewing its lease."""
    async with postgres(tmp_path) as old, postgres(tmp_path) as new:
        await old.keys.ensure(given(KEY), START)
        await replaced(new)
        assert await valid(new) == of(KEY, OTHER_KEY)


@pytest.mark.parametrize(
    ("minutes", "left"), [(59, [KEY, OTHER_KEY]), (61, [OTHER_KEY])], ids=["before", "after"]
)
async def test_a_key_goes_an_hour_after_the_last_node_that_was_given_it(
    tmp_path: Path, minutes: int, left: Sequence[str]
) -> None:
    """A node that has ended was given it until then."""
    async with postgres(tmp_path) as new:
        async with postgres(tmp_path) as old:
            await old.keys.ensure(given(KEY), START)
        await replaced(new)
        assert await valid(new) == of(KEY, OTHER_KEY)
        pass_since_the_end(tmp_path, minutes)
        await replaced(new)
        assert await valid(new) == of(*left)


@pytest.mark.parametrize(("minutes", "left"), [(59, [KEY]), (61, [])], ids=["before", "after"])
async def test_a_key_goes_also_where_no_node_has_another(
    tmp_path: Path, minutes: int, left: Sequence[str]
) -> None:
    """The operator has taken the variable away: it was to be an end of that key."""
    async with postgres(tmp_path) as new:
        async with postgres(tmp_path) as old:
            await old.keys.ensure(given(KEY), START)
        await new.keys.revoke_left(FIXED_KEY_NAME, START + MINUTE)
        assert await valid(new) == of(KEY)
        pass_since_the_end(tmp_path, minutes)
        await new.keys.revoke_left(FIXED_KEY_NAME, START + MINUTE)
        assert await valid(new) == of(*left)


async def test_a_key_stays_where_a_node_was_given_it_again(tmp_path: Path) -> None:
    """However long there was none: the only node was away, and comes back as it was."""
    async with postgres(tmp_path) as old:
        await old.keys.ensure(given(KEY), START)
    pass_since_the_end(tmp_path, 600)
    async with postgres(tmp_path) as again:
        await again.keys.ensure(given(KEY), START)
        await again.keys.revoke_left(FIXED_KEY_NAME, START + MINUTE)
        assert await valid(again) == of(KEY)


async def test_a_key_that_was_made_stays_whoever_was_given_it(tmp_path: Path) -> None:
    """It has a name of its own, and was not made by the variable."""
    async with postgres(tmp_path) as new:
        await new.keys.create(NewKey("mine", None, digest_of(KEY)), START)
        async with postgres(tmp_path) as old:
            await old.keys.ensure(given(KEY), START)
        pass_since_the_end(tmp_path, 600)
        await new.keys.revoke_left(FIXED_KEY_NAME, START + MINUTE)
        assert await valid(new) == of(KEY)


@pytest.mark.parametrize("api_key", [None, KEY])
async def test_each_node_looks_for_keys_that_are_left(
    api_key: str | None, config: Config, tmp_path: Path
) -> None:
    """Whatever it is given itself."""
    config = replace(config, database=replace(config.database, url=url_in(tmp_path)))
    async with Booper(config, api_key=api_key):
        await anyio.wait_all_tasks_blocked()
        assert "revoker of left keys" in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_running_node_looks_for_keys_that_are_left_each_minute(tmp_path: Path) -> None:
    """The hour of a key may end long after the start of the node that has another."""
    machine = VirtualClock(START)
    async with postgres(tmp_path) as new:
        async with postgres(tmp_path) as old:
            await old.keys.ensure(given(KEY), START)
        await replaced(new)
        agent = asyncio.create_task(revoke_left_forever(new, VirtualClock(START), machine))
        await anyio.wait_all_tasks_blocked()
        pass_since_the_end(tmp_path, 61)
        machine.advance(MINUTE)
        async with asyncio.timeout(20):
            while await valid(new) != of(OTHER_KEY):
                pass
        agent.cancel()
        await asyncio.wait([agent])


async def test_a_node_that_died_was_given_its_key_until_its_lease_ended(tmp_path: Path) -> None:
    """Whoever forgets the node notes that."""
    async with postgres(tmp_path) as new:
        await new.keys.ensure(given(KEY), START)
        await new.keys.ensure(given(OTHER_KEY), START)
        execute(
            tmp_path,
            "INSERT INTO nodes (name, started_at, expires_at, key_digest) SELECT 'dead', 0,"
            " clock_timestamp() - interval '30 minutes', digest FROM keys WHERE digest ="
            f" '\\x{digest_of(KEY).hex()}'",
        )
        await replaced(new)
        assert await valid(new) == of(KEY, OTHER_KEY)
        with closing(Connector(url_in(tmp_path)).open()) as opened:
            numbers = [number for (number,) in opened.execute(GONE_NODE)]
            opened.execute(FORGET, {"numbers": numbers})
            rows = opened.execute(
                "SELECT extract(epoch FROM clock_timestamp() - given_until)::bigint / 60 FROM keys"
                " WHERE given_until IS NOT NULL"
            ).fetchall()
        assert rows == [(30,)]
        await replaced(new)
        assert await valid(new) == of(KEY, OTHER_KEY)


async def test_a_node_does_not_start_with_a_key_that_was_replaced(
    config: Config, tmp_path: Path
) -> None:
    """As over SQLite: a key does not come back."""
    config = replace(config, database=replace(config.database, url=url_in(tmp_path)))
    async with postgres(tmp_path) as store:
        await store.keys.create(given(KEY), START)
    async with Booper(config, api_key=OTHER_KEY):
        with pytest.raises(StartError, match="was revoked"):
            async with Booper(config, api_key=KEY):
                pass
